"""Weights of foundation models: checked before they are kept, recorded, and never replaced in silence."""

from __future__ import annotations

import hashlib
from pathlib import Path
from urllib.error import URLError

import pytest
import torch
from safetensors import safe_open
from safetensors.torch import save_file
from torch import Tensor

from ddsweep import data
from ddsweep.errors import UserError
from ddsweep.nn import foundation
from ddsweep.pretrained import inventory, published, spec
from ddsweep.registry.ptms import PTMS
from tests import foundations
from tests.read_only import make_read_only

RESNET, CLIP = PTMS["imagenet"], PTMS["internet"]
KEPT = spec.published(RESNET).weights


@pytest.fixture(scope="module")
def tensors() -> dict[str, Tensor]:
    return foundations.resnet18()


def written(tensors: dict[str, Tensor], name: str = "weights.pth") -> Path:
    path = Path(name)
    torch.save(tensors, path)
    return path


def digest(path: Path) -> str:
    return hashlib.sha256(path.read_bytes()).hexdigest()


def test_what_is_kept_says_where_it_is_from(tensors: dict[str, Tensor]) -> None:
    path = written(tensors)
    said = published.adopt(RESNET, path)
    assert said == f"sha256 {digest(path)[:16]}, not the published f37072fd"
    with safe_open(KEPT(0), "pt") as file:
        metadata, kept = file.metadata(), {name: file.get_tensor(name) for name in file.keys()}  # noqa: SIM118
    assert (metadata["sha256"], metadata["file"]) == (digest(path), "weights.pth")
    assert metadata["data"] == published.ensure(RESNET)
    assert "fc.weight" not in kept
    assert torch.equal(kept["layer4.1.conv2.weight"], tensors["layer4.1.conv2.weight"])
    (one,) = inventory.entries()
    assert (one.spec, one.accuracy) == (spec.published(RESNET), {0: None})


def test_a_trial_sees_the_target_through_it(tensors: dict[str, Tensor]) -> None:
    """Gray digits: back to [0, 1] by hand, repeated to RGB, into the model."""
    published.adopt(RESNET, written(tensors))
    digits = data.load("digits")
    (model,) = published.load(RESNET, digits).models[0]
    chosen = torch.tensor([3, 8])
    gray = digits.images[chosen] * digits.std[0] + digits.mean[0]
    net = foundation.build(RESNET, foundation.select(RESNET, tensors))
    torch.testing.assert_close(model.features(digits, chosen), net.embed(gray.repeat(1, 3, 1, 1)), rtol=1e-3, atol=1e-4)
    assert (model.arch, model.canvas) == ("resnet18-imagenet", 224)


def test_the_checksum_is_of_names_shapes_and_values() -> None:
    base = {"a": torch.zeros(2, 3), "b": torch.ones(3)}
    changes = ({"a": torch.zeros(3, 2)}, {"b": torch.tensor([1.0, 1.0, 1.1])}, {"b": torch.ones(3).double()})
    others = [base | change for change in changes] + [{"a": base["a"], "c": base["b"]}, {"a": base["a"]}]
    assert len({published.checksum(one) for one in (base, *others)}) == 6
    assert published.checksum(base) == published.checksum({"b": base["b"].clone(), "a": base["a"]})


def test_the_same_numbers_in_another_format_are_the_same_model(tensors: dict[str, Tensor]) -> None:
    published.adopt(RESNET, written(tensors))
    before = published.ensure(RESNET)
    save_file(tensors, "weights.safetensors")
    published.adopt(RESNET, Path("weights.safetensors"))
    assert published.ensure(RESNET) == before


def test_a_pool_that_cannot_be_written_is_read(tensors: dict[str, Tensor], monkeypatch: pytest.MonkeyPatch) -> None:
    published.adopt(RESNET, written(tensors))
    before = published.ensure(RESNET)
    make_read_only(monkeypatch)
    assert published.ensure(RESNET) == before
    with pytest.raises(UserError, match=r"cannot write .*: Read-only file system"):
        published.adopt(RESNET, Path("weights.pth"))


def test_other_weights_do_not_replace_those_on_which_results_rest(tensors: dict[str, Tensor]) -> None:
    published.adopt(RESNET, written(tensors))
    with pytest.raises(UserError, match="has other weights of resnet18-imagenet; to replace them, first remove"):
        published.adopt(RESNET, written(tensors | {"bn1.weight": torch.ones(64)}))


