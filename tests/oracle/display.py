"""Printed tables (screen, Markdown, LaTeX) against the oracle's entries: what stands at which place."""

from __future__ import annotations

import itertools
import re
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

from tests.oracle import records as recorded
from tests.oracle.expected import STATES, Expected, average_gain, percent, texts
from tests.oracle.parse import Printed

Place = tuple[str, str, str]  # the text of the row, of the column, and the architecture (or "")
MEAN, STD, GAIN, SHARE = "accuracy", "± std", "vs baseline", "cells done"
CELL = re.compile(r"(?P<number>.*?)(?: \((?P<difference>[+-][\d.]+[*~]*)\))?(?P<mark>[*~]*)")


@dataclass
class Plan:
    """The places of a table, as the records have them, with the entry that must be printed at each."""

    axis: str
    places: dict[Place, Expected]
    entries: list[Expected]
    several: bool  # architectures
    values: dict[str, set[str]]  # of the axis, by the name of the setting

    @classmethod
    def of(cls, lines: list[dict[str, Any]], entries: list[Expected], axis: list[str], paper: bool) -> Plan:
        """The plan of a table whose records are ``lines``; ``paper``: values are written as in the paper."""
        from ddsweep.results.tables import naming

        counted = _counted(entries, axis)
        several = any("eval_arch" in line for line in lines)
        write = _Texts(entries, counted, paper)
        places: dict[Place, Expected] = {}
        for line in lines:
            (entry,) = recorded.find(line, entries, axis)
            settings = {name: value for name, value in recorded.place(line).items() if name not in axis}
            row = " · ".join(write.named(name, value) for name, value in settings.items())
            column = " × ".join(write(name, line[name]) for name in axis)
            column = "baseline" if "baseline" in [line[name] for name in axis] else column
            places[_plain(row), _plain(column), entry.arch if several else ""] = entry
        head = " × ".join("n_archs" if name == "ptm_archs" and counted else name for name in axis)
        values = {naming.field(name): {write(name, entry.fields[name]) for entry in entries} for name in axis}
        return cls(naming.field(head), places, entries, several, values)

    def known(self, place: Place) -> Place:
        """A place as the plan has it: in the last resort, a table has the settings of its axis in its rows, too."""
        row, column, arch = (_plain(text) for text in place)
        if (row, column, arch) in self.places:
            return row, column, arch
        parts = [part for part in row.split(" · ") if not self._along(part)]
        return " · ".join(parts), column, arch

    def _along(self, part: str) -> bool:
        """Whether a part of a row's label is a value of the axis."""
        return any(
            part.removeprefix(name).strip() in texts_ and (part.startswith(name) or part in texts_)
            for name, texts_ in self.values.items()
        )


def _plain(label: str) -> str:
    """A label without the blanks around an empty value."""
    return " ".join(label.split())


def _counted(entries: list[Expected], axis: list[str]) -> bool:
    """With another axis, sets of architectures are written as their sizes, if these differ."""
    sets = {entry.fields["ptm_archs"] for entry in entries if entry.fields["ptm_archs"]}
    return len(axis) > 1 and "ptm_archs" in axis and len(sets) == len({one.count("+") for one in sets})


class _Texts:
    """The text of a value in one table."""

    def __init__(self, entries: list[Expected], counted: bool, paper: bool) -> None:
        self._entries, self._counted, self._paper = entries, counted, paper

    def __call__(self, name: str, value: Any) -> str:
        from ddsweep.results.tables import naming

        if name == "ptm_archs" and self._counted:
            return str(len(value.split("+"))) if value else "0"
        fields = [entry.fields for entry in self._entries]
        known = texts([one["target"] if (name, one[name]) == ("source", "target") else one[name] for one in fields])
        text = next((text for one, text in known.items() if recorded.equal(one, value)), str(value))
        if not self._paper:
            return text
        named = [naming.value(name, one) for one in known.values()]
        own = naming.value(name, text)
        return text if named.count(own) > 1 else own

    def named(self, name: str, value: Any) -> str:
        from ddsweep.results.tables import naming

        text = self(name, value)
        return text if name in ("method", "target", "source") else f"{naming.field(name)} {text}"


