"""Tables as lines of text, for the terminal and for Markdown."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass

from ddsweep import percent
from ddsweep.registry.rules import title
from ddsweep.results.states import State
from ddsweep.results.tables import naming, significance
from ddsweep.results.tables.comparison import Comparison, Line
from ddsweep.results.tables.naming import BASELINE, Labels
from ddsweep.results.tables.paper import MARKS
from ddsweep.results.tables.table import Entry, Row, Table, average_gain, setting_of
from ddsweep.text import joined, plural

MOST = 12  # entries that a note lists; ``results --cells`` lists all


@dataclass(frozen=True)
class Grid:
    """Lines of text with column heads.

    Attributes:
        heads: the heads, one per column.
        labels: number of label columns, which come first; the others are numbers.
        lines: the texts, one list per line.
        bold: indices of the lines that are bold.
    """

    heads: list[str]
    labels: int
    lines: list[list[str]]
    bold: frozenset[int] = frozenset()


def setting_label(row: Row, labels: Labels) -> str:
    """Return the setting of a row: ``dm · IPC 10``."""
    return naming.setting(setting_of(row), as_paper=False, labels=labels)


def number(entry: Entry) -> str:
    """Return ``88.2 ± 0.4``, with ``[4/6]`` if only four of six cells are done; without a mean, the states."""
    if entry.mean is None:
        return absent(entry)
    return " ".join(filter(None, [percent.mean_std(entry.mean, entry.std), share(entry)]))


def share(entry: Entry) -> str:
    """Return ``[4/6]`` if four of six cells are done, and an empty text if all are."""
    return f"[{entry.done}/{len(entry.cells)}]" if 0 < entry.done < len(entry.cells) else ""


def absent(entry: Entry) -> str:
    """Return the state of the cells without a result: ``failed``, or ``2 failed, 1 waiting`` if they differ."""
    counts = entry.counts
    return next(iter(counts)).value if len(counts) == 1 else counted(counts)


def counted(counts: Mapping[State, int]) -> str:
    """Return ``2 failed, 1 waiting``."""
    return ", ".join(f"{count} {state}" for state, count in counts.items() if count)


def plain(entry: Entry) -> str:
    """Return ``88.2 ± 0.4 (+2.1*)``; without a mean, the states."""
    return number(entry) if entry.difference is None else f"{number(entry)} ({points(entry.difference)}{mark(entry)})"


def mark(entry: Entry) -> str:
    """Return ``*`` or ``**`` for a significant difference, ``~`` for one that is not paired (``significance``)."""
    return entry.verdict.mark if entry.verdict else ""


def points(difference: float | None) -> str:
    """Return a difference in percentage points, as ``+2.1``; empty for None."""
    return "" if difference is None else percent.points(difference)


def by_axis(table: Table) -> Grid:
    """Return values of the axis as lines and settings as columns; each entry with the difference to its baseline."""
    names = [setting_label(row, table.labels) or "accuracy" for row in table.rows]
    lines = [[column, *(plain(row[column]) if column in row else "" for row in table.rows)] for column in table.columns]
    return Grid([naming.field(table.axis), *names], 1, lines)


def by_eval_arch(table: Table) -> Grid:
    """Return settings and values of the axis as lines, evaluated architectures as columns, with the average gain."""
    lines = []
    for rows in table.settings:
        label = setting_label(rows[0], table.labels)
        for column in table.columns:
            entries = {row[column].eval_arch: row[column] for row in rows if column in row}
            if not entries:
                continue
            numbers = [_marked(entries.get(arch)) for arch in table.eval_archs]
            lines.append([label, column, *numbers, points(average_gain(rows, column)) or "–"])
    heads = ["setting", naming.field(table.axis), *table.eval_archs, "average gain"]
    return without_empty(Grid(heads, 2, lines))


def _marked(entry: Entry | None) -> str:
    return number(entry) + mark(entry) if entry else ""


def over(shown: Sequence[Entry]) -> str:
    """Return what numbers are averaged over: ``mean ± std over 6 networks of 2 seeds``, and what is unfinished."""
    counts = {entry.n for entry in shown if entry.n}
    seeds = {len(entry.samples) for entry in shown if entry.n}
    used = sorted({seed for entry in shown for seed in entry.samples})
    if not counts:
        networks = "no networks yet"
    else:
        of = f"seed {used[0]}" if len(used) == 1 else f"{span(seeds)} {'seed' if seeds == {1} else 'seeds'}"
        networks = f"{span(counts)} {'network' if counts == {1} else 'networks'} of {of}"
    states = {key: one.state for entry in shown for key, one in entry.states.items()}
    left: Counter[State] = Counter(states.values())
    del left[State.DONE]
    rest = f"; of {plural(len(states), 'cell')}, {counted({s: left[s] for s in State if left[s]})}" if left else ""
    return f"mean ± std over {networks}{rest}"


def span(counts: Iterable[int]) -> str:
    """Return ``3``, or ``3–6`` if there are several."""
    known = sorted(counts)
    return "–".join(map(str, dict.fromkeys((known[0], known[-1]))))


def statement(table: Table) -> str:
    """Return the significance test behind the marks of a table, with the number of pairs."""
    return significance.statement(table.verdicts)


def notes(table: Table) -> list[str]:
    """Return what a reader must know: evaluation rules, seeds in common, no baseline, cells without a result."""
    return list(filter(None, [rules(table.entries), _in_common(table), _without_baseline(table), _incomplete(table)]))


def rules(shown: Sequence[Entry]) -> str:
    """Return the evaluation rules of numbers and which tests count under each; empty if it is the paper's for all."""
    methods: dict[str, dict[str, None]] = {}
    for entry in shown:
        own = naming.value("method", entry.recipe.method)
        methods.setdefault(entry.recipe.eval_rule, {})[own] = None
    if set(methods) <= {"paper"}:
        return ""
    named = {name: title(name, naming.value("eval_rule", name)) for name in methods}
    if len(named) == 1:
        return f"evaluation rule {named.popitem()[1]}"
    apart = sum(map(len, methods.values())) == len({one for some in methods.values() for one in some})
    parts = [f"{text} for {', '.join(methods[name])}" if apart else text for name, text in named.items()]
    return f"evaluation rules: {'; '.join(parts)}"


