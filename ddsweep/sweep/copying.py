"""Copies of sweep files for users to edit: the original text with its comments, or a new file for the same cells.

ruamel.yaml edits the file and keeps comments, styles and quotes. But it normalizes spaces and line breaks everywhere
and drops comments inside flow lists that span several lines. So the copy takes only the edited lines from it and keeps
all others as the user wrote them. Every copy is loaded to check that it is the same sweep; if it is not, a new file is
written, without the comments.
"""

from __future__ import annotations

import io
import re
import tempfile
from collections.abc import Iterator
from dataclasses import replace
from difflib import SequenceMatcher
from pathlib import Path
from typing import Any

from ruamel.yaml import YAML
from ruamel.yaml.comments import CommentedMap, CommentedSeq
from ruamel.yaml.error import MarkedYAMLError
from ruamel.yaml.resolver import VersionedResolver

from ddsweep import again
from ddsweep.errors import UserError
from ddsweep.sweep import wandb
from ddsweep.sweep.document import SweepFile, read, validate
from ddsweep.sweep.grid import Sweep
from ddsweep.sweep.loading import load
from ddsweep.sweep.registry import DEFAULT_PROFILE, profiles

Line = tuple[list[str], str]  # the comments and blank lines above a line, and the line


def copied(path: Path, sweep: Sweep, target: Path, note: str = "") -> str:
    """Return the text of ``path`` as a file ``target`` with the values of ``sweep``.

    Args:
        path: the file that the sweep was loaded from.
        sweep: the sweep, with the profile and the settings to write into the copy.
        target: the path of the copy.
        note: the profile and the settings, for the header of the copy; empty: the values stay as they are.

    Raises:
        UserError: the file has a duplicate key, or the sweep cannot be written as a file.
    """
    text = path.read_text(encoding="utf-8-sig")
    document = _parsed(text, path)
    before = _dumped(document)
    _rename(document, path.stem, target.stem)
    if note:
        _write_values(document, sweep, validate(SweepFile, read(path), path))
    elif sweep.origin and sweep.origin.shipped:
        _write_profiles(document, path)
    after = _dumped(document)
    for edited in (_merged(text, before, after), after):
        result = _header(target, note) + edited.removeprefix(f"# ddsweep launch {path.stem}\n")
        if _describes(result, sweep, target):
            return result
    return written(sweep, target, note)


def written(sweep: Sweep, target: Path, note: str) -> str:
    """Return the text of a new file ``target`` that describes ``sweep``, without the comments of its own file.

    Raises:
        UserError: the sweep cannot be written as a file.
    """
    extra: dict[str, Any] = {"title": sweep.title, "paper": sweep.paper, "axis": list(sweep.axis)}
    extra |= {"baseline": sweep.baseline, "exclude": list(sweep.exclude), "max_attempts": sweep.max_attempts}
    document: dict[str, Any] = {"method": "grid", "metric": {"name": "accuracy", "goal": "maximize"}}
    document["parameters"] = {name: _entry(values) for name, values in sweep.parameters.items()}
    if sweep.search:
        document |= {"method": sweep.search.method, "run_cap": sweep.search.run_cap}
        document["parameters"] |= {name: range_.to_wandb() for name, range_ in sweep.search.ranges.items()}
        extra["objectives"] = list(sweep.search.objectives)
        if sweep.search.early:
            document["early_terminate"] = sweep.search.early.to_wandb()
    document["x-ddsweep"] = {key: value for key, value in extra.items() if value} | {"pictures": list(sweep.pictures)}
    text = _header(target, note) + wandb.text(document)
    if not _describes(text, sweep, target):
        raise UserError(f"{target}: {sweep.full_name} cannot be written as a sweep file")
    return text


def _header(target: Path, note: str) -> str:
    values = f"# {note}: its values are written below, so launch it without --profile\n" if note else ""
    return f"# {again.written('ddsweep', 'launch', target.name)}\n{values}"


