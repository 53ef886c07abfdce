"""The README is executed: every command in it, in its order, on smaller numbers; every link and picture is there."""

from __future__ import annotations

import re
import shlex
from collections.abc import Callable
from pathlib import Path

import pytest
from PIL import Image

from ddsweep import dashboard
from tests.cli.conftest import TINY, Run, ddsweep  # noqa: F401  (the fixture)

ROOT = Path(__file__).parent.parent
README = (ROOT / "README.md").read_text(encoding="utf-8")
FENCES = re.findall(r"```(\w*)\n(.*?)```", README, re.DOTALL)
COMMANDS = [
    line.removeprefix("$ ").split("  #")[0].strip()
    for language, text in FENCES
    if language == "console"
    for line in text.splitlines()
]
DOCUMENTS = [ROOT / "README.md", *sorted((ROOT / "docs").rglob("*.md")), *sorted((ROOT / ".github").glob("*.md"))]


def test_two_commands_do_all_the_set_up() -> None:
    assert COMMANDS[:2] == [
        "pip install -e . && ddsweep launch ablation-alpha --profile demo",
        "pip install -e '.[dev]' && pytest",
    ]


def test_every_command(ddsweep: Run, monkeypatch: pytest.MonkeyPatch) -> None:  # noqa: F811
    def serve(storage: str, artifacts: Path, *, port: int, allow_edit: bool, ready: Callable[[str], object]) -> None:
        assert (port, allow_edit) == (8080, False)
        ready("http://127.0.0.1:8080")

    monkeypatch.setattr(dashboard, "serve", serve)
    (mine,) = (text for language, text in FENCES if language == "yaml")
    Path("mine.yaml").write_text(mine)
    for line in COMMANDS:
        words = shlex.split(line.split("&&")[-1])
        if words[0] != "ddsweep":
            assert line == COMMANDS[1]
            continue
        smaller = {"launch": [f"--set={setting}" for setting in TINY] + ["--workers=0", "--device=cpu"], "run": TINY}
        smaller["pretrain"] = ["--width=4", "--device=cpu"]
        smaller["estimate"] = [*smaller["launch"], "--seconds=0.01"]
        extra = [word for word in smaller.get(words[1], []) if not ("ablation-epoch" in words and "ptm_epoch" in word)]
        if "ablation-epoch" in words and words[1] == "launch":
            extra.append("--set=ptm_epoch=1,2")
        result = ddsweep(*words[1:], *extra)
        assert result.exit_code == 0, f"{line}\n{result.output}"


@pytest.mark.parametrize("document", DOCUMENTS, ids=lambda path: path.name)
def test_links_lead_somewhere(document: Path) -> None:
    for link in re.findall(r"\]\(([^)]+)\)", document.read_text(encoding="utf-8")):
        if not link.startswith("http"):
            path = document.parent / link.split("#")[0]
            assert path.exists(), f"{document.name}: {link}"
            if path.suffix == ".png":
                with Image.open(path) as picture:
                    picture.verify()
