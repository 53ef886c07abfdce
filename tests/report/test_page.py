"""The file as a text: what is in it, that nothing in it is anybody's markup but ours, and that it fetches nothing."""

from __future__ import annotations

import base64
import dataclasses
import hashlib
import json
import re
import shutil
from datetime import UTC, datetime
from html.parser import HTMLParser
from pathlib import Path
from typing import Any

import torch
from plotly.offline import get_plotlyjs

from ddsweep import files, report, sweep
from ddsweep.backends.values import State, Status
from ddsweep.report import Material, text
from ddsweep.results import stored
from ddsweep.results.result import Result
from ddsweep.results.tables import comparison, table
from tests.report.conftest import RUNS, Finished

EVIL = "</script><img src=http://evil.example/x onerror=alert(1)>'\"&"


class Page(HTMLParser):
    """The elements of a page, and its text."""

    def __init__(self, html: str) -> None:
        super().__init__()
        self.elements: list[tuple[str, dict[str, str | None]]] = []
        self.words: list[str] = []
        self.inside: list[str] = []
        self.code: dict[str, list[str]] = {"style": [], "script": []}
        self.feed(html)

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.elements.append((tag, dict(attrs)))
        if tag in self.code:
            self.inside.append(tag)

    def handle_endtag(self, tag: str) -> None:
        if tag in self.code:
            self.inside.pop()

    def handle_data(self, data: str) -> None:
        if self.inside:
            self.code[self.inside[-1]].append(data)
        else:
            self.words.append(data)

    @property
    def text(self) -> str:
        return " ".join(" ".join(self.words).split())

    @property
    def data(self) -> dict[str, Any]:
        return dict(json.loads(self.code["script"][0]))

    def all(self, tag: str, **attributes: str) -> list[dict[str, str | None]]:
        found = [attrs for name, attrs in self.elements if name == tag]
        return [attrs for attrs in found if attributes.items() <= attrs.items()]


def page(one: Finished, status: Status | None = None, **options: Any) -> Page:
    material = Material.of(one.sweep, one.runs, status or one.status, **options)
    return Page(report.render(material, datetime(2026, 1, 2, tzinfo=UTC)))


def test_classes_have_the_names_that_the_run_was_computed_with(finished: Finished) -> None:
    names = [f"class {letter}" for letter in "jihgfedcba"]
    for cell in finished.sweep.cells:
        path = finished.runs / cell.key / "synthetic.safetensors"
        files.write_tensors(path, {"images": torch.zeros(1)}, {"classes": "\n".join(names)})
    shown = [word for word in page(finished).words if word.startswith("class ") and len(word) == len("class a")]
    assert shown[:10] == names


def test_a_finished_sweep_says_it_all(finished: Finished) -> None:
    one = page(finished)
    for said in (
        "How large should the weight of the CLoM term be?", finished.sweep.full_name, "Compared with α = 0",
        "DM α 100 56.0 ± 1.0 +2.0", "DSA α 100 53.0 ± 1.0 +2.0",  # the answers
        "54.0 ± 1.0 baseline", "mean ± std over 2 networks of seed 0",  # the table
        "None: all 6 cells are finished.", "CUDA out of memory",  # failures; one was overcome
        "3 min of compute time; 2 min from the first start to the last end", "distillation 2 min · 67 %",
        "c0ffee with uncommitted changes", "torch 2.9.0", "cpu (two threads)", "data: digits d1g175",
        "Written by ddsweep", "2026-01-02", finished.sweep.cells[0].key,
    ):  # fmt: skip
        assert said in one.text
    # of both methods: real images, the first of each class along α, and three α at three steps
    assert len(one.all("img")) == 2 * (1 + 1 + 9)
    assert all(str(image["src"]).startswith("data:image/webp;base64,") and image["alt"] for image in one.all("img"))
    assert one.data["columns"] == ["0", "1", "100"]
    (panel,) = one.data["panels"]
    assert panel["figure"]["layout"]["xaxis"]["tickvals"] == [-0.5, 0, 2]
    assert [trace["y"] for trace in panel["figure"]["data"] if "customdata" in trace] == [[51, 52, 53], [54, 55, 56]]
    assert one.data["galleries"][0]["rates"]["0"] == [[50.0, None]] * 10  # of the baseline, which is its own
    assert one.data["galleries"][0]["rates"]["2"] == [[50.0, 0.0]] * 10
    curve = one.data["curves"][1]["terms"][0]["figure"]["data"][2]
    assert curve["meta"] == 2
    assert curve["x"] == list(range(1, 9))
    assert curve["y"] == [9.0 - step for step in range(1, 9)]  # and the half line at the end is no line