def number(entry: Expected) -> str:
    """Mean, std and share of an entry; without a result, the states of its cells."""
    if entry.accuracy is None:
        counts = {state: entry.states[state] for state in STATES if entry.states[state]}
        return next(iter(counts)) if len(counts) == 1 else ", ".join(f"{n} {state}" for state, n in counts.items())
    done, cells = entry.states["done"], len(entry.cells)
    share = f" [{done}/{cells}]" if done < cells else ""
    return f"{percent(entry.accuracy)} ± {percent(entry.std)}{share}"


def difference(entry: Expected) -> str:
    """The difference with its mark."""
    return percent(entry.difference, sign=True) + ("~" if entry.unpaired else entry.mark)


def problems(plan: Plan, printed: Printed, *, latex: bool = False) -> Iterator[str]:
    """What is wrong with a printed table."""
    found = {plan.known(place): parts for place, parts in _read(printed, plan, latex)}
    for place in plan.places.keys() - found.keys():
        yield f"nothing is printed at {place}; there is {sorted(found)[:6]}"
    for place in found.keys() - plan.places.keys():
        yield f"{found[place]} is printed at {place}; there should be {sorted(plan.places)[:6]}"
    for place, entry in plan.places.items():
        if place not in found:
            continue
        expected: dict[str, str] = {"number": number(entry), "difference": difference(entry)}
        expected["mark"] = expected["difference"].lstrip("+-.0123456789")
        if plan.several:
            alike = [one for one in plan.entries if one.fields == entry.fields]
            expected["gain"] = percent(average_gain(alike), sign=True) or "–"
        for part, text in found[place].items():
            if _same(text) != _same(expected[part]):
                yield f"{part} at {place} is {text!r}, not {expected[part]!r}"


def of_search(lines: list[dict[str, Any]], entries: list[Expected], printed: Printed) -> Iterator[str]:
    """What is wrong with the printed trials of a search: a line each, the best first."""
    found = [recorded.find(line, entries, []) for line in lines]
    if any(len(some) != 1 for some in found):
        return  # the records are wrong
    trials = [some[0] for some in found]
    accuracies = [-1.0 if entry.accuracy is None else entry.accuracy for entry in trials]
    if any(one < other - 1e-12 for one, other in itertools.pairwise(accuracies)):
        yield f"the trials are not in the order of their accuracies: {accuracies}"
    write = _Texts(entries, counted=False, paper=True)
    count = len(recorded.place(lines[0])) - 1 if lines else 0
    for line, entry, shown in zip(lines, trials, _filled(printed.lines, count), strict=True):
        labels = [write(name, value) for name, value in recorded.place(line).items()]
        labels = [f"{labels[0]} (baseline)", *labels[1:]] if entry.is_baseline else labels
        gain = percent(entry.difference, sign=True) + ("~" if entry.unpaired else "")
        has_gain = GAIN in printed.heads
        expected = [*labels, number(entry), *([gain] if has_gain else [])]
        if not has_gain and gain:
            yield f"the difference {gain} of {labels} is not printed"
        if [_plain(text) for text in shown[: len(expected)]] != [_plain(text) for text in expected]:
            yield f"the line is {shown}, not {expected}"


def footer(entries: list[Expected], baseline: bool, below: str) -> Iterator[str]:
    """What is wrong with the lines below a table: seeds in common, incomplete entries, entries without a baseline."""
    compared = [one for one in entries if one.baseline and not one.is_baseline and one.pairs]
    counts = {
        f"{one.common[0]} of {one.common[1]} seeds in common" for one in compared if one.common[0] < one.common[1]
    }
    found = {f"{match} seeds in common" for match in re.findall(r"(\d+ of \d+) seeds in common", below)}
    if counts != found:
        yield f"the lines below say {sorted(found)}, not {sorted(counts)}"
    said = {
        "incomplete:": any(0 < one.states["done"] < len(one.cells) for one in entries),
        "to compare with:": baseline and any(one.baseline is None for one in entries),
        "no seed in common": any(one.unpaired for one in entries),
        "too few to test": bool(compared) and max(len(one.pairs) for one in compared) < 6,
    }
    for text, wanted in said.items():
        if (text in below.lower()) != wanted:
            yield f"the lines below {'lack' if wanted else 'say'} {text!r}"


def _same(text: str) -> str:
    """Whether zero has a plus sign, and which minus is printed, are not numbers."""
    return text.replace("−", "-").replace("--", "–")


