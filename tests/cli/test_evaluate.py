"""``ddsweep export --to`` and ``ddsweep evaluate``, by the front door."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
import torch

import ddsweep as library
from ddsweep import exchange
from tests.cli.conftest import Run

SWEEP = "ablation-alpha,ipc=2"


@pytest.fixture
def key(ddsweep: Run, tiny: list[str]) -> str:
    """A finished run; the sweep has two cells, the other of which has α = 10."""
    cells = ["--set", "alpha=0,10", *tiny]
    assert ddsweep("launch", SWEEP, "-p", "demo", *cells, "--workers", "0").exit_code == 0
    found = [path.parent for path in Path("runs").glob("*/result.json")]
    (baseline,) = [path.name for path in found if json.loads((path / "recipe.json").read_text())["alpha"] == 0]
    return baseline


def test_our_own_sets_come_out_as_in_their_trial(ddsweep: Run, key: str) -> None:
    then = json.loads(Path("runs", key, "result.json").read_text())
    for to in ("pt", "vico"):
        file = ddsweep("export", key[:8], "--to", to).stdout.strip()
        judged = json.loads(ddsweep("evaluate", file, "--json", "--device", "cpu").stdout)
        assert {one["arch"]: one["accuracies"] for one in judged["networks"]} == then["accuracies"]
        assert judged["warnings"] == []
    for to in ("folder", "hf"):
        file = ddsweep("export", f"{SWEEP}@demo:alpha=0", "--to", to, "-o", to).stdout.strip()
        judged = json.loads(ddsweep("evaluate", file, "--json", "--device", "cpu").stdout)
        assert (judged["format"], judged["ipc"], judged["classes"]) == (to, 2, 10)


def test_other_statistics(ddsweep: Run, key: str) -> None:
    ddsweep("export", key, "--to", "pt", "--space", "mnist", "-o", "theirs")
    ddsweep("export", key, "--to", "pt", "-o", "ours")
    there, here = (torch.load(f"{name}/images.pt", weights_only=True) for name in ("theirs", "ours"))
    note = json.loads(Path("ours/ddsweep.json").read_text())
    expected = (here * note["std"][0] + note["mean"][0] - 0.1307) / 0.3081
    torch.testing.assert_close(there, expected, rtol=0, atol=1e-5)
    told = ddsweep("evaluate", "theirs", "--nets", "1", "--set", "eval_epochs=1").stdout
    assert "mean 0.1307; std 0.3081" in told


def results_in(stdout: str) -> list[str]:
    """The lines without those of the progress."""
    return [line for line in stdout.splitlines() if not line.startswith("  ")]


def test_a_set_from_elsewhere(ddsweep: Run, tmp_path: Path) -> None:
    torch.save(torch.rand(20, 1, 16, 16, generator=torch.Generator().manual_seed(0)), "images_best.pt")
    torch.save(torch.arange(10).repeat_interleave(2), "labels_best.pt")
    torch.save(torch.tensor(0.5), "lr.pt")
    small = ["--set", "eval_epochs=2", "--set", "width=4", "--device", "cpu"]
    words = ["evaluate", "images_best.pt", "--dataset", "digits", "--arch", "convnet1+convnet2", "--nets", "2", *small]
    result = ddsweep(*words)
    lines = results_in(result.stdout)
    assert lines[0] == "images_best.pt: format pt, 20 images of 1x16x16"
    assert lines[1:4] == [
        "2 per class, 10 classes of digits",
        "pixels in [0, 1], normalized for the networks",
        "its learned learning rate is not used; to use it: --rule tm, or --set eval_lr=0.5",
    ]
    assert lines[4] == (
        "values from 0.00 to 1.00: assumed to be pixels in [0, 1]; if they are not: "
        "--space normalized|unit|symmetric|bytes|zca|DATASET"
    )
    assert lines[6].split()[0] == "convnet1"
    assert lines[7].split()[0] == "convnet2"
    assert "rule paper: 2 epochs, batch 256, lr 0.01, augmentation color_crop_cutout_scale_rotate" in result.stdout
    assert results_in(ddsweep(*words).stdout) == lines
    assert results_in(ddsweep(*words, "--seed", "1").stdout) != lines
    learned = "rule tm: 2 epochs, batch 256, lr 0.5, augmentation color_crop_cutout_scale_rotate"
    assert learned in ddsweep(*words, "--rule", "tm").stdout
    mixed = ddsweep(*words, "--rule", "idc")
    assert (
        "rule idc: 2 epochs, batch 64, lr 0.01, augmentation color_crop_scale_rotate and CutMix, best of 4 tests"
        in mixed.stdout
    )
    missing = ddsweep("evaluate", "images_best.pt")
    assert missing.exit_code == 2
    assert missing.stderr.startswith(
        "error: dataset: images_best.pt does not say which dataset it was distilled from; choose one of"
    )


def test_label_robust_score(ddsweep: Run, key: str) -> None:
    small = ["--nets", "1", "--set", "ptm_train_epochs=1", "--device", "cpu"]
    judged = ddsweep("evaluate", f"runs/{key}", "--metric", "lrs", "--json", *small)
    (one,) = json.loads(judged.stdout)["networks"]
    assert one["lrs"]["synthetic"] == one["accuracy"]
    assert 0 < one["lrs"]["value"] < 1
    pool = json.loads(ddsweep("pool", "--json").stdout)
    assert one["lrs"]["full"] in [accuracy for ptm in pool for accuracy in ptm["accuracy"].values()]


FORMATS = [("pt", 0), ("vico", 0), ("idc", 0), ("folder", 0), ("folder", 16), ("hf", 0)]


@pytest.mark.parametrize("folder", ["out", "a folder/ü out"])
def test_every_format_is_evaluated_from_where_export_said(ddsweep: Run, key: str, folder: str) -> None:
    """By the folder of ``-o``, by the path that is printed, and by the default folder."""
    small = ["--json", "--device", "cpu", "--nets", "1", "--set", "eval_epochs=1"]
    assert {name for name, _ in FORMATS} == set(exchange.WRITERS)
    for to, bits in FORMATS:
        place = f"{folder}-{to}-{bits}"
        told = ddsweep("export", key, "--to", to, "--bits", str(bits), "-o", place)
        assert told.exit_code == 0, told.stderr
        printed = told.stdout.removesuffix("\n")
        found = []
        for path in (place, printed):
            result = ddsweep("evaluate", path, *small)
            assert result.exit_code == 0, result.stderr
            found.append(json.loads(result.stdout))
        assert found[0]["networks"] == found[1]["networks"]
        assert found[0]["format"] == to
        assert len(library.load_set(place).labels) == 20
        if not bits:
            ddsweep("export", key, "--to", to)
            assert len(library.load_set(f"exports/{key}-{to}").labels) == 20


def test_what_pixels_lose_is_said(ddsweep: Run, key: str) -> None:
    learned = library.load_set(f"runs/{key}/synthetic.safetensors")
    mean, std = (torch.tensor(values)[:, None, None] for values in (learned.mean, learned.std))
    exact = (learned.images.double() * std + mean).float()
    clipped = float(((exact < 0) | (exact > 1)).double().mean())
    assert 0.001 < clipped < 0.9
    share = f"{100 * clipped:.1f} % of the values were outside [0, 1] and clipped"
    errors = {}
    for bits, step in ((8, "1/255"), (16, "1/65535")):
        told = ddsweep("export", key, "--to", "folder", "--bits", str(bits), "-o", f"bits{bits}")
        assert f"{share}, and all values were rounded to {step}; this can change accuracies" in told.stderr
        assert "--to pt and --to vico keep the learned values" in told.stderr
        assert ("but clips as many" in told.stderr) is (bits == 8)
        note = json.loads(Path(f"bits{bits}/ddsweep.json").read_text())
        assert (note["bits"], note["clipped_share"]) == (bits, pytest.approx(clipped, abs=1e-5))
        read = exchange.read(Path(f"bits{bits}")).images
        errors[bits] = float((read - exact.clamp(0, 1)).abs().max())
    assert 1e-4 < errors[8] <= 0.5 / 255 + 1e-6
    assert errors[16] <= 0.5 / 65535 + 1e-6  # 16 bits survive reading; what was clipped does not come back
    assert "clipped" not in ddsweep("export", key, "--to", "pt").stderr


MISTAKES = [
    (
        ["export", "KEY", "--to", "hf", "--bits", "16"],
        "bits: 16: hf has 8 bits per channel (allowed with --to folder: 8 or 16)",
    ),
    (["export", "KEY", "--to", "pt", "--bits", "16"], "bits: 16: pt has the floats, without rounding"),
    (["export", "KEY", "--to", "folder", "--bits", "12"], "bits: 12: folder has 8 bits per channel"),
    (["export", "KEY", "--to", "zip"], "to: unknown format 'zip'; allowed: folder, hf, idc, pt, vico"),
    (
        ["export", "KEY", "--to", "hf", "--space", "mnist"],
        "space: hf contains pixels, which are not normalized (allowed: unit)",
    ),
    (["export", "KEY", "--to", "folder", "-o", "runs"], "output: runs exists; choose a new folder"),
    (["export", "KEY", "--to", "pt", "--wandb"], "export: --wandb writes a sweep and --to a synthetic set"),
    (["export", "ffff", "--to", "pt"], "ffff: no finished run in runs has a key that begins with this"),
    (
        ["export", f"{SWEEP}@demo", "--to", "pt"],
        "cell: 2 of the 2 cells of ablation-alpha,ipc=2@demo have these choices; choose one",
    ),
    (["export", f"{SWEEP}@demo:alpha=3", "--to", "pt"], "cell: none of the 2 cells of ablation-alpha,ipc=2@demo has"),
    (["export", f"{SWEEP}@demo:alpa=3", "--to", "pt"], "alpa: unknown parameter; did you mean alpha?"),
    (["evaluate", "runs/KEY", "--arch", "convnet9"], "arch: unknown network 'convnet9'"),
    (["evaluate", "runs/KEY", "--rule", "best1"], "eval_rule: unknown evaluation 'best1'; did you mean best?"),
    (["evaluate", "runs/KEY", "--dataset", "digts"], "unknown dataset 'digts'; did you mean digits?"),
    (["evaluate", "runs/KEY", "--ipc", "3"], "ipc: runs/KEY has 2 images per class, not 3"),
    (["evaluate", "runs/KEY", "--set", "alpha=3"], "alpha: not a setting of an evaluation"),
    (["evaluate", "nowhere.pt"], "nowhere.pt: file or folder not found"),
]


def test_a_mistake_is_one_line(ddsweep: Run, key: str) -> None:
    for words, line in MISTAKES:
        result = ddsweep(*(word.replace("KEY", key) for word in words))
        assert result.exit_code == 2
        assert result.stderr.startswith(f"error: {line.replace('KEY', key)}")
        assert result.stderr.count("\n") == 1
