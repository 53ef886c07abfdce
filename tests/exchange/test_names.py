"""Labels of a set against the classes of a dataset: by name, whatever the order; never silently by position."""

from __future__ import annotations

import json
import random
import unicodedata
from collections.abc import Callable, Sequence
from pathlib import Path

import numpy as np
import pytest
import torch
import yaml
from hypothesis import given
from hypothesis import strategies as st
from PIL import Image
from torch import Tensor
from torchvision.datasets import ImageFolder

from ddsweep import data, exchange
from ddsweep.data import Dataset
from ddsweep.errors import UserError
from ddsweep.exchange import Facts, ImageSet, names, space, synthetic_set
from ddsweep.exchange.prepare import Choices, Prepared, prepare
from ddsweep.registry.classes import FRUIT, NETTE
from tests.exchange.conftest import saved

SIDE, PATCH = 16, 4
TWELVE = [str(number) for number in range(12)]


def picture(place: int, seed: int) -> np.ndarray:
    """Noise with a bright patch at one of sixteen places."""
    image = np.random.default_rng(seed).integers(0, 60, (SIDE, SIDE, 3), dtype=np.uint8)
    row, column = divmod(place, SIDE // PATCH)
    image[PATCH * row : PATCH * (row + 1), PATCH * column : PATCH * (column + 1)] = 230
    return image


def data_folder(root: Path, classes: Sequence[str], train: int = 3, test: int = 2) -> Dataset:
    """Class number k of ``classes`` is bright at place k, whatever its name and its place in the sorted listing."""
    for part, count, first in (("train", train, 0), ("test", test, 10_000)):
        for place, name in enumerate(classes):
            (root / part / name).mkdir(parents=True)
            for number in range(count):
                pixels = picture(place, first + 100 * place + number)
                Image.fromarray(pixels).save(root / part / name / f"{number}.png")
    return data.load(f"imagefolder:{root}", SIDE)


def nearest_mean(found: Prepared, dataset: Dataset) -> float:
    """Accuracy of a classifier that knows the mean image of each class of the set."""
    synthetic = found.synthetic
    means = torch.stack([synthetic.images[synthetic.labels == label].mean(0) for label in range(synthetic.classes)])
    guesses = torch.cdist(dataset.test_images[:].flatten(1), means.flatten(1)).argmin(1)
    return float((guesses == dataset.test_labels).float().mean())


def accuracy(path: Path, dataset: Dataset, choices: Choices = Choices()) -> float:  # noqa: B008
    return nearest_mean(prepare(exchange.read(path), dataset, path, choices), dataset)


@pytest.fixture
def twelve(tmp_path: Path) -> Dataset:
    dataset = data_folder(tmp_path / "data", TWELVE)
    assert list(dataset.classes) == sorted(TWELVE) != TWELVE
    assert dataset.classes == tuple(ImageFolder(tmp_path / "data" / "train").classes)
    return dataset


def folder_set(root: Path, folders: Sequence[str]) -> Path:
    """An image folder as others write it: the folder ``folders[k]`` has images of place k."""
    for place, name in enumerate(folders):
        (root / name).mkdir(parents=True)
        for number in range(2):
            Image.fromarray(picture(place, 500 + 100 * place + number)).save(root / name / f"{number}.png")
    return root


def pixels_of(places: Sequence[int]) -> Tensor:
    """One image of each place, in [0, 1]."""
    stacked = np.stack([picture(place, 700 + place) for place in places])
    return torch.from_numpy(stacked).permute(0, 3, 1, 2).float() / 255


def test_folders_named_like_number_classes(twelve: Dataset, tmp_path: Path) -> None:
    """The finding: ten of twelve classes were trained under another name, without a word."""
    assert accuracy(folder_set(tmp_path / "set", TWELVE), twelve) == 1.0


def test_folders_in_a_permuted_order_of_words(tmp_path: Path) -> None:
    words = ["pear", "fig", "apple", "kiwi", "plum"]
    dataset = data_folder(tmp_path / "data", words)
    assert accuracy(folder_set(tmp_path / "set", words), dataset) == 1.0


def test_folders_of_a_split_folder(twelve: Dataset, tmp_path: Path) -> None:
    folder_set(tmp_path / "set" / "train", TWELVE)
    assert accuracy(tmp_path / "set", twelve) == 1.0


def test_a_whole_dataset_is_not_a_set(twelve: Dataset, tmp_path: Path) -> None:
    with pytest.raises(UserError, match=r"data: has the splits test, train; did you mean .*/data/train\?"):
        exchange.read(tmp_path / "data")
    assert accuracy(tmp_path / "data" / "train", twelve) == 1.0


def test_numbered_folders_are_labels_of_classes_with_words(tmp_path: Path) -> None:
    words = [f"class {letter}" for letter in "abcdefghijkl"]
    dataset = data_folder(tmp_path / "data", words)
    path = folder_set(tmp_path / "set", TWELVE)  # 2 before 10, unlike in a sorted listing
    found = prepare(exchange.read(path), dataset, path, Choices())
    assert nearest_mean(found, dataset) == 1.0
    assert f"numbers 0…11 are taken in the order of {dataset.name}: class a, class b, class c" in found.remarks[0]


@pytest.mark.parametrize("form", ["{:02d}", "{:05d}"])
def test_padded_numbers_are_refused_where_they_mean_two_things(form: str, twelve: Dataset, tmp_path: Path) -> None:
    path = folder_set(tmp_path / "set", [form.format(number) for number in range(12)])
    with pytest.raises(
        UserError, match=r"its class '0+2' can mean class '2' of .*, or label 2, which is class '10'"
    ) as e:
        accuracy(path, twelve)
    assert "--classes" in str(e.value)
    assert accuracy(path, twelve, Choices(classes=tuple(TWELVE))) == 1.0
    assert accuracy(path, twelve, Choices(classes=twelve.classes)) < 0.5  # what was assumed before


@pytest.mark.parametrize("form", ["{:02d}", "{:05d}"])
def test_padded_numbers_of_unpadded_classes(form: str, tmp_path: Path) -> None:
    dataset = data_folder(tmp_path / "data", TWELVE[:10])
    path = folder_set(tmp_path / "set", [form.format(number) for number in range(10)])
    assert accuracy(path, dataset) == 1.0


def test_numbers_from_one(tmp_path: Path) -> None:
    """Folders 1 … 12 of classes 01 … 12; and of classes 0 … 11, of which one is missing."""
    from_one = [str(number) for number in range(1, 13)]
    dataset = data_folder(tmp_path / "data", [f"{number:02d}" for number in range(1, 13)])
    path = folder_set(tmp_path / "set", from_one)
    assert accuracy(path, dataset) == 1.0
    other = data_folder(tmp_path / "other", TWELVE)
    with pytest.raises(UserError, match=r"has no class '12' of the set, and the set has no class '0' of"):
        accuracy(path, other)


def npz(path: Path, images: Tensor, labels: Tensor, classes: Sequence[str] = ()) -> Path:
    arrays = {"images": images.permute(0, 2, 3, 1).numpy(), "labels": labels.numpy()}
    path.mkdir(exist_ok=True)
    np.savez(path / "set.npz", allow_pickle=False, **arrays, **({"classes": np.array(classes)} if classes else {}))
    return path / "set.npz"


def pair(path: Path, images: Tensor, labels: Tensor) -> Path:
    saved(path / "labels.pt", labels)
    return saved(path / "images.pt", images)


def vico(path: Path, images: Tensor, labels: Tensor) -> Path:
    return saved(path / "res_DM_X_ConvNet_1ipc.pt", {"data": [[images, labels]], "accs_all_exps": {}})


def idc(path: Path, images: Tensor, labels: Tensor) -> Path:
    return saved(path / "data.pt", [images, labels])


def hub(path: Path, images: Tensor, labels: Tensor, names: object = None, text: bool = False) -> Path:
    (path / "train").mkdir(parents=True)
    rows = []
    for number, (image, label) in enumerate(zip(images, labels.tolist(), strict=True)):
        array = (image * 255).round().byte().permute(1, 2, 0).numpy()
        Image.fromarray(array).save(path / "train" / f"{number}.png")
        rows.append({"file_name": f"{number}.png", "label": TWELVE[label] if text else label})
    (path / "train" / "metadata.jsonl").write_text("".join(json.dumps(row) + "\n" for row in rows))
    if names is not None:
        features = [{"name": "image", "dtype": "image"}, {"name": "label", "dtype": {"class_label": {"names": names}}}]
        head = yaml.safe_dump({"dataset_info": {"features": features}})
        (path / "README.md").write_text(f"---\n{head}---\n# A set\n")
    return path


@pytest.mark.parametrize("write", [npz, pair, vico, idc, hub])
def test_labels_without_names(write: Callable[..., Path], twelve: Dataset, tmp_path: Path) -> None:
    """Labels as torchvision gives them are in the dataset's order; that this was assumed is said and can be changed."""
    images, choices = pixels_of(range(12)), Choices(factor=1, space="unit")
    path = write(tmp_path / "set", images, torch.tensor([twelve.classes.index(name) for name in TWELVE]))
    found = prepare(exchange.read(path), twelve, path, choices)
    assert nearest_mean(found, twelve) == 1.0
    assert f"labels 0…11 are taken in the order of {twelve.name}: 0, 1, 10, 11, 2, …" in found.remarks
    assert found.warnings[0].startswith("label 2 is taken for class '10'")
    path = write(tmp_path / "another", images, torch.arange(12))
    assert accuracy(path, twelve, choices) < 0.5
    assert accuracy(path, twelve, Choices(factor=1, space="unit", classes=tuple(TWELVE))) == 1.0


def test_labels_of_classes_with_words_are_said_too(tmp_path: Path) -> None:
    dataset = data_folder(tmp_path / "data", ["a", "b"])
    path = pair(tmp_path / "set", pixels_of([0, 1]), torch.arange(2))
    found = prepare(exchange.read(path), dataset, path, Choices())
    assert found.remarks[0] == f"labels 0…1 are taken in the order of {dataset.name}: a, b"
    assert found.warnings == []


@pytest.mark.parametrize("names", [TWELVE, {str(label): name for label, name in enumerate(TWELVE)}])
def test_names_in_a_card_of_the_hub(names: object, twelve: Dataset, tmp_path: Path) -> None:
    assert accuracy(hub(tmp_path / "set", pixels_of(range(12)), torch.arange(12), names), twelve) == 1.0


@pytest.mark.parametrize("names", [{"0": "0", "2": "1"}, {"a": "b"}, "0, 1", 12, [None, "a"], {}])
def test_a_card_that_does_not_name_every_label_is_not_believed(names: object, tmp_path: Path) -> None:
    assert exchange.read(hub(tmp_path / "set", pixels_of([0, 1]), torch.arange(2), names)).facts.classes == ()


def test_a_card_of_several_configurations(twelve: Dataset, tmp_path: Path) -> None:
    path = hub(tmp_path / "set", pixels_of(range(12)), torch.arange(12), TWELVE)
    card = (path / "README.md").read_text().removeprefix("---\n").partition("---\n")[0]
    infos = [{"config_name": "other"}, yaml.safe_load(card)["dataset_info"]]
    (path / "README.md").write_text(f"---\n{yaml.safe_dump({'dataset_info': infos})}---\n")
    assert accuracy(path, twelve) == 1.0
    for text in ("---\n- a\n---\n", "---\n: [\n---\n", "# No card\n", "---\nopen"):
        (path / "README.md").write_text(text)
        assert exchange.read(path).facts.classes == ()


def test_labels_that_are_names(twelve: Dataset, tmp_path: Path) -> None:
    images = pixels_of(range(12))
    assert accuracy(hub(tmp_path / "set", images, torch.arange(12), text=True), twelve) == 1.0
    np.savez(tmp_path / "a.npz", images=images.permute(0, 2, 3, 1).numpy(), labels=np.array(TWELVE))
    assert accuracy(tmp_path / "a.npz", twelve) == 1.0


def test_labels_that_are_texts_of_numbers(tmp_path: Path) -> None:
    dataset = data_folder(tmp_path / "data", [f"class {letter}" for letter in "abcdefghijkl"])
    images = pixels_of(range(12))
    np.savez(tmp_path / "a.npz", images=images.permute(0, 2, 3, 1).numpy(), labels=np.array(TWELVE))
    for path in (tmp_path / "a.npz", hub(tmp_path / "set", images, torch.arange(12), text=True)):
        found = prepare(exchange.read(path), dataset, path, Choices())
        assert nearest_mean(found, dataset) == 1.0
        assert found.remarks[0].startswith(f"numbers 0…11 are taken in the order of {dataset.name}")
    mixed = tmp_path / "set" / "train" / "metadata.jsonl"
    mixed.write_text(mixed.read_text().replace('"0"', "0"))
    with pytest.raises(UserError, match="label 0 is not among its 12 classes"):
        exchange.read(tmp_path / "set")


def test_names_in_an_npz_file(twelve: Dataset, tmp_path: Path) -> None:
    assert accuracy(npz(tmp_path, pixels_of(range(12)), torch.arange(12), TWELVE), twelve) == 1.0


def own_set(dataset: Dataset, classes: Sequence[str], one_per: Sequence[int]) -> ImageSet:
    """A set of ddsweep with its classes in this order: image k is of place ``one_per[k]``."""
    mean, std = torch.tensor(dataset.mean)[:, None, None], torch.tensor(dataset.std)[:, None, None]
    facts = Facts(
        dataset.name, tuple(classes), "normalised", dataset.mean, dataset.std, False, 1, 1, "dm", None,
        {"target": dataset.name, "arch": "convnet3"}, {"key": "0123456789abcdef"},
    )  # fmt: skip
    return ImageSet((pixels_of(one_per) - mean) / std, torch.arange(len(classes)), facts)


@pytest.mark.parametrize("form", sorted(exchange.WRITERS))
@pytest.mark.parametrize("seed", [None, 0])
@pytest.mark.parametrize("described", [True, False])
def test_exported_and_back(form: str, seed: int | None, described: bool, twelve: Dataset, tmp_path: Path) -> None:
    """Every label keeps its name, also in a dataset that has the classes in another order."""
    classes = list(twelve.classes) if seed is None else random.Random(seed).sample(TWELVE, 12)
    one = own_set(twelve, classes, [TWELVE.index(name) for name in classes])
    restated = space.restated(one, space.fixed("unit", 3)) if exchange.WRITERS[form].pixels else one
    path = exchange.WRITERS[form].write(restated, tmp_path / "out")
    if not described:
        (note,) = (tmp_path / "out").rglob("*.json")
        note.unlink()
    if described or form in ("vico", "hf"):  # these have a place for names
        assert exchange.read(path).facts.classes == tuple(classes)
        assert accuracy(path, twelve, Choices(space=twelve.name if form == "vico" else "")) == 1.0
    elif form == "folder":
        with pytest.raises(UserError, match=r"its class '00002' can mean class '2'"):
            accuracy(path, twelve)
    else:
        choices = Choices(space="unit", factor=1) if form == "idc" else Choices(space=twelve.name)
        found = prepare(exchange.read(path), twelve, path, choices)
        assert found.warnings[0].startswith("label 2 is taken for class '10'")
        assert nearest_mean(found, twelve) == 1.0 if seed is None else nearest_mean(found, twelve) < 0.5


def test_the_folders_of_an_export_may_be_renamed_to_their_classes(twelve: Dataset, tmp_path: Path) -> None:
    """An older export, whose description has no checksums."""
    one = own_set(twelve, twelve.classes, [TWELVE.index(name) for name in twelve.classes])
    root = exchange.WRITERS["folder"].write(space.restated(one, space.fixed("unit", 3)), tmp_path / "out")
    record = json.loads((root / "ddsweep.json").read_text())
    (root / "ddsweep.json").write_text(json.dumps({k: v for k, v in record.items() if k not in ("sha256", "checksum")}))
    for label, name in enumerate(twelve.classes):
        (root / f"{label:05d}").rename(root / name)
    assert accuracy(root, twelve) == 1.0
    (root / "7").rename(root / "seven")
    with pytest.raises(UserError, match="seven: the folders are neither 00000 to 00011 nor all called like the"):
        exchange.read(root)


@pytest.mark.parametrize("renamed", [False, True])
def test_classes_that_are_called_like_the_folders_of_an_export(renamed: bool, tmp_path: Path) -> None:
    """Folder 00001 of an export has label 1, which is class 00002; if they are renamed, it is class 00001."""
    classes = ["00001", "00002", "00003"]
    dataset = data_folder(tmp_path / "data", classes)
    one = own_set(dataset, classes, [0, 1, 2])
    root = exchange.WRITERS["folder"].write(space.restated(one, space.fixed("unit", 3)), tmp_path / "out")
    if renamed:
        record = json.loads((root / "ddsweep.json").read_text())
        kept = {name: value for name, value in record.items() if name not in ("sha256", "checksum")}
        (root / "ddsweep.json").write_text(json.dumps(kept))
        for label in (2, 1, 0):
            (root / f"{label:05d}").rename(root / classes[label])
    assert accuracy(root, dataset) == 1.0


def test_a_set_of_python_by_name(tmp_path: Path) -> None:
    """The classes of a folder after one was added in front and another renamed; and with the same ones it fits."""
    dataset = data_folder(tmp_path / "data", ["b", "c", "a"])
    path = exchange.WRITERS["pt"].write(own_set(dataset, ["c", "a", "b"], [1, 2, 0]), tmp_path / "out")
    loaded = synthetic_set.read(path, dataset.name)
    assert loaded.classes[0] == "c"  # of the file, which has everything that is needed
    found = prepare(loaded.as_image_set(), dataset, path, Choices())
    assert nearest_mean(found, dataset) == 1.0
    assert "classes matched by name" in found.remarks
    numbered = synthetic_set.read(folder_set(tmp_path / "set", ["0", "1", "2"]), dataset.name)
    assert "numbers 0…2 are taken in the order of" in numbered.remarks[0]
    more = data_folder(tmp_path / "more", ["a", "aa", "b", "c"])
    with pytest.raises(UserError, match="the set has no class 'aa' of imagefolder"):
        prepare(loaded.as_image_set(), more, path, Choices())
    renamed = data_folder(tmp_path / "renamed", ["a", "bee", "c"])
    with pytest.raises(UserError, match=r"has no class 'b' of the set .*did you mean 'bee'\?.*--classes"):
        prepare(loaded.as_image_set(), renamed, path, Choices())
    again = prepare(loaded.as_image_set(), renamed, path, Choices(classes=("c", "a", "bee")))
    assert [int(label) for label in again.synthetic.labels] == [0, 1, 2]


def test_a_doubt_is_logged_in_python(twelve: Dataset, tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    path = pair(tmp_path / "set", pixels_of(range(12)), torch.arange(12))
    loaded = synthetic_set.read(path, twelve.name)
    assert "label 2 is taken for class '10'" in caplog.text
    assert any("labels 0…11 are taken in the order of" in remark for remark in loaded.remarks)
    assert nearest_mean(prepare(loaded.as_image_set(), twelve, path, Choices()), twelve) < 0.5
    caplog.clear()
    named = synthetic_set.read(path, twelve.name, tuple(TWELVE))
    assert caplog.text == ""
    assert nearest_mean(prepare(named.as_image_set(), twelve, path, Choices()), twelve) == 1.0


def matched(theirs: Sequence[str], ours: Sequence[str], dataset: str = "d", are_numbers: bool = False) -> names.Match:
    return names.match(theirs, ours, dataset, Path("set"), are_numbers)


@pytest.mark.parametrize(
    ("theirs", "ours"),
    [
        (["Cat", "DOG"], ["dog", "cat"]),
        (["maple_tree", "aquarium-fish"], ["aquarium fish", "maple tree"]),
        (["T-shirt_top", "coat"], ["coat", "T-shirt/top"]),
        ([unicodedata.normalize("NFD", "Übung"), "ß"], ["ß", unicodedata.normalize("NFC", "Übung")]),
        (["n03888257", "n01440764"], ["tench", "parachute"]),
        (["parachute", "tench"], ["n01440764", "n03888257"]),
    ],
)
def test_another_spelling(theirs: list[str], ours: list[str]) -> None:
    found = matched(theirs, ours)
    assert found.order == (1, 0)
    assert "by name in another spelling" in found.remarks[0]
    assert f"{theirs[0]} is {ours[1]}" in found.remarks[0]


def test_every_wordnet_id_of_the_imagenet_subsets() -> None:
    for table, name in ((NETTE, "imagenette"), (FRUIT, "imagefruit")):
        ids = sorted(table, reverse=True)
        order = matched(ids, data.info(name).classes, name).order
        assert [data.info(name).classes[label] for label in order] == [table[one] for one in ids]


def test_wordnet_ids_of_tiny_imagenet_follow_their_order() -> None:
    ids = [f"n{number:08d}" for number in (3, 1, 2)]
    assert matched(ids, ["x", "y", "z"], "tinyimagenet").order == (2, 0, 1)
    with pytest.raises(UserError, match="has no classes"):
        matched(ids, ["x", "y", "z"], "imagenet32")


@pytest.mark.parametrize(
    ("theirs", "ours", "line"),
    [
        (["a"], ["a", "b"], "set: the set has no class 'b' of d"),
        (["a", "b", "c"], ["a", "b"], "set: d has no class 'c' of the set"),
        (["a", "bat"], ["a", "cat"], "set: d has no class 'bat' of the set (did you mean 'cat'?), and the set has no "
         "class 'cat' of d; if only the names differ, --classes NAME,NAME,… states the names in label order"),
        (["class0", "class1"], ["0", "1"], "set: d has no classes 'class0', 'class1' of the set"),
        (["a", "a"], ["a", "b"], "set: classes cannot be matched by name, because the set has two classes called 'a'"),
        (["a", "b"], ["b", "b"], "set: classes cannot be matched by name, because d has two classes called 'b'"),
        (["A", "a"], ["a", "b"], "set: the set has no class 'b' of d"),
        (["a b", "a_b"], ["a-b", "A b"], "set: several of its classes have the same name but for its spelling"),
        (list("abcdefgh"), ["x", "y"], "set: d has no classes 'a', 'b', 'c', 'd', 'e', … of the set"),
    ],
)  # fmt: skip
def test_other_classes_are_refused(theirs: list[str], ours: list[str], line: str) -> None:
    with pytest.raises(UserError) as error:
        matched(theirs, ours)
    assert str(error.value).startswith(line)


@pytest.mark.parametrize(
    ("theirs", "ours", "line"),
    [
        (["0", "00"], ["a", "b"], "set: its classes '0' and '00' are the same number"),
        (["1", "2"], ["a", "b"], "set: d has no classes '1', '2' of the set"),
        (
            ["0", "1", "2"],
            ["1", "2", "x"],
            "set: its class '1' can mean class '1' of d, or label 1, which",
        ),
    ],
)
def test_numbers_that_mean_no_class(theirs: list[str], ours: list[str], line: str) -> None:
    with pytest.raises(UserError) as error:
        matched(theirs, ours, are_numbers=True)
    assert str(error.value).startswith(line)


def test_numbers_where_names_are_only_numbers() -> None:
    """ImageNet-32 calls its classes 1 … 1000 for want of names; folders 0 … 999 are their labels."""
    ours = data.info("imagenet32").classes
    assert matched([str(label) for label in range(1000)], ours, "imagenet32", True).order == tuple(range(1000))
    assert matched([str(label) for label in range(1, 1001)], ours, "imagenet32", True).order == tuple(range(1000))
    with pytest.raises(UserError, match=r"its class '1' can mean class '1' of imagefolder:x, or label 1, which is"):
        matched(["0", "1", "2"], ["1", "2", "3"], "imagefolder:x", True)


def test_the_same_order_needs_no_word() -> None:
    assert matched(["b", "b", "c"], ["b", "b", "c"]) == names.Match((0, 1, 2))
    assert matched([], ["0", "1", "2"]) == names.Match((0, 1, 2))  # labels are the names


def test_a_class_without_images(place: Path) -> None:
    dataset = data_folder(place / "data", ["a", "b", "c"])
    path = pair(place / "set", pixels_of([0, 2]), torch.tensor([0, 2]))
    with pytest.raises(UserError, match=r"images.pt: has no images of 'b'"):
        accuracy(path, dataset)


def test_names_that_the_user_lists(tmp_path: Path) -> None:
    file = tmp_path / "names.txt"
    file.write_text("a, b\nc\n")
    assert names.listed(str(file)) == ("a, b", "c")
    assert names.listed("a, b,c") == ("a", "b", "c")
    assert names.listed("") == ()
    for text, line in (("a,,b", "a name is empty"), ("a,b,a", "'a' occurs twice")):
        with pytest.raises(UserError, match=line):
            names.listed(text)


NAMES = st.lists(st.text("abcXYZéß01 _-/", min_size=1, max_size=6), min_size=1, max_size=12, unique_by=names._key)


@given(NAMES, st.randoms(use_true_random=False), st.booleans())
def test_any_names_in_any_order(ours: list[str], generator: random.Random, respelled: bool) -> None:
    theirs = generator.sample(ours, len(ours))
    written = [name.upper().replace("_", " ").replace("-", "_") for name in theirs] if respelled else theirs
    assert [ours[label] for label in matched(written, ours).order] == theirs


@given(NAMES, NAMES)
def test_other_names_are_never_taken_by_position(theirs: list[str], ours: list[str]) -> None:
    if {names._key(name) for name in theirs} != {names._key(name) for name in ours}:
        with pytest.raises(UserError):
            matched(theirs, ours)
