"""Which class of a dataset a label of a set means: classes are matched by name wherever both sides have names."""

from __future__ import annotations

import difflib
import re
import unicodedata
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from ddsweep.errors import UserError
from ddsweep.registry.classes import FRUIT, NETTE, numbered
from ddsweep.registry.datasets import FOLDER_PREFIX

WORDNET = NETTE | FRUIT
WORDNET_ID = re.compile(r"n\d{8}")
BY_WORDNET_ID = ("tinyimagenet",)  # its labels follow the sorted ids, which its class names do not show
SHOWN = 5  # class names in a message
FIX = "--classes NAME,NAME,… states the names in label order"


@dataclass(frozen=True)
class Match:
    """The classes of a set among those of a dataset.

    Attributes:
        order: for each label of the set, the label in the dataset.
        remarks: the rule that was used, if the names are not simply the same; one line each.
        warnings: why the order that was assumed may be wrong, one line each.
    """

    order: tuple[int, ...]
    remarks: tuple[str, ...] = ()
    warnings: tuple[str, ...] = ()


@dataclass(frozen=True)
class _Sides:
    """The class names to match.

    Attributes:
        theirs: of the set, in label order.
        ours: of the dataset, in label order.
        dataset: name of the dataset.
        path: of the set, for messages.
    """

    theirs: tuple[str, ...]
    ours: tuple[str, ...]
    dataset: str
    path: Path


def match(theirs: Sequence[str], ours: Sequence[str], dataset: str, path: Path, are_numbers: bool = False) -> Match:
    """Return the label of the dataset for each label of the set.

    Args:
        theirs: class names of the set in label order; none: labels are taken in the dataset's order.
        ours: class names of the dataset in label order.
        dataset: its name, for messages.
        path: path of the set, for messages.
        are_numbers: the names of the set, as of its folders, are numbers, which can be either names or labels.

    Raises:
        UserError: the set lacks a class of the dataset or has another one, or the names are ambiguous.
    """
    sides = _Sides(tuple(theirs), tuple(ours), dataset, path)
    if not theirs:
        return _in_order(sides, f"labels 0…{len(ours) - 1}")
    if sides.theirs == sides.ours:
        return Match(tuple(range(len(ours))))
    _refuse_twins(sides)
    if set(theirs) == set(ours):
        return Match(tuple(map(sides.ours.index, theirs)), ("classes matched by name",))
    return _by_number(sides) if are_numbers else _by_spelling(sides)


def listed(text: str) -> tuple[str, ...]:
    """Return the class names in ``--classes``: separated by commas, or the lines of a text file.

    Raises:
        UserError: a name is empty or occurs twice, or the file cannot be read.
    """
    if not text:
        return ()
    try:
        names = Path(text).read_text(encoding="utf-8").splitlines() if Path(text).is_file() else text.split(",")
    except (OSError, ValueError) as error:
        raise UserError(f"classes: cannot read {text}: {error}") from None
    names = [name.strip() for name in names]
    twin = next((name for index, name in enumerate(names) if name in names[:index]), None)
    if twin is not None or "" in names:
        raise UserError(f"classes: {'a name is empty' if '' in names else f'{twin!r} occurs twice'}")
    return tuple(names)


def _in_order(sides: _Sides, what: str) -> Match:
    """Take labels in the dataset's order; warn if its classes are numbers in another order."""
    ours = sides.ours
    order, remark = tuple(range(len(ours))), f"{what} are taken in the order of {sides.dataset}: {_some(ours)}"
    if ours == tuple(map(str, order)):  # the labels are the names
        return Match(order)
    ranked = sorted(map(int, ours)) if _are_whole(ours) else []
    odd = next((label for label, number in enumerate(ranked) if int(ours[label]) != number), None)
    doubt = () if odd is None else (f"label {odd} is taken for class {ours[odd]!r}; if it is another one, {FIX}",)
    return Match(order, (remark,), doubt)


