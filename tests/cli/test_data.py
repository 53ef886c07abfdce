"""``ddsweep data`` through the front door."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from tests.cli.conftest import Run
from tests.data import official

EMPTY = """\
NAME          CLASSES  SIZE  IMAGES         STATE    DISK  LICENSE         SOURCE
digits             10    16  1201+596       bundled  –     CC BY 4.0       scikit-learn
shapes             10    16  2000+1000      bundled  –     MIT             ddsweep
mnist              10    28  60000+10000    missing  –     CC BY-SA 3.0    yann.lecun.com
fashionmnist       10    28  60000+10000    missing  –     MIT             github.com
svhn               10    32  73257+26032    missing  –     non-commercial  ufldl.stanford.edu
cifar10            10    32  50000+10000    missing  –     not stated      cs.toronto.edu
cifar100          100    32  50000+10000    missing  –     not stated      cs.toronto.edu
pathmnist           9    28  89996+7180     missing  –     CC BY 4.0       medmnist.com
tinyimagenet      200    64  100000+10000   missing  –     research only   cs231n.stanford.edu
imagenet32       1000    32  1281167+50000  missing  –     research only   image-net.org
imagenette         10   224  9469+3925      missing  –     research only   github.com
imagefruit         10   224  ?+500          missing  –     research only   image-net.org
cmnist             10    28  60000+10000    missing  –     CC BY-SA 3.0    made
ccifar10           10    32  50000+10000    missing  –     not stated      made, frost generated
cdigits            10    16  1201+596       bundled  –     CC BY 4.0       made
cmnist-dd          10    28  60000+10000    missing  –     CC BY-SA 3.0    made
ccifar10-dd        10    32  50000+10000    missing  –     not stated      made, frost generated
"""


@pytest.fixture
def mnist(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    folder = tmp_path / "mine"
    official.write("mnist", folder)
    official.expect(monkeypatch, "mnist", folder)
    return folder


def test_list_on_an_empty_cache_to_the_letter(ddsweep: Run) -> None:
    result = ddsweep("data", "list")
    assert result.exit_code == 0
    assert "".join(f"{line.rstrip()}\n" for line in result.stdout.splitlines()) == EMPTY


def test_list_for_scripts(ddsweep: Run, mnist: Path) -> None:
    ddsweep("data", "fetch", "mnist", "--from", str(mnist))
    rows = {row["name"]: row for row in json.loads(ddsweep("data", "list", "--json").stdout)}
    assert rows["imagefruit"]["state"] == "missing"
    size = rows["mnist"].pop("disk_bytes")
    assert size > 30 * 28 * 28
    assert rows["mnist"] == {
        "name": "mnist", "classes": 10, "channels": 1, "size": 28, "train": 60_000, "test": 10_000,
        "state": "decoded", "licence": "CC BY-SA 3.0",
        "source": "yann.lecun.com: a mirror of exdb/mnist, 12 MB, downloaded on first use",
    }  # fmt: skip


def test_fetch_and_verify(ddsweep: Run, mnist: Path, tmp_path: Path) -> None:
    fetched = ddsweep("data", "fetch", "mnist", "--from", str(mnist))
    decoded = tmp_path / "cache" / "data" / "mnist-28.safetensors"
    assert (fetched.exit_code, fetched.stdout) == (0, f"mnist: {decoded} (24.4 kB)\n")
    assert fetched.stderr.startswith("license: CC BY-SA 3.0; source: yann.lecun.com")
    verified = ddsweep("data", "verify", "mnist")
    assert verified.exit_code == 0
    lines = [line.split(maxsplit=1) for line in verified.stdout.splitlines()]
    assert [state for state, _ in lines] == ["intact"] * 5
    assert lines[-1][1] == f"decoded at 28×28    {decoded}"


def test_verify_fails_on_damage(ddsweep: Run, mnist: Path, tmp_path: Path) -> None:
    ddsweep("data", "fetch", "mnist", "--from", str(mnist))
    victim = tmp_path / "cache" / "data" / "mnist-28.safetensors"
    victim.write_bytes(victim.read_bytes()[:-1])
    result = ddsweep("data", "verify", "mnist")
    assert result.exit_code == 1
    assert f"damaged    decoded at 28×28    {victim}" in result.stdout.splitlines()
    assert result.stderr == "to repair it: ddsweep data fetch mnist\n"
    ddsweep("data", "fetch", "mnist")
    assert ddsweep("data", "verify", "mnist").exit_code == 0


@pytest.mark.parametrize(
    ("words", "line"),
    [
        (["fetch", "minst"], "error: unknown dataset 'minst'; did you mean mnist?"),
        (["verify", "mnist"], "error: mnist: the cache has nothing of it to verify; first: ddsweep data fetch mnist"),
        (["fetch", "mnist", "--from", "/none"], "error: mnist: file or folder not found: '/none'"),
        (["fetch", "imagenet32"], "error: imagenet32: make an account at https://image-net.org/signup"),
        (["fetch", "imagefruit"], "error: imagefruit: make an account at https://image-net.org/signup"),
    ],
)
def test_what_the_user_can_mend_is_one_line(ddsweep: Run, words: list[str], line: str) -> None:
    result = ddsweep("data", *words)
    assert result.exit_code == 2
    assert result.stderr.startswith(line)
    assert result.stderr.count("\n") == 1
    assert result.stdout == ""


def test_a_biased_dataset_is_fetched_verified_and_listed(ddsweep: Run, tmp_path: Path) -> None:
    fetched = ddsweep("data", "fetch", "cdigits:severity=4,align=.5")
    made = tmp_path / "cache" / "data" / "cdigits-align0.5-severity4-16.safetensors"
    assert (fetched.exit_code, fetched.stdout) == (0, f"cdigits:severity=4,align=.5: {made} (1.41 MB)\n")
    assert fetched.stderr.endswith("license: CC BY 4.0; source: made: from digits, colored here\n")
    verified = ddsweep("data", "verify", "cdigits")
    assert (verified.exit_code, verified.stdout) == (0, f"intact     decoded at 16×16    {made}\n")
    rows = {row["name"]: row for row in json.loads(ddsweep("data", "list", "--json").stdout)}
    assert (rows["cdigits"]["state"], rows["cdigits"]["disk_bytes"]) == ("decoded", made.stat().st_size)
    assert rows["ccifar10"]["source"] == (
        "made, frost generated: from cifar10, corrupted here; ImageNet-C's textures of frost are not available"
    )


def test_a_sweep_over_a_biased_dataset_shows_what_it_needs(ddsweep: Run) -> None:
    shown = ddsweep("show", "ablation-alpha", "--profile", "demo", "--set", "target=cdigits:align=0.5,severity=1")
    assert shown.exit_code == 0
    flat = " ".join(shown.stdout.split())
    assert "PTM convnet3 on cdigits:align=0.5,severity=1, seed 0, epochs 20: to train" in flat
    assert "data cdigits:align=0.5,severity=1: not decoded yet (made: from digits, colored here)" in flat


@pytest.mark.parametrize(
    ("settings", "line"),
    [
        (["target=cdigits", "align=0.5,7"], "error: align: 7 is out of range; a share of the training images, from 0"),
        (["target=cdigits", "severity=5"], "error: severity: 5 is out of range; 1, 2, 3, 4"),
        (["align=0.5"], "error: align: 0.5 is set, but digits is not biased (biased datasets: cmnist, "),
    ],
)
def test_a_bias_that_there_is_not_is_one_line(ddsweep: Run, settings: list[str], line: str) -> None:
    words = [word for pair in settings for word in ("--set", pair)]
    result = ddsweep("show", "ablation-alpha", "--profile", "demo", *words)
    assert result.exit_code == 2
    assert result.stderr.startswith(line)
    assert result.stderr.count("\n") == 1
