"""Files as the code of others writes and reads them; nothing here uses our writers to make what our readers read."""

from __future__ import annotations

import json
import pickle
from pathlib import Path

import numpy as np
import pytest
import torch
import yaml
from PIL import Image

from ddsweep import exchange
from ddsweep.data import Dataset
from ddsweep.exchange import ImageSet, space
from ddsweep.exchange.prepare import Choices, Prepared, prepare
from tests.exchange.conftest import draw, labels, pixels, saved


def ready(path: Path, dataset: Dataset, choices: Choices = Choices(), experiment: int = -1) -> Prepared:  # noqa: B008
    return prepare(exchange.read(path, experiment), dataset, path, choices)


def test_dictionary_of_dc(place: Path, digits: Dataset) -> None:
    first, last = draw(20, 1, 16, 16), draw(20, 1, 16, 16, seed=1)
    content = {
        "data": [[first, labels()], [last, labels()]],
        "accs_all_exps": {"ConvNet": [np.float64(0.44), np.float64(0.45)], "MLP": []},  # NumPy's, as its code has them
    }
    path = saved(place / "res_DM_MNIST_ConvNet_2ipc.pt", content)
    assert torch.equal(ready(path, digits).synthetic.images, last)  # DC-bench takes data[-1]
    assert torch.equal(ready(path, digits, experiment=0).synthetic.images, first)  # DDInterpreter data[0]
    found = exchange.read(path)
    assert (found.facts.dataset, found.facts.method, found.facts.ipc) == ("mnist", "dm", 2)
    assert found.remarks == ("experiment 1 of 0 to 1 (--experiment)",)


def test_pair_of_mtt(place: Path, digits: Dataset) -> None:
    images = draw(20, 1, 16, 16)
    order = torch.randperm(20, generator=torch.Generator().manual_seed(0))
    saved(place / "labels_best.pt", labels()[order])
    saved(place / "lr.pt", torch.tensor(0.0187))
    path = saved(place / "images_best.pt", images[order])
    found = ready(place, digits)  # by its folder
    assert torch.equal(found.synthetic.labels, labels())
    assert found.remarks[1:] == ["images sorted by class"]
    assert {tuple(image) for image in found.synthetic.images[found.synthetic.labels == 3][:, 0, 0].tolist()} == {
        tuple(image) for image in images[6:8, 0, 0].tolist()
    }
    assert exchange.read(path).facts.lr == pytest.approx(0.0187)


def test_pair_without_labels_is_class_major(place: Path, digits: Dataset) -> None:
    path = saved(place / "images.pt", draw(20, 1, 16, 16))
    assert torch.equal(ready(path, digits).synthetic.labels, labels())


@pytest.mark.parametrize("stem", ["MNIST_IPC2", "MNIST_IPC2_normalize"])
def test_layout_of_dc_bench(stem: str, place: Path, digits: Dataset) -> None:
    normalized = "normalize" in stem
    images = draw(20, 1, 16, 16) if normalized else pixels(20)
    folder = place / "distilled_results" / "random" / "MNIST" / "IPC2"
    saved(folder / "MNIST_IPC2_labels.pt", labels())
    saved(folder / f"{stem}_images.pt", images)
    found = ready(folder, digits)
    assert found.space.is_fixed is not normalized
    expected = images if normalized else (images - digits.mean[0]) / digits.std[0]
    torch.testing.assert_close(found.synthetic.images, expected, rtol=0, atol=1e-6)
    assert exchange.read(folder).facts.dataset == "mnist"
    assert exchange.read(folder).facts.method == "random"


def test_idc_is_decoded(place: Path, digits: Dataset) -> None:
    images = pixels(10)
    path = saved(place / "data.pt", [images, torch.arange(10)])
    found = ready(path, digits, Choices(factor=2))
    assert found.synthetic.ipc == 4
    for cell, (row, column) in enumerate([(0, 0), (0, 8), (8, 0), (8, 8)]):  # row by row
        part = images[7:8, :, row : row + 8, column : column + 8]
        large = torch.nn.functional.interpolate(part, (16, 16), mode="bilinear", align_corners=False)
        expected = (large[0] - digits.mean[0]) / digits.std[0]
        torch.testing.assert_close(
            found.synthetic.images[found.synthetic.labels == 7][cell], expected, rtol=0, atol=1e-5
        )


def test_kip(place: Path, digits: Dataset) -> None:
    images = draw(10, 16, 16, 1).numpy()
    one_hot = np.eye(10)[::-1] - 0.1  # centered, as its code has them
    np.savez(place / "kip.npz", images=images, labels=one_hot)
    found = ready(place / "kip.npz", digits)
    assert found.synthetic.images[0, 0, 3, 5] == images[9, 3, 5, 0]