def _by_number(sides: _Sides) -> Match:
    """Match numbers: 00, 01, … with classes 0, 1, …, or with the labels of any classes."""
    theirs = [int(name) for name in sides.theirs]
    if twin := next((index for index, number in enumerate(theirs) if number in theirs[:index]), 0):
        first = sides.theirs[theirs.index(theirs[twin])]
        raise UserError(f"{sides.path}: its classes {first!r} and {sides.theirs[twin]!r} are the same number")
    ours = [int(name) for name in sides.ours] if _are_whole(sides.ours) else []
    are_labels = sorted(theirs) == list(range(len(sides.ours)))
    if sorted(ours) == sorted(theirs):
        for label, name in zip(theirs, sides.theirs, strict=True):
            if are_labels and ours.index(label) != label:
                raise _ambiguous(sides, name, sides.ours[ours.index(label)])
        return Match(tuple(map(ours.index, theirs)), ("classes matched by number",))
    if not are_labels:
        raise _different(sides)
    # a dataset whose classes have no names calls them 1, 2, …: there, folder 1 is not class 1, but label 1
    is_nameless = sides.ours == numbered(len(sides.ours)) and not sides.dataset.startswith(FOLDER_PREFIX)
    for label, name in zip(theirs, sides.theirs, strict=True):
        if not is_nameless and name in sides.ours and sides.ours.index(name) != label:
            raise _ambiguous(sides, name, name)
    ordered = _in_order(sides, f"numbers {sides.theirs[theirs.index(0)]}…{sides.theirs[theirs.index(max(theirs))]}")
    return Match(tuple(theirs), ordered.remarks, ordered.warnings)


def _by_spelling(sides: _Sides) -> Match:
    """Match names that differ in spelling only: case, Unicode form, spaces or ``_ - /``, WordNet id or word."""
    theirs, ours = ([_key(name) for name in names] for names in (sides.theirs, sides.ours))
    if len(set(theirs)) == len(theirs) and len(set(ours)) == len(ours) and set(theirs) == set(ours):
        order = tuple(map(ours.index, theirs))
        pairs = ((name, sides.ours[label]) for name, label in zip(sides.theirs, order, strict=True))
        example = " is ".join(next(pair for pair in pairs if pair[0] != pair[1]))
        return Match(order, (f"classes matched by name in another spelling or by WordNet id: {example}",))
    if sides.dataset in BY_WORDNET_ID and len(theirs) == len(ours) and all(map(WORDNET_ID.fullmatch, sides.theirs)):
        ranked = sorted(sides.theirs)
        order = tuple(map(ranked.index, sides.theirs))
        return Match(order, (f"WordNet ids are taken in the order of {sides.dataset}: {_some(sides.ours)}",))
    raise _different(sides)


def _refuse_twins(sides: _Sides) -> None:
    """Raise UserError if a name occurs twice on one side."""
    for whose, names in (("the set", sides.theirs), (sides.dataset, sides.ours)):
        if twin := next((name for index, name in enumerate(names) if name in names[:index]), None):
            raise UserError(
                f"{sides.path}: classes cannot be matched by name, because {whose} has two classes called {twin!r}"
            )


def _different(sides: _Sides) -> UserError:
    """The error that names the classes which are on one side only."""
    keys = [{_key(name) for name in names} for names in (sides.theirs, sides.ours)]
    extra = [name for name in sides.theirs if name not in sides.ours and _key(name) not in keys[1]]
    missing = [name for name in sides.ours if name not in sides.theirs and _key(name) not in keys[0]]
    near = difflib.get_close_matches(extra[0], missing or sides.ours, n=1, cutoff=0.5) if extra else []
    hint = f" (did you mean {near[0]!r}?)" if near else ""
    parts = [f"{sides.dataset} has no {_named(extra)} of the set{hint}"] if extra else []
    parts += [f"the set has no {_named(missing)} of {sides.dataset}"] if missing else []
    parts = parts or [f"several of its classes have the same name but for its spelling: {_some(sides.theirs)}"]
    fix = f"; if only the names differ, {FIX}" if len(sides.theirs) == len(sides.ours) else ""
    return UserError(f"{sides.path}: {', and '.join(parts)}{fix}")


def _ambiguous(sides: _Sides, name: str, ours: str) -> UserError:
    """The error for a number that is the name of the class ``ours`` or the label of another one."""
    return UserError(
        f"{sides.path}: its class {name!r} can mean class {ours!r} of {sides.dataset}, or label {int(name)}, which is "
        f"class {sides.ours[int(name)]!r} in its order {_some(sides.ours)}; rename it as in the dataset, or {FIX}"
    )


def _key(name: str) -> str:
    """The spelling by which names are compared."""
    plain = unicodedata.normalize("NFKC", WORDNET.get(name, name)).casefold()
    return re.sub(r"[\s_/-]+", " ", plain).strip()


def _are_whole(names: Sequence[str]) -> bool:
    return all(map(str.isdecimal, names))


def _some(names: Sequence[str]) -> str:
    """The first names, and an ellipsis for the others."""
    return ", ".join(names[:SHOWN]) + (", …" if len(names) > SHOWN else "")


def _named(names: Sequence[str]) -> str:
    """``class 'a'``, ``classes 'a', 'b'``."""
    return f"class {names[0]!r}" if len(names) == 1 else f"classes {_some([repr(name) for name in names])}"