def _read(printed: Printed, plan: Plan, latex: bool) -> Iterator[tuple[Place, dict[str, str]]]:
    heads = printed.heads
    if latex:
        yield from _read_latex(printed, plan)
    elif plan.several:
        yield from _read_archs(printed)
    elif heads[0] == "setting":
        for line in _filled(printed.lines, 1):
            yield (line[0], line[1], ""), {"number": line[2], "difference": _gain(line[3])}
    elif any(line[0].endswith(MEAN) for line in printed.lines):
        yield from _read_across(printed)
    elif GAIN in heads:
        for line in printed.lines:
            for index in range(1, len(heads), 2):
                if line[index] != "·":
                    place = (heads[index].removesuffix(MEAN) if heads[index] == MEAN else heads[index], line[0], "")
                    yield place, {"number": line[index], "difference": _gain(line[index + 1])}
    else:
        for line in printed.lines:
            for head, text in zip(heads[1:], line[1:], strict=True):
                if text:
                    yield ("" if head == MEAN else head, line[0], ""), _cell(text)


def _gain(text: str) -> str:
    return "" if text in ("–", "·") else text


def _cell(text: str) -> dict[str, str]:
    match = CELL.fullmatch(text)
    assert match
    return {"number": match["number"], "difference": match["difference"] or ""}


def _read_across(printed: Printed) -> Iterator[tuple[Place, dict[str, str]]]:
    """The axis across: three or four lines for each setting."""
    blocks: list[tuple[str, dict[str, list[str]]]] = []
    for line in printed.lines:
        if line[0].endswith(MEAN):
            blocks.append((line[0].removesuffix(MEAN).strip(), {}))
        blocks[-1][1][MEAN if line[0].endswith(MEAN) else line[0]] = line[1:]
    for label, lines in blocks:
        for index, column in enumerate(printed.heads[1:]):
            mean, std, gain = (lines[name][index] for name in (MEAN, STD, GAIN))
            share = lines[SHARE][index] if SHARE in lines else "all"
            if mean == "·":
                continue
            text = mean if std == "·" else f"{mean} ± {std}" + ("" if share == "all" else f" [{share}]")
            yield (label, column, ""), {"number": text, "difference": _gain(gain)}


def _read_archs(printed: Printed) -> Iterator[tuple[Place, dict[str, str]]]:
    """A line per setting and value of the axis, a column per architecture, and the average gain."""
    labels = 2 if printed.heads[0] == "setting" else 1
    for line in _filled(printed.lines, labels - 1):
        row, column = ("", *line[:labels])[-2:]
        for head, text in zip(printed.heads[labels:-1], line[labels:-1], strict=True):
            if text:
                match = CELL.fullmatch(text)
                assert match
                yield (row, column, head), {"number": match["number"], "mark": match["mark"], "gain": line[-1]}


def _read_latex(printed: Printed, plan: Plan) -> Iterator[tuple[Place, dict[str, str]]]:
    """Each setting of a row in a column of its own; here they are joined as on the screen, by the names in the head."""
    from ddsweep.registry.networks import paper_name

    archs = {paper_name(arch): arch for _, _, arch in plan.places}
    labels = printed.labels
    count = labels - 1 if plan.several else labels
    for line in _filled(printed.lines, count):
        row = " · ".join(_labeled(head, text) for head, text in zip(printed.heads[:count], line[:count], strict=True))
        row = "" if row in ("accuracy", " accuracy") else row
        if plan.several:
            for head, text in zip(printed.heads[labels:-1], line[labels:-1], strict=True):
                match = CELL.fullmatch(text)
                if text and match:
                    found = {"number": match["number"], "mark": match["mark"], "gain": line[-1]}
                    yield (row, line[labels - 1], archs[head]), found
            continue
        for head, text in zip(printed.heads[labels:], line[labels:], strict=True):
            match = CELL.fullmatch(text)
            if text and match:
                yield (row, head, ""), {"number": match["number"], "mark": match["mark"]}


def _labeled(head: str, text: str) -> str:
    if head.lower() in ("method", "target", "source", ""):
        return text
    word = head.isascii() and head.isalpha() and head not in ("IPC", "PTMs")  # LaTeX begins words with a capital
    return f"{head.lower() if word else head} {text}"


def _filled(lines: list[list[str]], count: int) -> Iterator[list[str]]:
    """The lines with the labels that repeat the line above."""
    above: list[str] = [""] * count
    for line in lines:
        for index in range(count):
            if line[index]:
                above = [*above[:index], *line[index:count]]
                break
        yield [*above, *line[count:]]
