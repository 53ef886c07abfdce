"""Classes, folders, titles and reasons of any spelling, through every output of a launched sweep."""

from __future__ import annotations

import csv
import io
import json
from pathlib import Path

import pytest
import yaml
from typer.testing import CliRunner

from ddsweep import launches, trial
from ddsweep.api import results as frame
from ddsweep.backends.optuna import notes
from ddsweep.characters import one_line
from ddsweep.cli import app
from ddsweep.errors import UserError
from ddsweep.recipe import Recipe
from ddsweep.results.plots import style
from ddsweep.results.tables import saved
from tests import hostile
from tests.cli.conftest import Run, write_profile

NAME = "odd@demo"
SMALL = ("iterations=2", "width=4", "batch_real=4", "ptm_train_epochs=1", "ptm_epoch=1", "ptm_batch=64", "eval_nets=1",
         "eval_epochs=2", "cclom_batch=8", "size=16", "ipc=1")  # fmt: skip


@pytest.fixture
def odd(ddsweep: Run, monkeypatch: pytest.MonkeyPatch) -> str:
    """Launch a sweep over such a folder, of which one cell fails for such a reason; returns the output."""
    hostile.image_folder(Path(hostile.FOLDER), hostile.CLASSES, train=4, test=2)
    extra = {"title": hostile.TITLE, "axis": ["alpha"], "baseline": {"alpha": 0}, "max_attempts": 1,
             "pictures": ["grid", "classes", "tsne", "accuracy"]}  # fmt: skip
    document = {"method": "grid", "parameters": {"alpha": {"values": [0, 5, 10]}}, "x-ddsweep": extra}
    Path("odd.yaml").write_text(yaml.safe_dump(document, allow_unicode=True), encoding="utf-8")
    run = trial.run

    def failing(recipe: Recipe, *rest: object, **options: object) -> object:
        if recipe.alpha == 10:
            raise UserError(hostile.REASON)
        return run(recipe, *rest, **options)  # type: ignore[arg-type]

    monkeypatch.setattr(trial, "run", failing)
    write_profile(*SMALL, f"target=imagefolder:{hostile.FOLDER}")
    result = ddsweep("launch", "odd.yaml", "-p", "demo", "--workers", "0", "-d", "cpu")
    assert result.exit_code == 1, result.output
    return result.stdout