def test_the_table_can_be_taken_out(finished: Finished) -> None:
    (link,) = page(finished).all("a", download=f"{finished.sweep.full_name}.csv")
    head, *lines = base64.b64decode(str(link["href"]).partition(",")[2]).decode().splitlines()
    assert head.startswith("method,alpha,accuracy,accuracy_std,")
    assert len(lines) == 6


def test_a_dataset_with_attributes_has_a_second_table(finished: Finished) -> None:
    assert "Accuracy by group" not in page(finished).text
    for index, cell in enumerate(finished.sweep.cells):
        groups = {"aligned": 0.9, "conflicting": 0.3 + index / 100, "worst_group": None}
        result = stored.collect(finished.sweep, RUNS).results[cell.key]
        dataclasses.replace(result, group_accuracy={"convnet3": groups}).write(finished.runs / cell.key)
    one = page(finished)
    assert "Accuracy by group setting α 0 1 100" in one.text
    assert "DM aligned 90.0 90.0 (+0.0) 90.0 (+0.0) DM conflicting 33.0 34.0 (+1.0) 35.0 (+2.0) Accuracy" in one.text
    (link,) = one.all("a", download=f"{finished.sweep.full_name}.csv")
    head = base64.b64decode(str(link["href"]).partition(",")[2]).decode().splitlines()[0]
    assert "conflicting,aligned_difference,conflicting_difference" in head


def test_of_several_baselines_in_a_row_the_best_is_named() -> None:
    """The axis of ablation-bias is not that of its baseline: there is one for every value."""
    one = Finished(sweep.load("ablation-bias", "demo", {"align": [0.5, 0.95]}), RUNS, {})
    for index, cell in enumerate(one.sweep.cells):
        one.complete(cell, [0.8 - 0.1 * index])
    assert [(line.setting, line.best) for line in text.answers(Material.of(one.sweep, RUNS, one.status))] == [
        ("loss none", "align 0.5"), ("loss CLoM", "align 0.5"),
    ]  # fmt: skip


def test_nothing_is_fetched_and_nothing_else_runs(finished: Finished) -> None:
    one = page(finished)
    for _, attributes in one.elements:
        assert not any(name.startswith("on") or name == "style" for name in attributes)
        for name in ("src", "href", "srcset", "action", "data", "poster"):
            value = attributes.get(name)
            assert value is None or value.startswith(("data:", "#")), value
    data, plotly, own = one.code["script"]
    assert plotly == get_plotlyjs(), "the only foreign code; what it may load is a matter of the policy"
    code = "".join(one.code["style"]) + data + own
    assert re.findall(r"https?://[^\s\"']+", code) == []
    assert not re.search(r"@import|url\(|fetch\(|XMLHttp|WebSocket|import\(|eval\(|innerHTML", code)
    (policy,) = one.all("meta", **{"http-equiv": "Content-Security-Policy"})
    rules = dict(rule.strip().split(" ", 1) for rule in str(policy["content"]).split(";"))
    assert rules == {
        "default-src": "'none'", "img-src": "data:", "base-uri": "'none'", "form-action": "'none'",
        "style-src": f'{hashed("".join(one.code["style"]))} {hashed("")}',
        "script-src": f"{hashed(plotly)} {hashed(own)}",
    }  # fmt: skip


def hashed(text: str) -> str:
    return f"'sha256-{base64.b64encode(hashlib.sha256(text.encode()).digest()).decode()}'"


def test_what_others_wrote_is_text(finished: Finished) -> None:
    """Titles, reasons, devices, names of classes' datasets: none of them may become markup, in HTML or in JSON."""
    cell = finished.cell("dm", 100.0)
    shutil.rmtree(finished.runs / cell.key)
    finished.become(cell, State.FAILED, (EVIL, "second"))
    other = finished.cell("dsa", 1.0)
    Result(other.recipe, {"convnet3": [0.5]}, device=EVIL, git={"commit": EVIL}, data={EVIL: EVIL}).write(
        finished.runs / other.key
    )
    finished.sweep = dataclasses.replace(finished.sweep, title=EVIL)
    one = page(finished)
    assert one.text.count(" ".join(EVIL.split())) >= 5
    assert one.data["missing"]["DM"][2] == "failed: second"
    assert not [attributes for _, attributes in one.elements if "onerror" in attributes]
    assert len(one.all("script")) == 3


