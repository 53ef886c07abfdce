r"""Tables as LaTeX (package booktabs), to ``\input`` or paste.

A row is a setting and a column is a value of the axis, as in the paper; several evaluated architectures become the
columns, as in its Table 4. The best entries of a row are bold, compared as printed, to one decimal. An entry without a
result has the state of its cells.
"""

from __future__ import annotations

import re
import unicodedata
from collections.abc import Sequence
from dataclasses import dataclass

from ddsweep import characters, percent
from ddsweep.results.tables import by_group, layout, naming
from ddsweep.results.tables.comparison import Comparison
from ddsweep.results.tables.layout import Grid
from ddsweep.results.tables.naming import Labels
from ddsweep.results.tables.ranking import Ranking, caption, failures, grid, notes
from ddsweep.results.tables.side_by_side import Part
from ddsweep.results.tables.significance import UNPAIRED
from ddsweep.results.tables.table import Entry, Row, Table, average_gain, setting_of

# With more numbers per row, a table spans both columns of a page (WIDE), or its text is smaller (DENSE).
WIDE, DENSE = 5, 7
SIGNS = {
    "\\": r"\textbackslash{}", "{": r"\{", "}": r"\}", "_": r"\_", "%": r"\%", "&": r"\&", "#": r"\#", "$": r"\$",
    "~": r"\textasciitilde{}", "^": r"\textasciicircum{}", "<": "$<$", ">": "$>$", "|": "$|$",
    "×": r"$\times$", "·": r"$\cdot$", "±": r"$\pm$", "–": "--", "…": r"\dots{}", "−": "$-$", "≤": r"$\leq$",
    "≥": r"$\geq$", "≠": r"$\neq$", "≈": r"$\approx$", "→": r"$\to$", "°": r"$^\circ$", "µ": r"$\mu$",
    "∞": r"$\infty$", "ς": r"$\varsigma$", "ο": "o",
    "[": "{[}", "]": "{]}",  # after the end of a line, a bracket would be its argument
}  # fmt: skip
CAPITALS = "ΓΔΘΛΞΠΣΥΦΨΩ"  # those with a command of their own; the others look like Latin letters
DASHES = re.compile("(?<=-)(?=-)")  # two hyphens would become a dash
KNOWN = re.compile(r"[\x20-\x7e\xa1-\u017f‘’“”„]*")  # what every LaTeX reads
DIFFERENCE = re.compile(rf"([+-]\d+\.\d)([*{UNPAIRED}]*)")
COMMAND = r"\sim"  # of UNPAIRED in math mode
SYMBOLS = re.compile(r"\b[A-Z]_[a-z]\b|\*+")  # N_m, N_a; significance marks


@dataclass(frozen=True)
class Tabular:
    """The body of a table in LaTeX.

    Attributes:
        heads: the heads of the columns.
        labels: number of label columns, which come first; the others are numbers.
        groups: groups of rows, separated by rules.
        over: the common title above the heads of the number columns; empty: no title.
    """

    heads: list[str]
    labels: int
    groups: list[list[list[str]]]
    over: str = ""


def as_latex(part: Part) -> str:
    """Return a float with caption and label ``tab:NAME-PROFILE``, and one with the accuracies by group, if any."""
    one = part.sweep
    name = re.sub(r"[^A-Za-z0-9-]+", "-", f"{one.name}-{one.profile}")
    failed = _comments(layout.failures(part.table))
    if part.compared:
        inside, remarks = _compared(part.compared), layout.remarks(part.compared)
    else:
        inside = _by_eval_arch(part.table) if part.table.eval_archs else _by_setting(part.table)
        remarks = [layout.statement(part.table)]
    floats = [failed + _float(inside, _caption(part, remarks), name)]
    if by_group.shown(part.table):
        caption = escape(f"{_title(part)} {_sentence(by_group.CAPTION)}")
        floats.append(_float(_by_group(part.table), caption, f"{name}-groups"))
    return "\n\n".join(floats)


def _by_group(table: Table) -> Tabular:
    grid, count = by_group.across(table, as_paper=True), len(by_group.shown(table))
    lines = [[_compared_number(text) for text in line] for line in grid.lines]
    parts = [_blank(lines[start : start + count], grid.labels - 1) for start in range(0, len(lines), count)]
    return Tabular([escape(head) for head in grid.heads], grid.labels, parts)


def _comments(lines: Sequence[str]) -> str:
    """Lines for the reader of the file, in ASCII, which every LaTeX reads."""
    return "".join(f"% {characters.encodable(characters.one_line(line), 'ascii')}\n" for line in lines)