def test_every_output(ddsweep: Run, odd: str) -> None:
    reason, title = one_line(hostile.REASON), one_line(hostile.TITLE)
    folder = Path("runs", NAME)
    pictures = [folder / f"{name}.png" for name in ("alpha", "class-accuracy", "tsne", "accuracy")]
    assert [line.split()[-1] for line in odd.splitlines() if line.endswith(".png")] == list(map(str, pictures))
    assert f": {reason} (1 attempt)" in odd
    assert f"{NAME} · {title} · 3 cells" in odd

    screens = {words: ddsweep(*words).stdout for words in (
        ("status",), ("show", "odd.yaml", "-p", "demo"), ("results", NAME),
        ("list", "-p", "quick"), ("pool",), ("estimate", "odd.yaml", "-p", "demo", "--help"),
    )}  # fmt: skip
    screens["launch",] = odd
    for words, screen in screens.items():
        assert not hostile.CONTROL.search(screen), words
    assert title in screens["status",]
    assert f"failed: α 10: {reason}" in screens["results", NAME]

    (row,) = [row for row in json.loads(ddsweep("results", NAME, "-f", "json").stdout) if row["failed"]]
    assert (row["alpha"], row["accuracy"], row["failed"], row["reasons"]) == (10, None, 1, hostile.REASON)
    (status,) = json.loads(ddsweep("status", NAME, "--json").stdout)
    assert [cell["reason"] for cell in status["cells"] if cell["state"] == "failed"] == [hostile.REASON]

    text = ddsweep("results", NAME, "-f", "csv").stdout
    cells = [row["reasons"] for row in csv.DictReader(io.StringIO(text))]
    assert cells == ["", "", f"'{hostile.REASON}"]
    Path("odd.csv").write_text(text, encoding="utf-8")
    assert saved.read(Path("odd.csv"))[-1]["reasons"] == hostile.REASON

    page = hostile.rendered(ddsweep("results", NAME, "-f", "markdown").stdout)
    assert f"failed: α 10: {reason}" in page.text
    assert not {"img", "script", "em", "strong", "code", "a"} & set(page.tags)

    tex = ddsweep("results", NAME, "-f", "latex").stdout
    assert "\\$a\\$" in tex
    assert "中" in tex.splitlines()[1]  # what the font must have
    assert not hostile.CONTROL.search(tex)

    drawn = ddsweep("plot", NAME, "-o", "figures")
    assert drawn.exit_code == 0, drawn.output
    printed = ddsweep("plot", NAME, "-k", "classes", "-o", "classes.svg")
    assert printed.stdout == "classes.svg\n"

    assert ddsweep("report", NAME).exit_code == 0
    source = (folder / "report.html").read_text(encoding="utf-8")
    report = hostile.Page(source)
    assert hostile.TITLE.partition("\x1b")[0] in report.text
    assert "[/data/x.jpg] $x$ <img src=x onerror=y> `z`" in report.text
    assert not {"br", "img"} & set(hostile.Page(source.partition('<section id="failures">')[2]).tags)
    assert all(one_line(name) in report.text for name in hostile.CLASSES)
    own = source.partition("<script>")[0]  # what follows are the libraries
    assert not hostile.CONTROL.search(own)
    data = own.partition('id="data">')[2].partition("</script>")[0]
    assert not hostile.CONTROL.search(json.dumps(json.loads(data), ensure_ascii=False))

    failed = frame(NAME, per_cell=True).set_index("alpha").loc[10.0]
    assert (failed["state"], failed["reason"]) == ("failed", hostile.REASON)
    check_dashboard()


def check_dashboard() -> None:
    store = launches.connect(Path("runs"), None)
    status = store.sweep(NAME).status()
    note = hostile.rendered(notes.study_note(status, hostile.TITLE))
    assert one_line(hostile.TITLE) in note.text
    assert not {"script", "em", "a", "img", "code"} & set(note.tags)
    for row in status.rows:
        page = hostile.rendered(notes.trial_note(row))
        assert not {"script", "em", "a", "img"} & set(page.tags)
        assert not hostile.CONTROL.search(page.text)
    assert hostile.REASON.partition("\x1b")[0] in page.text
    figure = notes.figure(status, store.load_definition(NAME).definition)
    assert figure.layout.title.text == NAME
    store.close()


@pytest.mark.parametrize("shell", ["bash", "zsh", "fish"])
def test_completion(shell: str) -> None:
    extra = {"title": hostile.TITLE, "axis": ["alpha"]}
    document = {"method": "grid", "parameters": {"alpha": {"values": [0, 5]}}, "x-ddsweep": extra}
    Path("sweeps").mkdir()
    Path("sweeps/odd.yaml").write_text(yaml.safe_dump(document, allow_unicode=True), encoding="utf-8")
    asked = {"_DDSWEEP_COMPLETE": f"complete_{shell}", "_TYPER_COMPLETE_ARGS": "ddsweep show od", "COMP_CWORD": "2",
             "COMP_WORDS": "ddsweep show od", "_TYPER_COMPLETE_FISH_ACTION": "get-args"}  # fmt: skip
    result = CliRunner().invoke(app, [], env=asked, prog_name="ddsweep")
    assert result.exception is None or isinstance(result.exception, SystemExit)
    assert "odd" in result.output
    assert not hostile.CONTROL.search(result.output.replace("\t", " "))


@pytest.mark.parametrize("parts", [("accuracy", "x" * 400), ("a/b", "α" * 200), ("\udcff", "中" * 300)])
def test_the_file_of_a_figure_has_a_name_for_every_file_system(parts: tuple[str, str]) -> None:
    name = style.file_name(parts)
    Path(f"{name}.png").write_bytes(b"")
    assert name != style.file_name((parts[0], parts[1][:-1]))
    assert style.file_name(("accuracy", "dm", "")) == "accuracy-dm"
