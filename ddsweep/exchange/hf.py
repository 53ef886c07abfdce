"""A dataset folder for the Hugging Face Hub: PNG images, ``metadata.jsonl`` and a card, without their libraries."""

from __future__ import annotations

import json
import re
from dataclasses import asdict, replace
from pathlib import Path, PurePosixPath
from typing import Any

import torch
import yaml

from ddsweep import files
from ddsweep.errors import UserError
from ddsweep.exchange import integrity
from ddsweep.exchange import source as sources
from ddsweep.exchange.conventions import describe
from ddsweep.exchange.folder import loss, read_all, write_all
from ddsweep.exchange.image_set import FORMULA, NORMALIZED, PIXELS, Facts, ImageSet, in_order
from ddsweep.exchange.source import Source
from ddsweep.markup import markdown
from ddsweep.percent import percent

ROWS = Path("train", "metadata.jsonl")
CARD = "README.md"


class HuggingFace:
    """``README.md`` with the card, ``train/metadata.jsonl`` with file name and label of each image in ``train/``."""

    name = "hf"
    about = "README.md + train/metadata.jsonl + 8-bit images (Hugging Face imagefolder)"
    files: tuple[str, ...] = ()
    bits = 8
    pixels = True

    def read(self, source: Source) -> ImageSet | None:
        """Return the images of ``train/metadata.jsonl`` in its order.

        Class names are those of the JSON description, or else those of the labels in the card. Labels can be names,
        too.
        """
        rows = source.path / ROWS
        if not (source.path.is_dir() and rows.is_file()):
            return None
        paths, labels = [], []
        for number, line in enumerate(rows.read_text(encoding="utf-8", errors="replace").splitlines(), 1):
            try:
                row = json.loads(line)
                inside, label = PurePosixPath(row["file_name"]), row["label"]
            except (ValueError, KeyError, TypeError):
                raise UserError(f"{rows}: line {number} has no file_name and label") from None
            if inside.is_absolute() or ".." in inside.parts or not isinstance(label, int | str):
                raise UserError(f"{rows}: line {number}: file_name leads outside, or label is no integer and no name")
            paths.append(rows.parent / inside)
            labels.append(label)
        if not paths:
            return None
        facts = source.facts or Facts(space=PIXELS, factor=1, classes=names_in_card(source.path / CARD))
        are_numbers = False
        if any(isinstance(label, str) for label in labels):
            if not facts.classes:
                names, are_numbers = in_order(map(str, labels))
                facts = replace(facts, classes=names)
            unknown = [label for label in labels if label not in facts.classes]
            if unknown:
                raise UserError(f"{rows}: label {unknown[0]!r} is not among its {len(facts.classes)} classes")
            labels = list(map(facts.classes.index, labels))
        return ImageSet(read_all(paths), torch.tensor(labels), facts, self.name, classes_are_numbers=are_numbers)

    def write(self, one: ImageSet, folder: Path) -> Path:
        """Write images, metadata, JSON description and card, and return ``folder``."""
        written = write_all(one, folder / ROWS.parent)
        rows = [
            {"file_name": path.relative_to(folder / ROWS.parent).as_posix(), "label": label} for path, label in written
        ]
        files.write_text(folder / ROWS, "".join(json.dumps(row) + "\n" for row in rows))
        listed = [path for path, _ in written] + [folder / ROWS]
        describe(one, folder / sources.NOTE, integrity.EVERYTHING, listed, **asdict(loss(one)))
        files.write_text(folder / CARD, card(one))
        return folder


def card(one: ImageSet) -> str:
    """Return the dataset card: YAML for the Hub, then pixels, normalization, labels, accuracies and recipe."""
    facts = one.facts
    title = f"{facts.dataset} distilled with {facts.method.upper()}, {facts.ipc} per class"
    names = {str(label): name for label, name in enumerate(facts.classes)}
    # ``datasets`` takes the names of classes from here only: it reads metadata.jsonl as plain numbers
    features = [{"name": "image", "dtype": "image"}, {"name": "label", "dtype": {"class_label": {"names": names}}}]
    head = {
        "pretty_name": title, "task_categories": ["image-classification"],
        "tags": ["dataset-distillation", "dataset-condensation"],
        "configs": [{"config_name": "default", "data_files": [{"split": "train", "path": "train/**"}],
                     "features": features}],
    }  # fmt: skip
    settings = "\n".join(f"| {markdown(name)} | {markdown(str(value))} |" for name, value in facts.recipe.items())
    return f"""---
{yaml.safe_dump(head, sort_keys=False, allow_unicode=True)}---
# {markdown(title)}

{len(one.images)} synthetic training images; test on the original test set of {markdown(facts.dataset)}.

- **Pixels:** 8-bit PNG; {loss(one)}.
- **Normalize them with** mean {list(facts.mean)} and std {list(facts.std)}: {FORMULA[NORMALIZED]}. No ZCA.
- **Labels:** the number in `label`; names in that order: {", ".join(map(markdown, facts.classes))}.
- **One image is one image** (decode factor 1).
{_accuracy(one)}
| setting | value |
|---|---|
{settings}
"""


def names_in_card(path: Path) -> tuple[str, ...]:
    """Return the class names that a dataset card lists for the labels (``class_label``), in label order, or none."""
    text = path.read_text(encoding="utf-8", errors="replace") if path.is_file() else ""
    found = re.match(r"---\n(.*?\n)---\n", text, re.DOTALL)
    try:
        head = yaml.safe_load(found[1]) if found else None
    except yaml.YAMLError:
        return ()
    for feature in _features(head) if isinstance(head, dict) else []:
        kind = feature.get("dtype") if isinstance(feature, dict) else None
        if isinstance(kind, dict) and isinstance(label := kind.get("class_label"), dict):
            return _names_of_label(label.get("names"))
    return ()


def _features(head: dict[str, Any]) -> list[Any]:
    """The features in the head of a card: in ``configs``, or, as the Hub itself writes them, in ``dataset_info``."""
    found: list[Any] = []
    for key in ("configs", "dataset_info"):
        infos = head.get(key)
        for info in infos if isinstance(infos, list) else [infos]:
            features = info.get("features") if isinstance(info, dict) else None
            found += features if isinstance(features, list) else []
    return found


def _names_of_label(names: Any) -> tuple[str, ...]:
    """The names in a list, or in a mapping from every label to its name, as the Hub writes them."""
    if isinstance(names, dict):
        by_label = {str(label): name for label, name in names.items()}
        names = [by_label.get(str(label)) for label in range(len(by_label))]
    is_complete = isinstance(names, list) and None not in names
    return tuple(map(str, names)) if is_complete else ()


def _accuracy(one: ImageSet) -> str:
    lines = []
    for arch, values in one.facts.origin.get("accuracies", {}).items():
        mean, networks = percent(sum(values) / len(values)), f"{len(values)} networks"
        lines.append(f"- **Accuracy of {markdown(arch)}** trained on it before rounding: {mean} % ({networks}).\n")
    return "".join(lines)
