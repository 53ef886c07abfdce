"""A dataset folder for the Hugging Face Hub: PNG images, ``metadata.jsonl`` and a card, without their libraries."""

from __future__ import annotations

import json
from pathlib import Path, PurePosixPath

import torch
import yaml

from ddsweep import files
from ddsweep.errors import UserError
from ddsweep.exchange import source as sources
from ddsweep.exchange.conventions import description
from ddsweep.exchange.folder import loss, read_all, write_all
from ddsweep.exchange.image_set import FORMULA, NORMALIZED, PIXELS, Facts, ImageSet
from ddsweep.exchange.source import Source

ROWS = Path("train", "metadata.jsonl")


class HuggingFace:
    """``README.md`` with the card, ``train/metadata.jsonl`` with file name and label of each image in ``train/``."""

    name = "hf"
    about = "README.md + train/metadata.jsonl + 8-bit images (Hugging Face imagefolder)"
    files: tuple[str, ...] = ()
    pixels = True

    def read(self, source: Source) -> ImageSet | None:
        """Return the images of ``train/metadata.jsonl`` in its order; the card is not read."""
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
            if inside.is_absolute() or ".." in inside.parts or not isinstance(label, int):
                raise UserError(f"{rows}: line {number}: file_name leads outside, or label is not an integer")
            paths.append(rows.parent / inside)
            labels.append(label)
        facts = source.facts or Facts(space=PIXELS, factor=1)
        return ImageSet(read_all(paths), torch.tensor(labels), facts, self.name) if paths else None

    def write(self, one: ImageSet, folder: Path) -> Path:
        """Write images, metadata, JSON description and card, and return ``folder``."""
        rows = [
            {"file_name": path.relative_to(folder / ROWS.parent).as_posix(), "label": label}
            for path, label in write_all(one, folder / ROWS.parent)
        ]
        files.write_text(folder / ROWS, "".join(json.dumps(row) + "\n" for row in rows))
        files.write_json(folder / sources.NOTE, description(one, ".", **loss(one)))
        files.write_text(folder / "README.md", card(one))
        return folder


def card(one: ImageSet) -> str:
    """Return the dataset card: YAML for the Hub, then pixels, normalization, labels, accuracies and recipe."""
    facts = one.facts
    title = f"{facts.dataset} distilled with {facts.method.upper()}, {facts.ipc} per class"
    names = {str(label): name for label, name in enumerate(facts.classes)}
    features = [{"name": "image", "dtype": "image"}, {"name": "label", "dtype": {"class_label": {"names": names}}}]
    head = {
        "pretty_name": title, "task_categories": ["image-classification"],
        "tags": ["dataset-distillation", "dataset-condensation"],
        "configs": [{"config_name": "default", "data_files": [{"split": "train", "path": "train/**"}]}],
        "dataset_info": {"features": features, "splits": [{"name": "train", "num_examples": len(one.images)}]},
    }  # fmt: skip
    clipped = f"{100 * loss(one)['clipped_share']:.1f} %"
    settings = "\n".join(f"| {name} | {value} |" for name, value in facts.recipe.items())
    return f"""---
{yaml.safe_dump(head, sort_keys=False, allow_unicode=True)}---
# {title}

{len(one.images)} synthetic training images; test on the original test set of {facts.dataset}.

- **Pixels:** 8-bit PNG; learned values were rounded to 1/255, and {clipped} of them clipped to [0, 1].
- **Normalize them with** mean {list(facts.mean)} and std {list(facts.std)}: {FORMULA[NORMALIZED]}. No ZCA.
- **Labels:** the number in `label`; names in that order: {", ".join(facts.classes)}.
- **One image is one image** (decode factor 1).
{_accuracy(one)}
| setting | value |
|---|---|
{settings}
"""


def _accuracy(one: ImageSet) -> str:
    lines = []
    for arch, values in one.facts.origin.get("accuracies", {}).items():
        mean = 100 * sum(values) / len(values)
        lines.append(
            f"- **Accuracy of {arch}** trained on it before rounding: {mean:.1f} % ({len(values)} networks).\n"
        )
    return "".join(lines)
