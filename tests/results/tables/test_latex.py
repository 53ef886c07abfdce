"""LaTeX: a small reader stands in for TeX; it knows what makes TeX fail: groups, environments, cells, signs."""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import Any

import pytest

from ddsweep import sweep
from ddsweep.results.result import Result
from ddsweep.results.stored import Stored
from ddsweep.results.tables import comparison, latex, table
from ddsweep.results.tables.side_by_side import Part

KNOWN = {
    "begin", "end", "centering", "footnotesize", "setlength", "tabcolsep", "caption", "label", "toprule", "midrule",
    "bottomrule", "multicolumn", "cmidrule", "textbf", "pm", "times", "alpha", "cdot", "dots", "textbackslash",
    "textasciitilde", "textasciicircum",
}  # fmt: skip
TOKEN = re.compile(r"%[^\n]*|\\\\|\\([A-Za-z]+)|\\(.)|([{}$&#_^~])")


@dataclass
class Document:
    """What was read.

    Attributes:
        environments: in the order of their beginnings.
        columns: of the tabular, by its argument.
        rows: cells of its lines.
        caption: the words.
        label: its label.
    """

    environments: list[str]
    columns: str
    rows: list[list[str]]
    caption: str
    label: str


def read(text: str) -> Document:
    """Raises AssertionError where TeX would stop, or would print something else than what was meant."""
    assert text.isascii(), "pdflatex needs no package for what is ASCII"
    open_, environments, math = [], [], False
    for match in TOKEN.finditer(text):
        token, command = match.group(0), match.group(1)
        if token.startswith("%") or token == "\\\\" or match.group(2):
            assert not match.group(2) or match.group(2) in "{}_%&#$", f"unknown \\{match.group(2)}"
        elif command:
            assert command in KNOWN, f"unknown command \\{command}"
            if command in ("begin", "end"):
                name = re.match(r"\{([a-z*]+)\}", text[match.end() :])
                assert name is not None
                if command == "begin":
                    environments.append(name[1])
                    open_.append(name[1])
                else:
                    assert open_.pop() == name[1]
            assert math == (command in ("pm", "times", "alpha", "cdot")) or command in ("begin", "end"), command
        elif token == "{":
            open_.append("{")
        elif token == "}":
            assert open_.pop() == "{"
        elif token == "$":
            math = not math
        elif token in "_^":
            assert math, f"{token} outside of mathematics: {text[match.start() - 20 : match.end() + 20]!r}"
        elif token == "&":
            assert open_[-1] == "tabular", "an & outside of the table"
        else:
            raise AssertionError(f"bare {token}")
    assert not open_ and not math
    inside = re.search(r"\\begin\{tabular\}\{([lcr]+)\}(.*?)\\end\{tabular\}", text, re.DOTALL)
    caption, label = re.search(r"\\caption\{(.*)\}\n", text), re.search(r"\\label\{(.*)\}\n", text)
    assert inside and caption and label
    assert text.index("\\caption") < text.index("\\label"), "a label before its caption has the number of the section"
    rows = [line.strip() for line in inside[2].splitlines() if line.strip()]
    cells = []
    for row in rows:
        if row.startswith(("\\toprule", "\\midrule", "\\bottomrule", "\\cmidrule")):
            continue
        assert row.endswith("\\\\"), row
        line = [cell.strip() for cell in re.split(r"(?<!\\)&", row[:-2])]
        wide = sum(int(found) - 1 for found in re.findall(r"\\multicolumn\{(\d+)\}", row))
        assert len(line) + wide == len(inside[1]), row
        cells.append(line)
    assert [rows[0], rows[-1]] == ["\\toprule", "\\bottomrule"]
    return Document(environments, inside[1], cells, caption[1], label[1])


def part(reference: str, *, skip: int = 0, compared: bool = False, **settings: Any) -> Part:
    one = sweep.load(reference, None, settings)
    found = {}
    for index, cell in enumerate(one.cells[: len(one.cells) - skip]):
        archs = cell.recipe.eval_archs.split("+")
        mean = 0.5 + 0.001 * (index * 7 % 11)
        found[cell.key] = Result(cell.recipe, accuracies={arch: [mean - 0.002, mean + 0.002] for arch in archs})
    built = table.build(one, Stored(found, {}))
    return Part(one, built, comparison.with_paper(one, built) if compared else None)


@pytest.mark.parametrize("profile", ["demo", "paper"])
@pytest.mark.parametrize("name", sweep.names())
def test_every_table_compiles(name: str, profile: str) -> None:
    for compared in (False, True):
        document = read(latex.as_latex(part(f"{name}@{profile}", compared=compared)))
        assert document.environments[0] in ("table", "table*")
        assert document.environments[1:] == ["tabular"]
        assert document.label == f"tab:{name}-{profile}"