def escape(text: str) -> str:
    """Return plain text escaped for LaTeX, with the paper's symbols in math mode."""
    text = characters.one_line(text)
    symbols = [f"$^{{{one}}}$" if one.startswith("*") else f"${one}$" for one in SYMBOLS.findall(text)]
    plain = ["{}".join("".join(map(_sign, some)) for some in DASHES.split(part)) for part in SYMBOLS.split(text)]
    return "".join(piece for pair in zip(plain, [*symbols, ""], strict=True) for piece in pair)


def _sign(sign: str) -> str:
    greek = re.fullmatch(r"GREEK (SMALL|CAPITAL) LETTER (\w+)", unicodedata.name(sign, ""))
    if sign in SIGNS or greek is None:
        return SIGNS.get(sign, sign)
    name = greek[2].lower().replace("lamda", "lambda")
    if greek[1] == "SMALL":
        return f"$\\{name}$"
    return f"$\\{name.capitalize()}$" if sign in CAPITALS else unicodedata.normalize("NFKD", name[0]).upper()


def _needs(lines: Sequence[str]) -> str:
    """What the table needs to compile."""
    unusual = dict.fromkeys(sign for line in lines for sign in line if not KNOWN.fullmatch(sign))
    fonts = f", and XeLaTeX or LuaLaTeX with a font that has {''.join(unusual)}" if unusual else ""
    return f"% needs \\usepackage{{booktabs}}{fonts}"


def _float(inside: Tabular, caption: str, name: str) -> str:
    numbers = len(inside.heads) - inside.labels
    kind = "table*" if numbers > WIDE else "table"
    dense = ["  \\footnotesize", "  \\setlength{\\tabcolsep}{3pt}"] if numbers > DENSE else []
    span = f"\\cmidrule(lr){{{inside.labels + 1}-{len(inside.heads)}}}"
    title = f"    {'& ' * inside.labels}\\multicolumn{{{numbers}}}{{c}}{{{inside.over}}} \\\\"
    over = [title, f"    {span}"] if inside.over else []
    groups = [[f"    {' & '.join(line)} \\\\" for line in group] for group in inside.groups]
    body = [line for index, group in enumerate(groups) for line in (["    \\midrule"] if index else []) + group]
    return "\n".join(
        [
            _needs(
                [
                    caption,
                    inside.over,
                    *inside.heads,
                    *(text for group in inside.groups for line in group for text in line),
                ]
            ),
            f"\\begin{{{kind}}}[t]",
            "  \\centering",
            *dense,
            f"  \\caption{{{caption}}}",
            f"  \\label{{tab:{name}}}",
            f"  \\begin{{tabular}}{{{'l' * inside.labels}{'c' * numbers}}}",
            "    \\toprule",
            *over,
            f"    {' & '.join(inside.heads)} \\\\",
            "    \\midrule",
            *body,
            "    \\bottomrule",
            "  \\end{tabular}",
            f"\\end{{{kind}}}",
        ]
    )


def _caption(part: Part, remarks: Sequence[str]) -> str:
    table = part.table
    best = "" if part.compared else "; the best is bold"
    sentences = [
        _title(part),
        f"Test accuracy in %, {layout.over(table.entries).replace('std', 'std (ddof 0)', 1)}{best}",
        *(_note(note) for note in table.notes), *remarks, *layout.notes(table),
    ]  # fmt: skip
    return escape(" ".join(_sentence(text) for text in sentences if text))


def _title(part: Part) -> str:
    return _sentence(part.sweep.title or part.sweep.name)


def _sentence(text: str) -> str:
    ended = text if text.endswith(("?", ".", "!")) else f"{text}."
    return f"{ended[0].upper()}{ended[1:]}"


def _note(note: str) -> str:
    """Return a note with the displayed names of architectures: ``N_a 1: ConvNet-3``."""
    count, _, archs = note.partition(": ")
    return f"{count}: {naming.value('ptm_archs', archs)}"


def _by_setting(table: Table) -> Tabular:
    names = list(setting_of(table.rows[0]))
    heads = [_field(name) for name in names] or [""]
    columns = [escape(naming.label(table.axis, column)) for column in table.columns]
    lines = [[*_setting(row, "accuracy", table.labels), *_numbers(row, table.columns)] for row in table.rows]
    groups: dict[str, list[list[str]]] = {}
    for line in lines:
        groups.setdefault(line[0], []).append(line)
    blanked = [_blank(group) for group in groups.values()]
    return Tabular([*heads, *columns], len(heads), blanked, _field(table.axis))


