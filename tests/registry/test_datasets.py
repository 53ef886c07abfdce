import subprocess
import sys

import pytest

from ddsweep import data
from ddsweep.errors import UserError

IMAGENET = (0.485, 0.456, 0.406), (0.229, 0.224, 0.225)
# channels, size, classes, training and test images, mean and std per channel: the published protocols' literals, copied
# from there and not from the table. CIFAR's std is the field's customary one, not the per-pixel .2470 .2435 .2616.
PROTOCOL = {
    "mnist": (1, 28, 10, (60_000, 10_000), (0.1307,), (0.3081,)),
    "fashionmnist": (1, 28, 10, (60_000, 10_000), (0.2861,), (0.3530,)),
    "svhn": (3, 32, 10, (73_257, 26_032), (0.4377, 0.4438, 0.4728), (0.1980, 0.2010, 0.1970)),
    "cifar10": (3, 32, 10, (50_000, 10_000), (0.4914, 0.4822, 0.4465), (0.2023, 0.1994, 0.2010)),
    "cifar100": (3, 32, 100, (50_000, 10_000), (0.5071, 0.4866, 0.4409), (0.2673, 0.2564, 0.2762)),
    "pathmnist": (3, 28, 9, (89_996, 7_180), (0.7406, 0.5330, 0.7059), (0.1237, 0.1767, 0.1244)),
    "tinyimagenet": (3, 64, 200, (100_000, 10_000), *IMAGENET),
    "imagenet32": (3, 32, 1000, (1_281_167, 50_000), *IMAGENET),
    "imagenette": (3, 224, 10, (9_469, 3_925), *IMAGENET),
    "imagefruit": (3, 224, 10, (0, 500), *IMAGENET),  # as many to train on as the user's ImageNet holds
}
BIASED = ("cmnist", "ccifar10", "cdigits", "cmnist-dd", "ccifar10-dd")  # see test_bias
MEASURED = {"digits": (1, 16, 10, (1_201, 596)), "shapes": (3, 16, 10, (2_000, 1_000))}


def refused(spec):
    with pytest.raises(UserError) as caught:
        data.info(spec)
    assert "\n" not in str(caught.value)
    return str(caught.value)


def test_the_facts_are_read_without_torch():
    script = "import sys; from ddsweep import data; data.info('digits'); sys.exit('torch' in sys.modules)"
    assert subprocess.run([sys.executable, "-c", script], check=False).returncode == 0


@pytest.mark.parametrize("name", sorted(PROTOCOL))
def test_a_dataset_is_that_of_the_published_protocols(name):
    row = data.info(name)
    assert (row.channels, row.size, len(row.classes), row.images, row.mean, row.std) == PROTOCOL[name]


@pytest.mark.parametrize("name", sorted(MEASURED))
def test_the_statistics_of_what_comes_with_ddsweep_are_measured(name):
    row = data.info(name)
    assert (row.channels, row.size, len(row.classes), row.images) == MEASURED[name]
    assert (row.mean, row.std) == (None, None)


def test_no_dataset_is_left_out_above():
    assert sorted(data.names()) == sorted([*PROTOCOL, *MEASURED, *BIASED])


def test_the_package_offers_the_loader_and_names_what_it_lacks():
    assert callable(data.load)
    assert data.Dataset.__name__ == "Dataset"
    with pytest.raises(AttributeError, match="no attribute 'lode'"):
        data.lode  # noqa: B018


def test_a_misspelt_name_is_met_with_the_right_one():
    assert "did you mean cifar10?" in refused("cifra10")


@pytest.mark.parametrize("size", [3, 0, -16])
def test_a_size_no_network_can_take_is_refused(size):
    with pytest.raises(UserError, match=rf"^size: {size} is out of range; at least 4"):
        data.load("shapes", size)