def test_a_table_to_the_letter() -> None:
    assert latex.as_latex(part("ablation-epoch@quick", skip=1, method=["dsa", "dm"], ptm_epoch=[1, 4])) == (
        "% needs \\usepackage{booktabs}\n"
        "\\begin{table}[t]\n"
        "  \\centering\n"
        "  \\caption{Does a PTM have to be fully trained? Test accuracy in \\%, mean $\\pm$ std (ddof 0) over 2 "
        "networks of seed 0; of 6 cells, 1 waiting; the best is bold. Vs baseline: n = 2 networks of one seed: too few "
        "to test, no p below 0.5 is possible.}\n"
        "  \\label{tab:ablation-epoch-quick}\n"
        "  \\begin{tabular}{lccc}\n"
        "    \\toprule\n"
        "    & \\multicolumn{3}{c}{PTM epoch} \\\\\n"
        "    \\cmidrule(lr){2-4}\n"
        "    Method & baseline & 1 & 4 \\\\\n"
        "    \\midrule\n"
        "    DSA & 50.0 $\\pm$ 0.2 & \\textbf{50.7 $\\pm$ 0.2} & 50.3 $\\pm$ 0.2 \\\\\n"
        "    \\midrule\n"
        "    DM & \\textbf{51.0 $\\pm$ 0.2} & 50.6 $\\pm$ 0.2 & waiting \\\\\n"
        "    \\bottomrule\n"
        "  \\end{tabular}\n"
        "\\end{table}"
    )


def bold(document: Document) -> list[list[bool]]:
    return [["\\textbf" in cell for cell in row if "\\pm" in cell] for row in document.rows]


def test_the_best_of_each_row_is_bold_as_printed() -> None:
    one = sweep.load("ablation-alpha", None, {"alpha": [0, 1, 10]})
    printed = {"dc": (0.5012, 0.5008, 0.4), "dsa": (0.1, 0.2, 0.3), "dm": (0.9, 0.1, 0.1)}
    found = {
        cell.key: Result(
            cell.recipe,
            accuracies={"convnet3": [printed[cell.recipe.method][(0, 1, 10).index(int(cell.recipe.alpha))]]},
        )
        for cell in one.cells
    }
    document = read(latex.as_latex(Part(one, table.build(one, Stored(found, {})))))
    assert bold(document)[2:] == [[True, True, False], [False, False, True], [True, False, False]]  # 50.1 twice


def test_several_architectures_are_columns_and_the_best_is_within_one() -> None:
    document = read(latex.as_latex(part("table4")))
    assert document.rows[0] == [
        "Method",
        "$N_a$ $\\times$ PTM epoch",
        "ConvNet-3",
        "AlexNet",
        "VGG-11",
        "ResNet-18",
        "avg. gain",
    ]
    for group in range(3):
        lines = document.rows[1 + 4 * group : 5 + 4 * group]
        assert [line[0] for line in lines] == [["DC", "DSA", "DM"][group], "", "", ""]
        for arch in range(2, 6):
            assert sum("\\textbf" in line[arch] for line in lines) == 1
    assert "$N_a$ 4: ConvNet-3, AlexNet, VGG-11, ResNet-18" in document.caption


def test_the_numbers_are_those_of_the_table() -> None:
    one = part("table1")
    document = read(latex.as_latex(one))
    shown = [
        float(re.sub(r"\\textbf\{", "", cell).split(" ")[0]) for row in document.rows for cell in row if "\\pm" in cell
    ]
    assert shown == [
        pytest.approx(100 * entry.mean, abs=0.051) for entry in one.table.entries if entry.mean is not None
    ]


def test_stars_and_the_test_are_in_the_caption() -> None:
    one = sweep.load("ablation-alpha", "demo", {"alpha": [0, 5], "seed": list(range(6))})
    found = {
        cell.key: Result(cell.recipe, accuracies={"convnet3": [0.5 + 0.01 * cell.recipe.alpha]}) for cell in one.cells
    }
    text = latex.as_latex(Part(one, table.build(one, Stored(found, {}))))
    read(text)
    assert "\\textbf{55.0 $\\pm$ 0.0}$^{**}$" in text
    assert "$^{*}$ p $<$ 0.05, $^{**}$ also with Holm's correction for 1 comparison; exact" in text
    assert "sign-flip permutation test, paired by seed, n = 6." in text


def test_what_failed_is_said() -> None:
    one = sweep.load("ablation-alpha", "demo", {"alpha": [0, 5]})
    found = {cell.key: Result(cell.recipe, state="failed", reason="nan") for cell in one.cells if cell.recipe.alpha}
    document = read(latex.as_latex(Part(one, table.build(one, Stored(found, {})))))
    assert document.rows[-1] == ["accuracy", "waiting", "failed"]


@pytest.mark.parametrize(
    ("plain", "printed"),
    [
        ("50% of a_b & c#d", r"50\% of a\_b \& c\#d"),
        ("N_m × N_a", "$N_m$ $\\times$ $N_a$"),
        ("imagefolder:/data/my_birds~1^2", r"imagefolder:/data/my\_birds\textasciitilde{}1\textasciicircum{}2"),
        ("{α} ± 5 – **", r"\{$\alpha$\} $\pm$ 5 -- $^{**}$"),
        ("a\\b $x$", r"a\textbackslash{}b \$x\$"),
    ],
)
def test_signs_are_printed_as_they_are(plain: str, printed: str) -> None:
    assert latex.escape(plain) == printed


def test_the_papers_own_numbers_stand_beside_ours() -> None:
    document = read(latex.as_latex(part("ablation-n-archs", compared=True)))
    assert document.rows[0] == ["PTMs", "accuracy", "paper", "difference", "overlap"]
    assert document.rows[1][2] == "57.5 $\\pm$ 0.2"
    assert "10 of 10 entries have a number in the paper" in document.caption