def _by_eval_arch(table: Table) -> Tabular:
    names = list(setting_of(table.rows[0]))
    heads = [*(_field(name) for name in names), _field(table.axis)]
    groups = []
    for rows in table.settings:
        best = {id(row): _numbers(row, table.columns) for row in rows}
        lines = []
        for index, column in enumerate(table.columns):
            by_arch = {row[column].eval_arch: best[id(row)][index] for row in rows if column in row}
            if by_arch:
                numbers = [by_arch.get(arch, "") for arch in table.eval_archs]
                gain = layout.points(average_gain(rows, column)) or "–"
                label = escape(naming.label(table.axis, column))
                lines.append([*_setting(rows[0], "", table.labels), label, *numbers, _text(gain)])
        groups.append(_blank(lines, len(names)))
    archs = [escape(naming.network(arch)) for arch in table.eval_archs]
    return Tabular([*heads, *archs, "avg. gain"], len(heads), groups)


def _compared(comparison: Comparison) -> Tabular:
    grid = layout.compared(comparison)
    lines = [list(map(_text, line)) for line in grid.lines]
    return Tabular([escape(head) for head in grid.heads], grid.labels, [lines])


def _numbers(row: Row, columns: Sequence[str]) -> list[str]:
    """Return the entries of a row with the best in bold; empty if the table has no entry."""
    printed = {column: _rounded(row[column]) for column in columns if column in row}
    best = max((mean for mean in printed.values() if mean is not None), default=None)
    return [_number(row[column], printed[column] == best) if column in row else "" for column in columns]


def _number(entry: Entry, best: bool) -> str:
    text = escape(layout.number(entry))
    if entry.mean is None:
        return text
    return (f"\\textbf{{{text}}}" if best else text) + _marks(layout.mark(entry))


def _marks(marks: str) -> str:
    return f"$^{{{marks.replace(UNPAIRED, COMMAND)}}}$" if marks else ""


def _rounded(entry: Entry) -> float | None:
    return None if entry.mean is None else float(percent.percent(entry.mean))


def _setting(row: Row, without: str, labels: Labels) -> list[str]:
    setting = setting_of(row)
    found = [escape(labels.paper(name, value)) for name, value in setting.items()]
    return found or ([without] if without else [])


def _blank(group: list[list[str]], labels: int = 1) -> list[list[str]]:
    """Blank those of the first ``labels`` texts of a line that repeat the line above, up to the first that differs."""
    shown = [list(line) for line in group]
    for above, line in zip(group, shown[1:], strict=False):
        for index in range(labels):
            if above[index] != line[index]:
                break
            line[index] = ""
    return shown


def _field(name: str) -> str:
    text = naming.field(name)
    return escape(text[0].upper() + text[1:] if text.isalpha() and text.isascii() else text)


def _text(text: str) -> str:
    """A text in a cell; a difference with a minus sign instead of a hyphen, and its marks raised."""
    difference = DIFFERENCE.fullmatch(text)
    return f"${difference[1]}${_marks(difference[2])}" if difference else escape(text)


def _compared_number(text: str) -> str:
    """A number with its difference in brackets: ``41.2 (-1.3~)``."""
    number, bracket, difference = text.partition(" (")
    return f"{escape(number)} ({_text(difference[:-1])})" if bracket and text.endswith(")") else _text(text)


def as_ranked(ranking: Ranking) -> str:
    """Return the trials of a search as a float, best first."""
    inside, one = grid(ranking), ranking.sweep
    lines = [
        [_bold(text) if text and index in inside.bold else _text(text) for text in line]
        for index, line in enumerate(inside.lines)
    ]
    remarks = "".join(f". {note[0].upper()}{note[1:]}" for note in notes(ranking))
    numbers = caption(ranking).partition(" · ")[0]
    about = f"{_sentence(one.title or one.name)} {numbers[0].upper()}{numbers[1:]}{remarks}"
    name = re.sub(r"[^A-Za-z0-9-]+", "-", f"{one.name}-{one.profile}")
    shown = Tabular([escape(head) for head in inside.heads], inside.labels, [lines])
    failed = _comments(failures(ranking))
    return failed + _float(shown, escape(about[0].upper() + about[1:] + "."), name)


def _bold(text: str) -> str:
    return f"\\textbf{{{_text(text)}}}"


def as_cells(lines: Grid, name: str) -> str:
    """Return the cells behind a table as a float."""
    inside = Tabular(
        [escape(head) for head in lines.heads], lines.labels, [[list(map(_text, one)) for one in lines.lines]]
    )
    label = re.sub(r"[^A-Za-z0-9-]+", "-", name)
    return _float(inside, escape(f"The cells of {name}. Test accuracy in %."), f"{label}-cells")