def _describes(text: str, sweep: Sweep, target: Path) -> bool:
    """Whether ``text`` in a file of that name is the same sweep."""
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder, target.name)
        path.write_text(text, encoding="utf-8")
        try:
            copied = load(str(path))
        except UserError:
            return False
    same = replace(copied, name=sweep.name, profile=sweep.profile, source=sweep.source)
    return same.definition() == sweep.definition()


def _parsed(text: str, path: Path) -> CommentedMap:
    """The document that ruamel.yaml reads.

    Raises:
        UserError: it has a duplicate key, or is YAML that only PyYAML, and so ``document.read``, accepts.
    """
    try:
        document = _yaml().load(text)
    except MarkedYAMLError as error:
        problem = str(error.problem).partition(" with value")[0]
        line = f", line {error.problem_mark.line + 1}" if error.problem_mark else ""
        raise UserError(f"{path}{line}: cannot be copied ({problem})") from None
    assert isinstance(document, CommentedMap), "it was loaded as a sweep"
    return document


class _Resolver(VersionedResolver):
    """Keeps numbers, dates and words like ``yes`` as the text that the user wrote; merges ``<<``."""

    @property
    def versioned_resolver(self) -> dict[str, list[tuple[str, re.Pattern[str]]]]:
        return {
            "<": [("tag:yaml.org,2002:merge", re.compile("<<$"))],
            "": [("tag:yaml.org,2002:null", re.compile("$"))],
        }


def _yaml() -> YAML:
    yaml = YAML()
    yaml.Resolver = _Resolver
    yaml.preserve_quotes = True
    yaml.width = 10**6  # a long line stays a line
    return yaml


def _dumped(document: CommentedMap) -> str:
    yaml = _yaml()
    indents = dict(reversed([*_indents(document)]))  # of the first block where they differ
    yaml.indent(**{"mapping": 2, "sequence": 4, "offset": 2} | indents)
    stream = io.StringIO()
    yaml.dump(document, stream)
    return stream.getvalue()


def _indents(parent: CommentedMap) -> Iterator[tuple[str, int]]:
    """The indentation of each nested block, as arguments of ``YAML.indent``."""
    for child in parent.values():
        if not isinstance(child, CommentedMap | CommentedSeq) or child.fa.flow_style() or not child:
            continue
        if isinstance(child, CommentedMap):
            yield "mapping", child.lc.col - parent.lc.col
            yield from _indents(child)
        else:
            yield "sequence", child.lc.item(0)[1] - parent.lc.col
            yield "offset", child.lc.col - parent.lc.col


def _rename(document: CommentedMap, name: str, new: str) -> None:
    """Rename the sweep in ``command``."""
    command = document.get("command", [])
    for place, word in enumerate(command):
        if isinstance(word, str) and "@" in word and word.partition("@")[0] == name:
            command[place] = type(word)(f"{new}@{DEFAULT_PROFILE}")


def _write_values(document: CommentedMap, sweep: Sweep, file: SweepFile) -> None:
    """Set the values of ``sweep`` where the file has others; drop ``profiles``, which would override them."""
    parameters = document["parameters"]
    for name, values in sweep.parameters.items():
        own = file.parameters.get(name)
        if own is None:
            parameters[name] = _fragment(_entry(values))
        elif values != ((own.value,) if own.value is not None else tuple(own.values or ())):
            _replace(parameters, name, _fragment(_entry(values, many=own.values is not None)))
    document["x-ddsweep"].pop("profiles", None)


