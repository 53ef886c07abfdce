"""The files of the authors of Biased-DD, and what is said of other files."""

import pickle

import pytest
import torch

from ddsweep import data
from ddsweep.data import store
from ddsweep.errors import UserError

NAME = "cmnist-dd:align=0.5,severity=3"
FILE = "MNIST_align0.5_severity_3.pth"


def content(align=0.5):
    """Twenty training images, half of them aligned, and ten test images, all conflicting."""
    generator = torch.Generator().manual_seed(0)
    labels, test_labels = torch.arange(20) % 10, torch.arange(10)
    aligned = torch.arange(20) < align * 20
    pixels = torch.randint(0, 256, (30, 3, 28, 28), generator=generator)
    return {
        "training_imgs": pixels[:20] / 255,
        "training_labs": labels,
        "training_attrs": torch.where(aligned, labels, (labels + 3) % 10),
        "testing_imgs": pixels[20:] / 255,
        "testing_labs": test_labels,
        "testing_attrs": (test_labels + 1) % 10,
    }


def saved(folder, values, name=FILE):
    torch.save(values, folder / name)
    return folder / name


def test_the_file_is_read_byte_by_byte(root):
    own = content()
    store.fetch(NAME, saved(root, own))
    raw = store.stored(data.info(NAME)).raw
    assert torch.equal(raw.images / 255, own["training_imgs"])
    assert torch.equal(raw.test_images / 255, own["testing_imgs"])
    for name, found in (
        ("training_labs", raw.labels), ("training_attrs", raw.attributes), ("testing_labs", raw.test_labels),
        ("testing_attrs", raw.test_attributes),
    ):  # fmt: skip
        assert found is not None
        assert torch.equal(found, own[name])
    assert data.load(NAME).images.shape == (20, 3, 28, 28)
    aligned = data.load(NAME).test_aligned
    assert aligned is not None
    assert not aligned.any()
    assert data.load(NAME).made == f"made by the authors: {FILE}"
    assert data.load(NAME, 14).images.shape == (20, 3, 14, 14)


def test_lists_and_other_kinds_of_integers_are_labels_too(root):
    own = content()
    own["training_labs"], own["testing_attrs"] = own["training_labs"].tolist(), own["testing_attrs"].to(torch.uint8)
    store.fetch(NAME, saved(root, own, "renamed.pth"))
    assert store.stored(data.info(NAME)).raw.labels.tolist() == own["training_labs"]


def test_tensors_may_share_memory(root):
    """At align = 1, the attributes are the labels, and torch.save keeps them as one."""
    own = content()
    own |= {"training_attrs": own["training_labs"], "testing_labs": own["training_labs"][:10]}
    name = "cmnist-dd:align=1,severity=3"
    store.fetch(name, saved(root, own, "MNIST_align1.0_severity_3.pth"))
    raw = store.stored(data.info(name)).raw
    assert torch.equal(raw.labels, own["training_labs"])
    assert raw.attributes is not None
    assert torch.equal(raw.attributes, raw.labels)


def test_another_file_is_read_again_and_one_that_is_gone_is_named(root):
    path = saved(root, content())
    store.fetch(NAME, path)
    before = data.checksum(NAME)
    saved(root, content() | {"testing_attrs": torch.full((10,), 4)})
    assert data.checksum(NAME) != before
    path.unlink()
    with pytest.raises(UserError, match=r"MNIST_align0.5_severity_3.pth' is no longer there; give its new place"):
        data.load(NAME)


def refused(path, name=NAME):
    with pytest.raises(UserError) as caught:
        store.fetch(name, path)
    assert "\n" not in str(caught.value)
    return str(caught.value)


def without(name):
    return {key: value for key, value in content().items() if key != name}


@pytest.mark.parametrize(
    ("values", "line"),
    [
        (without("testing_attrs"), "is not a file of the authors of Biased-DD: it has no testing_attrs"),
        ([1, 2], "is not a file of the authors of Biased-DD: it has no training_imgs"),
        (content() | {"training_imgs": torch.zeros(20, 1, 28, 28)},
         "its images are 20x1x28x28 float32; cmnist-dd:align=0.5,severity=3 has n x 3 x 28 x 28 floats"),
        (content() | {"training_imgs": torch.zeros(20, 3, 28, 28, dtype=torch.uint8)}, "20x3x28x28 uint8"),
        (content() | {"testing_imgs": torch.full((10, 3, 28, 28), 1.5)}, "are not bytes divided by 255, from 0 to 1"),
        (content() | {"testing_imgs": torch.full((10, 3, 28, 28), 0.3)}, "are not bytes divided by 255, from 0 to 1"),
        (content() | {"testing_imgs": torch.full((10, 3, 28, 28), torch.nan)}, "are not bytes divided by 255"),
        (content() | {"training_labs": torch.arange(19)}, "training_labs are not 20 whole numbers"),
        (content() | {"training_labs": torch.full((20,), 0.5)}, "training_labs are not 20 whole numbers"),
        (content() | {"training_labs": torch.arange(20)}, "training_labs are from 0 to 19, not from 0 to 9"),
        (content() | {"testing_attrs": torch.full((10,), 10)}, "testing_attrs are from 10 to 10, not from 0 to 9"),
        (content(align=0.8), "0.8 of the training images are aligned, not 0.5"),
    ],
)  # fmt: skip
def test_a_file_of_another_form_is_one_line(root, values, line):
    assert line in refused(saved(root, values))
    assert not list(root.parent.rglob("archives/cmnist-dd/*")), "nothing was adopted"


def test_the_share_and_severity_in_the_name_of_the_file_count(root):
    for name in ("MNIST_align0.8_severity_3.pth", "MNIST_align0.5_severity_2.pth", "MNIST_align0.5_severity2.pth"):
        share, level = name.removeprefix("MNIST_align").removesuffix(".pth").split("_severity")
        expected = f"is, by its name, that of align={share},severity={level.strip('_')}"
        assert expected in refused(saved(root, content(), name))


def test_the_datasets_that_are_made_here_do_not_read_it(root):
    line = refused(saved(root, content()), "cmnist:align=0.5,severity=3")
    assert line.startswith("cmnist:align=0.5,severity=3: is made here, not read from")
    assert "ddsweep data fetch 'cmnist-dd:align=0.5,severity=3' --from" in line or "cmnist-dd:align=0.5" in line
    assert "type:" not in refused(saved(root, content()), "cdigits:align=0.5,severity=3")


class Harm:
    def __reduce__(self):
        return (open, ("harm", "w"))


def test_a_file_with_code_in_it_is_refused_and_does_nothing(root, tmp_path):
    path = saved(root, content() | {"training_attrs": Harm()})
    assert "reading that could execute code" in refused(path)
    plain = root / FILE
    plain.write_bytes(pickle.dumps(Harm()))
    refused(plain)
    assert not list(tmp_path.rglob("harm"))


def test_a_damaged_file_is_one_line(root):
    path = saved(root, content())
    path.write_bytes(path.read_bytes()[:5000])
    assert "is damaged, or not a file of torch.save" in refused(path)