def test_a_failed_cell_is_named_with_the_reason_of_every_attempt(finished: Finished) -> None:
    broken, diverged = finished.cell("dsa", 100.0), finished.cell("dm", 100.0)
    shutil.rmtree(finished.runs / broken.key)
    finished.become(broken, State.FAILED, ("the disk was full", "no space left"))
    shutil.rmtree(finished.runs / diverged.key)
    Result(diverged.recipe, state="failed", reason="the loss is nan at step 3").write(finished.runs / diverged.key)
    finished.become(diverged, State.FAILED)
    one = page(finished)
    assert "4 of 6 cells are finished, 2 failed." in one.text
    assert "provisional" not in one.text
    assert f"{broken.recipe.title()} failed 2 the disk was full no space left" in one.text
    assert f"{diverged.recipe.title()} failed 0 the loss is nan at step 3" in one.text
    assert one.data["missing"]["DSA"] == ["no image was saved", "no image was saved", "failed: no space left"]
    assert one.data["galleries"][0]["columns"] == [0, 1]


def test_an_incomplete_sweep_has_a_provisional_report(finished: Finished) -> None:
    for alpha, state in ((1.0, State.RUNNING), (100.0, State.WAITING)):
        cell = finished.cell("dm", alpha)
        shutil.rmtree(finished.runs / cell.key)
        finished.become(cell, state)
    one = page(finished)
    assert "4 of 6 cells are finished, 1 running, 1 waiting. Results are provisional." in one.text
    assert one.data["missing"]["DM"][1:] == ["running", "waiting"]


def test_a_sweep_that_has_not_begun_has_a_report() -> None:
    one = Finished(sweep.load("ablation-epoch", "demo"), Path("runs"), {})
    for cell in one.sweep.cells:
        one.become(cell, State.WAITING)
    shown = page(one)
    assert "No cell has finished yet." in shown.text
    assert "Nothing has been computed yet." in shown.text
    assert shown.all("img") == []
    assert shown.all("a", href="#pictures") == []


def test_missing_and_damaged_pictures_cost_no_report(finished: Finished) -> None:
    bare, torn, moved = (finished.cell("dm", alpha) for alpha in (0.0, 1.0, 100.0))
    for path in (finished.runs / bare.key).rglob("*.png"):
        path.unlink()
    (finished.runs / torn.key / "synthetic.png").write_bytes(b"torn")
    shutil.rmtree(finished.runs / moved.key / "images")  # as a run that came from another host
    one = page(finished)
    assert {name: one.data["galleries"][1][name] for name in ("label", "columns", "steps", "seeds")} == {
        "label": "DM", "columns": [2], "steps": [8], "seeds": {"2": "seed 0"},
    }  # fmt: skip
    assert one.data["galleries"][0]["steps"] == [0, 4, 8]


def test_the_paper_stands_beside_our_numbers_where_it_has_any() -> None:
    one = Finished(sweep.load("ablation-n-archs"), Path("runs"), {})
    for cell in one.sweep.cells:
        one.become(cell, State.COMPLETE)
        Result(cell.recipe, accuracies={"convnet3": [0.57, 0.59]}).write(one.runs / cell.key)
    shown = page(one)
    assert "10 of 10 entries have a number in the paper" in shown.text
    assert "the paper 57.5 ± 0.2" in shown.text
    means, paper = shown.data["panels"][0]["figure"]["data"][-2:]
    assert means["text"][0] == "58.0 ± 1.0 (n = 2) · baseline · the paper 57.5 ± 0.2"
    assert (paper["x"][0], paper["y"][0], paper["marker"]["symbol"]) == (0, 57.5, "circle-open")
    assert "hollow: the paper" in shown.text


def test_another_sweep_may_stand_beside_it(finished: Finished) -> None:
    built = table.build(finished.sweep, stored.collect(finished.sweep, finished.runs))
    shown = page(finished, against=comparison.with_sweep(finished.sweep, built, "mine@quick", built))
    assert "mine@quick 56.0 ± 1.0" in shown.text
    assert "6 of 6 entries have a number in mine@quick" in shown.text
