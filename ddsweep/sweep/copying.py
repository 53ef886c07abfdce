"""A sweep file of one's own from one that is there: the text with its comments, or a new text for the same cells.

Only what has to change is changed, in place: YAML's parser says where each value stands. What comes out is read again,
and has to be the same sweep; where it is not (a file with aliases, say) it is written anew, without the comments.
"""

from __future__ import annotations

import re
import tempfile
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import yaml

from ddsweep.errors import UserError
from ddsweep.sweep import wandb
from ddsweep.sweep.document import SweepFile, read, validate
from ddsweep.sweep.grid import Sweep
from ddsweep.sweep.loading import load
from ddsweep.sweep.registry import DEFAULT_PROFILE

Edit = tuple[int, int, str]  # characters from … to, and what stands there instead


def copied(path: Path, sweep: Sweep, target: Path, said: str = "") -> str:
    """The text of ``path`` for a file ``target``, with the values of ``sweep``.

    Args:
        path: the file that the sweep was read from.
        sweep: it, with the profile and the settings that are to be joined in.
        target: what the copy will be called.
        said: what was joined in, for the head of the copy; empty: nothing, and the text stays as it is.

    Raises:
        UserError: it cannot be written as a file that says the same.
    """
    text = path.read_text(encoding="utf-8")
    root = yaml.compose(text, Loader=yaml.SafeLoader)
    assert isinstance(root, yaml.MappingNode), "it was read as a sweep"
    document = validate(SweepFile, read(path), path)
    edits = list(_renamed(root, path.stem, target.stem))
    if said:
        edits += _joined(text, root, document, sweep)
    head = re.compile(rf"\A# ddsweep launch {re.escape(path.stem)}\n")
    edited = head.sub("", _edited(text, edits))
    result = f"{_head(target, said)}{edited}"
    return result if not said or _says(result, sweep, target) else written(sweep, target, said)


def written(sweep: Sweep, target: Path, said: str) -> str:
    """A file that says what ``sweep`` is, without the comments that its own has.

    Raises:
        UserError: it cannot be written as a file that says the same.
    """
    extra: dict[str, Any] = {"title": sweep.title, "paper": sweep.paper, "axis": list(sweep.axis)}
    extra |= {"baseline": sweep.baseline, "exclude": list(sweep.exclude), "max_attempts": sweep.max_attempts}
    document: dict[str, Any] = {"method": "grid", "metric": {"name": "accuracy", "goal": "maximize"}}
    document["parameters"] = {name: _value(values) for name, values in sweep.parameters.items()}
    if sweep.search:
        document |= {"method": sweep.search.method, "run_cap": sweep.search.run_cap}
        document["parameters"] |= {name: one.written() for name, one in sweep.search.ranges.items()}
        extra["objectives"] = list(sweep.search.objectives)
        if sweep.search.early:
            document["early_terminate"] = sweep.search.early.written()
    document["x-ddsweep"] = {key: value for key, value in extra.items() if value} | {"pictures": list(sweep.pictures)}
    text = _head(target, said) + wandb.text(document)
    if not _says(text, sweep, target):
        raise UserError(f"{target}: {sweep.full_name} cannot be written as a file that says the same")
    return text


def _head(target: Path, said: str) -> str:
    joined = f"# {said}: its values stand below, so launch it without --profile\n" if said else ""
    return f"# ddsweep launch {target.name}\n{joined}"


def _says(text: str, sweep: Sweep, target: Path) -> bool:
    """Whether a text, as a file of that name, is this sweep."""
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder, target.name)
        path.write_text(text, encoding="utf-8")
        try:
            found = load(str(path)).definition()
        except UserError:
            return False
    name = {"name": sweep.name, "profile": sweep.profile}
    return found | name == sweep.definition()


def _renamed(root: yaml.MappingNode, name: str, new: str) -> Iterator[Edit]:
    """``command`` names the sweep."""
    for word in getattr(_top(root).get("command"), "value", ()):
        if isinstance(word, yaml.ScalarNode) and word.value.partition("@")[0] == name and "@" in word.value:
            yield word.start_mark.index, word.end_mark.index, f"{new}@{DEFAULT_PROFILE}"


def _joined(text: str, root: yaml.MappingNode, document: SweepFile, sweep: Sweep) -> Iterator[Edit]:
    """What the sweep has and the file has not; and no ``profiles``, which would overrule what is written now."""
    parameters = _top(root)["parameters"]
    pairs = {key.value: (key, value) for key, value in parameters.value}
    for name, (key, value) in pairs.items():
        own = document.parameters[name]
        now = sweep.parameters.get(name)
        then = (own.value,) if own.value is not None else tuple(own.values or ())
        if now is not None and now != then:
            yield _replaced(text, key, value, _flow(_value(now, many=own.values is not None)))
    last = _line_end(text, max(_end(value) for _, value in pairs.values()))
    indent = " " * parameters.value[0][0].start_mark.column
    new = (name for name in sweep.parameters if name not in pairs)
    yield last, last, "".join(f"{indent}{name}: {_flow(_value(sweep.parameters[name]))}\n" for name in new)
    for key, value in _top(root)["x-ddsweep"].value:
        if key.value == "profiles":
            yield key.start_mark.index - key.start_mark.column, _line_end(text, _end(value)), ""


def _replaced(text: str, key: yaml.Node, value: yaml.Node, new: str) -> Edit:
    between = text[key.end_mark.index : value.start_mark.index]
    if "\n" in between and "#" not in between:  # a block becomes one line
        return key.end_mark.index, _end(value), f": {new}"
    return value.start_mark.index, _end(value), new


def _end(node: yaml.Node) -> int:
    """Where a value ends; YAML's own mark of a block is where the next one begins, behind the comments."""
    if isinstance(node, yaml.ScalarNode) or getattr(node, "flow_style", True) or not node.value:
        return int(node.end_mark.index)
    last = node.value[-1]
    return _end(last[1] if isinstance(last, tuple) else last)


def _line_end(text: str, index: int) -> int:
    """Behind the line that ``index`` is in."""
    found = text.find("\n", index)
    return len(text) if found < 0 else found + 1


def _edited(text: str, edits: list[Edit]) -> str:
    for start, end, new in sorted(edits, reverse=True):
        text = text[:start] + new + text[end:]
    return text


def _value(values: tuple[Any, ...], many: bool = False) -> dict[str, Any]:
    return {"values": list(values)} if many or len(values) > 1 else {"value": values[0]}


def _flow(value: Any) -> str:
    return yaml.safe_dump(value, default_flow_style=True, width=10**6, allow_unicode=True).strip()


def _top(root: yaml.MappingNode) -> dict[str, Any]:
    return {key.value: value for key, value in root.value}
