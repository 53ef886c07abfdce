"""Every page is executed: each command on it, in its order, in an empty folder."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.cli.conftest import Run, ddsweep
from tests.docs.page import Page, page, pages
from tests.docs.walk import Walk

__all__ = ["ddsweep"]
# pages that need a server, and who walks them
ELSEWHERE = {
    "docs/clusters.md": "tests/test_two_hosts.py",
    "docs/slurm.md": "tests/docs/test_slurm.py",
    "docs/wandb.md": "tests/docs/test_wandb.py",
}
README = page("README.md")
EXTENDING = "docs/extending/"  # walked by test_extending
SLOW = [
    one
    for one in pages()
    if one.commands and one != README and one.name not in ELSEWHERE and not one.name.startswith(EXTENDING)
]


@pytest.mark.slow
def test_the_readme(ddsweep: Run, monkeypatch: pytest.MonkeyPatch) -> None:
    Walk(ddsweep, monkeypatch).page(README)


@pytest.mark.slow
@pytest.mark.parametrize("one", SLOW, ids=lambda one: one.name)
def test_a_page(one: Page, ddsweep: Run, monkeypatch: pytest.MonkeyPatch) -> None:
    Walk(ddsweep, monkeypatch).page(one)


def test_two_commands_do_all_the_set_up() -> None:
    assert [command.line for command in README.commands[:2]] == [
        "pip install -e . && ddsweep launch ablation-alpha --profile demo",
        "pip install -e '.[dev]' && pytest",
    ]


@pytest.mark.parametrize(("name", "walker"), ELSEWHERE.items())
def test_pages_that_need_a_server_have_a_test_of_their_own(name: str, walker: str) -> None:
    assert Path(name).name in (page(name).path.parent.parent / walker).read_text(encoding="utf-8")