def _write_profiles(document: CommentedMap, path: Path) -> None:
    """Write down what each profile replaces in a sweep that ships: in a user's file, it replaces only what it says."""
    written = document["x-ddsweep"].get("profiles", {})
    new: dict[str, Any] = {}
    for profile in profiles():
        try:
            origin = load(str(path), profile).origin
        except UserError:  # a profile of the user's own that does not fit
            continue
        assert origin is not None
        said = written.get(profile, {})
        replaced = {
            field: list(values) for field, values in origin.profile.items()
            if field in document["parameters"] and field not in said and values != origin.file.get(field)
        }  # fmt: skip
        if said:
            said.update(_fragment(replaced))
        elif replaced:
            new[profile] = replaced
    if written:
        written.update(_fragment(new))
    elif new:
        document["x-ddsweep"]["profiles"] = _fragment(new)


def _replace(parameters: CommentedMap, name: str, new: CommentedMap) -> None:
    """Replace the value of a parameter. A block keeps its layout; aliases of the old value keep it."""
    entry = parameters[name]
    if entry.fa.flow_style() or entry.anchor.value is not None:
        parameters[name] = new
        return
    for key in [key for key in entry if key not in new]:
        del entry[key]
    for key, value in new.items():
        if isinstance(entry.get(key), CommentedSeq) and entry[key].anchor.value is None:
            del entry[key][:]
            entry[key].extend(value)
        else:
            entry[key] = value


def _entry(values: tuple[Any, ...], many: bool = False) -> dict[str, Any]:
    return {"values": list(values)} if many or len(values) > 1 else {"value": values[0]}


def _fragment(entry: dict[str, Any]) -> CommentedMap:
    """An entry in flow style, with scalars that every parser reads alike: 1.0e-05 is a number and 'yes' is text."""
    fragment = _yaml().load(wandb.text(entry))
    fragment.fa.set_flow_style()
    return fragment


def _merged(text: str, before: str, after: str) -> str:
    """The lines of ``text`` with the changes from ``before`` to ``after``, which are as ruamel.yaml writes the file.

    Comments and blank lines belong to the line below them.
    """
    own, end = _lines(text)
    old, new = ([line for _, line in _lines(dumped)[0]] for dumped in (before, after))
    starts = _starts(old, new)
    merged = new[: starts[0]]
    for first, last, lines in _aligned(old, own):
        changed = new[starts[first] : starts[last]]
        kept = last - first
        if changed[:kept] == old[first:last]:
            merged += [part for above, line in lines for part in (*above, line)] + changed[kept:]
        elif changed:
            merged += [*(lines[0][0] if lines else ()), *changed]
    return "\n".join([*merged, *end])


def _lines(text: str) -> tuple[list[Line], list[str]]:
    """Each line of content with the comments and blank lines above it; and those at the end of the text."""
    lines: list[Line] = []
    above: list[str] = []
    for line in text.split("\n"):
        if line.strip() and not line.lstrip().startswith("#"):
            lines.append((above, line))
            above = []
        else:
            above = [*above, line]
    return lines, above


def _aligned(old: list[str], own: list[Line]) -> Iterator[tuple[int, int, list[Line]]]:
    """Ranges of ``old``, each with the user's lines of the same content, which may differ in whitespace."""
    squeezed = ["".join(line.split()) for line in old], ["".join(line.split()) for _, line in own]
    for tag, first, last, own_first, own_last in SequenceMatcher(None, *squeezed, autojunk=False).get_opcodes():
        if tag == "equal":
            yield from ((first + i, first + i + 1, [own[own_first + i]]) for i in range(last - first))
        else:
            yield first, last, own[own_first:own_last]


def _starts(old: list[str], new: list[str]) -> list[int]:
    """For each line of ``old``, and for its end, the index of the first line of ``new`` that corresponds to it.

    Lines with the same key correspond; an added line belongs to the line above it.
    """
    keys = [line.partition(":")[0] for line in old], [line.partition(":")[0] for line in new]
    starts: list[int] = []
    for tag, first, last, new_first, new_last in SequenceMatcher(None, *keys, autojunk=False).get_opcodes():
        if tag == "equal":
            starts += range(new_first, new_last)
        elif last > first:
            starts += [new_first] + [new_last] * (last - first - 1)
    return [*starts, len(new)]