def _in_common(table: Table) -> str:
    places: dict[str, list[str]] = {}
    for row, entry in _placed(table):
        if entry.verdict and 0 < entry.verdict.common < entry.verdict.seeds:
            counts = f"{entry.verdict.common} of {plural(entry.verdict.seeds, 'seed')} in common"
            places.setdefault(counts, []).append(_named(table, row, entry))
    parts = [f"{counts} ({_listed(some)})" for counts, some in places.items()]
    return f"compared with the baseline on {'; '.join(parts)}" if parts else ""


def _without_baseline(table: Table) -> str:
    if not table.baseline:
        return ""
    alone = [_named(table, row, entry) for row, entry in _placed(table) if not (entry.baseline or entry.compared)]
    return f"no cell with {table.baseline} to compare with: {_listed(alone)}" if alone else ""


def _incomplete(table: Table) -> str:
    parts = [f"{_named(table, row, entry)} ({counted(entry.counts)})" for row, entry in _placed(table) if share(entry)]
    return f"incomplete: {_listed(list(dict.fromkeys(parts)))}" if parts else ""


def _listed(parts: Sequence[str]) -> str:
    more = f" and {len(parts) - MOST} more" if len(parts) > MOST else ""
    return ", ".join(parts[:MOST]) + more


def _placed(table: Table) -> list[tuple[Row, Entry]]:
    return [(row, row[column]) for row in table.rows for column in table.columns if column in row]


def place(table: Table, row: Row, entry: Entry) -> str:
    """Return where an entry is: ``dm · IPC 10 · α 5``."""
    column = naming.label(table.axis, entry.column)
    along = column if entry.column == BASELINE else f"{naming.field(table.axis)} {column}"
    return joined(setting_label(row, table.labels), along)


def _named(table: Table, row: Row, entry: Entry) -> str:
    return joined(place(table, row, entry), entry.eval_arch if table.eval_archs else "")


def failures(table: Table) -> list[str]:
    """Return a line per entry with failed cells, and why they failed: ``failed: dm · IPC 10 · α 5: the disk was …``."""
    lines: dict[str, None] = {}
    for row, entry in _placed(table):
        reasons = entry.reasons(State.FAILED)
        lines.update({f"failed: {place(table, row, entry)}: {reason}": None for reason in reasons})
    return list(lines)


def compared(comparison: Comparison) -> Grid:
    """Return one entry per line: this sweep's accuracy, the other, the difference, and whether mean ± std overlap."""
    table = comparison.table
    heads = ["setting", "evaluated", naming.field(table.axis), "accuracy", comparison.name, "difference", "overlap"]
    lines = [_compared(line, bool(table.eval_archs), table.labels) for line in comparison.lines]
    return without_empty(Grid(heads, 3, lines))


def _compared(line: Line, several: bool, labels: Labels) -> list[str]:
    entry, other = line.entry, line.other
    return [
        setting_label({entry.column: entry}, labels),
        entry.eval_arch if several else "",
        entry.column,
        number(entry),
        f"{percent.mean_std(other.mean, other.std)} {other.mark}".rstrip() if other else "",
        points(line.difference),
        "" if line.overlap is None else "yes" if line.overlap else "no",
    ]


def without_empty(grid: Grid) -> Grid:
    """Drop the label columns that are empty in every line."""
    kept = [i for i in range(len(grid.heads)) if i >= grid.labels or any(line[i] for line in grid.lines)]
    labels = sum(i < grid.labels for i in kept)
    return Grid([grid.heads[i] for i in kept], labels, [[line[i] for i in kept] for line in grid.lines])


def remarks(comparison: Comparison) -> list[str]:
    """Return the footer of a comparison: the count of numbers found, the caveat, and the meaning of the marks."""
    found = [line.other for line in comparison.lines if line.other]
    count = f"{len(found)} of {len(comparison.lines)} entries have a number in {comparison.title}"
    marks = [f"{mark}: {text}" for mark, text in MARKS.items() if any(other.mark == mark for other in found)]
    return [count, *filter(None, [comparison.caveat]), *marks]