def test_a_hash_in_the_name_is_compared(tensors: dict[str, Tensor]) -> None:
    path = written(tensors, "resnet18-f37072fd.pth")
    with pytest.raises(UserError, match=r"is damaged: its sha256 is [0-9a-f]{16}…, its name has f37072fd"):
        published.adopt(RESNET, path)
    assert not spec.published(RESNET).saved()
    honest = path.rename(f"resnet18-{digest(path)[:8]}.pth")
    published.adopt(RESNET, honest)
    assert spec.published(RESNET).saved() == {0}


class Trap:
    """What a hostile file would do."""

    def __reduce__(self):
        return Path.touch, (Path("sprung"),)


def test_nothing_in_a_file_is_run() -> None:
    torch.save({"conv1.weight": Trap()}, "weights.pth")
    with pytest.raises(UserError, match=r"weights: weights\.pth has no tensors that can be read safely \("):
        published.adopt(RESNET, Path("weights.pth"))
    assert not Path("sprung").exists()


def program(path: Path) -> None:
    """A TorchScript archive: what OpenAI's own RN50.pt is."""
    import warnings

    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # torch.jit is deprecated; files of it remain
        torch.jit.save(torch.jit.script(torch.nn.Linear(1, 1)), str(path))


@pytest.mark.parametrize(
    ("make", "line"),
    [
        (lambda path: None, "weights: file not found: w.pth"),
        (lambda path: path.write_bytes(b"text"), "has no tensors that can be read safely"),
        (lambda path: path.write_bytes(b""), "has no tensors that can be read safely"),
        (program, "is a TorchScript program"),
        (lambda path: torch.save([torch.zeros(1)], path), "is not a state dict"),
        (lambda path: torch.save({"state_dict": {}}, path), "is not a state dict"),
    ],
    ids=["none", "text", "empty", "program", "list", "nested"],
)
def test_what_is_no_file_of_weights(make, line: str) -> None:
    make(Path("w.pth"))
    with pytest.raises(UserError, match=line) as error:
        published.adopt(RESNET, Path("w.pth"))
    assert "\n" not in str(error.value)


def test_a_damaged_file_in_the_pool(tensors: dict[str, Tensor]) -> None:
    published.adopt(RESNET, written(tensors))
    content = bytearray(KEPT(0).read_bytes())
    content[-1] ^= 1
    KEPT(0).write_bytes(content)
    with pytest.raises(UserError, match=r"is damaged; remove it, then run: ddsweep pretrain imagenet"):
        published.load(RESNET, data.load("digits"))


def test_without_a_network_the_line_says_what_to_do(monkeypatch: pytest.MonkeyPatch) -> None:
    def unreachable(*_: object, **__: object) -> None:
        raise URLError("Name or service not known")

    monkeypatch.setattr(torch.hub, "download_url_to_file", unreachable)
    with pytest.raises(UserError) as error:
        published.ensure(RESNET)
    assert str(error.value) == (
        "source: the weights of resnet18-imagenet could not be downloaded (Name or service not known); on a machine "
        "with internet access, download https://download.pytorch.org/models/resnet18-f37072fd.pth, then run in "
        "its folder: ddsweep pretrain imagenet --weights resnet18-f37072fd.pth"
    )


def test_the_library_downloads_once(monkeypatch: pytest.MonkeyPatch, tensors: dict[str, Tensor]) -> None:
    calls = []

    def served(url: str, path: str, hash_prefix: str, progress: bool) -> None:
        calls.append((url, hash_prefix))
        torch.save(tensors, path)

    monkeypatch.setattr(torch.hub, "download_url_to_file", served)
    with pytest.raises(UserError, match="its name has f37072fd"):  # generated weights are not the published ones
        published.ensure(RESNET)
    monkeypatch.setattr(published, "NAMED_HASH", published.re.compile("never"))
    assert published.ensure(RESNET) == published.ensure(RESNET)
    assert calls == [(RESNET.url, "f37072fd")] * 2
    assert [path.name for path in spec.published(RESNET).folder.iterdir() if path.suffix] == ["epoch0000.safetensors"]


def test_clip_is_read_from_open_clips_file() -> None:
    pytest.importorskip("open_clip")
    published.adopt(CLIP, written(foundations.clip_rn50()))
    digits = data.load("digits")
    (model,) = published.load(CLIP, digits).models[0]
    assert model.features(digits, torch.tensor([0])).shape == (1, 1024)
    with pytest.raises(UserError, match=r"weights: visual\.conv1\.weight: missing in the file, .* in clip-rn50"):
        published.adopt(CLIP, written(foundations.resnet18(), "other.pth"))