def test_image_folder_by_name(place: Path) -> None:
    from ddsweep import data

    dataset = data.load("shapes")
    for number, name in enumerate(dataset.classes):
        (place / name).mkdir()
        color = np.full((16, 16, 3), 20 * number + 5, dtype=np.uint8)
        Image.fromarray(color).save(place / name / "a.bmp")
    found = ready(place, dataset)
    assert found.remarks == ["classes matched by name", "images sorted by class"]
    shown = dataset.denormalize(found.synthetic.images)[:, 0, 0, 0] * 255
    torch.testing.assert_close(shown, 20.0 * torch.arange(10) + 5, rtol=0, atol=0.01)


def test_jpeg_folder_of_dd_ranking(place: Path, digits: Dataset) -> None:
    for label in range(10):
        (place / f"{label:05d}").mkdir()
        Image.new("RGB", (16, 16), (25 * label,) * 3).save(place / f"{label:05d}" / "00000.jpg", quality=100)
    found = ready(place, digits)  # RGB files of gray images
    shown = digits.denormalize(found.synthetic.images)[:, 0, 8, 8] * 255
    torch.testing.assert_close(shown, 25.0 * torch.arange(10), rtol=0, atol=1.5)


def test_our_pair_in_the_code_of_dd_ranking(one: ImageSet, place: Path) -> None:
    exchange.WRITERS["pt"].write(one, place)
    images, hard = (torch.load(place / name, weights_only=True) for name in ("images.pt", "labels.pt"))
    assert (images.dtype, hard.dtype) == (torch.float32, torch.int64)
    ipc = 2
    assert torch.equal(hard, torch.tensor([[label] * ipc for label in range(10)]).view(-1))  # its default labels
    assert float(torch.load(place / "lr.pt", weights_only=True)) == 0.25


def test_our_dictionary_in_the_code_of_dc_bench(one: ImageSet, place: Path) -> None:
    name = one.facts.dataset.upper()
    exchange.WRITERS["vico"].write(one, place)
    folder = place / "DM" / name / "IPC2"
    with (folder / f"res_DM_{name}_ConvNet_2ipc.pt").open("rb") as file:
        content = torch.load(file, weights_only=True)
    images, hard = content["data"][-1]
    assert torch.equal(images, one.images)
    assert torch.equal(hard, labels())
    assert content["data"][0][0].shape == images.shape  # DDInterpreter's validate.py
    assert content["accs_all_exps"] == {"ConvNet": [0.5, 0.75]}


def test_our_folder_in_torchvision(one: ImageSet, place: Path) -> None:
    from torchvision.datasets import ImageFolder

    exchange.WRITERS["folder"].write(space.restated(one, space.fixed("unit", one.images.shape[1])), place)
    there = ImageFolder(place)
    assert there.targets == labels().tolist()
    assert there.classes[3] == "00003"
    assert there[0][0].size == (16, 16)


def test_our_card_on_the_hub(one: ImageSet, place: Path) -> None:
    exchange.WRITERS["hf"].write(space.restated(one, space.fixed("unit", one.images.shape[1])), place)
    _, head, text = (place / "README.md").read_text().split("---\n", 2)
    card = yaml.safe_load(head)
    image, label = card["configs"][0]["features"]
    assert image == {"name": "image", "dtype": "image"}
    assert label["dtype"]["class_label"]["names"] == {str(i): name for i, name in enumerate(one.facts.classes)}
    rows = [json.loads(line) for line in (place / "train" / "metadata.jsonl").read_text().splitlines()]
    assert [row["label"] for row in rows] == labels().tolist()
    assert all((place / "train" / row["file_name"]).is_file() for row in rows)
    assert "62.5 % (2 networks)" in text


class Bomb:
    def __reduce__(self) -> tuple[object, ...]:
        return (Path.touch, (Path("exploded"),))


@pytest.mark.parametrize("name", ["images.pt", "data.pt", "set.npz"])
def test_nothing_in_a_file_runs(name: str, place: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(place)
    path = place / name
    if name.endswith("npz"):
        np.savez(path, images=np.array([Bomb()], dtype=object), labels=np.zeros(1))
    elif name == "data.pt":
        path.write_bytes(pickle.dumps(Bomb()))
    else:
        torch.save({"data": Bomb()}, path)
    with pytest.raises(exchange.UserError) as error:
        exchange.read(path)
    assert not Path("exploded").exists()
    assert str(path) in str(error.value)
