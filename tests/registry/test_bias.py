"""The names of biased datasets, and what their rows say."""

import pytest

from ddsweep import data
from ddsweep.errors import UserError
from ddsweep.registry import datasets

ROWS = {  # base, classes, channels, size, images, share of aligned test images
    "cmnist": ("mnist", 3, 28, (60_000, 10_000), 0.1),
    "ccifar10": ("cifar10", 3, 32, (50_000, 10_000), 0.1),
    "cdigits": ("digits", 3, 16, (1_201, 596), 0.1),
    "cmnist-dd": ("mnist", 3, 28, (60_000, 10_000), 0.0),
    "ccifar10-dd": ("cifar10", 3, 32, (50_000, 10_000), 0.0),
}


@pytest.mark.parametrize("name", ROWS)
def test_a_biased_dataset_is_made_from_its_base(name):
    base, channels, size, images, test_align = ROWS[name]
    row, plain = data.info(name), data.info(base)
    assert row.bias is not None
    assert (row.bias.base, row.bias.test_align) == (base, test_align)
    assert (row.channels, row.size, row.images, row.archives) == (channels, size, images, ())
    assert (row.classes, row.smallest_class, row.strategy, row.license) == (
        plain.classes, plain.smallest_class, plain.strategy, plain.license,
    )  # fmt: skip
    assert ("frost" in row.origin) == name.startswith("ccifar10")
    assert ("no aligned image" in row.origin) == name.endswith("-dd")


def test_all_biased_datasets_are_tested_here():
    assert datasets.biased_names() == list(ROWS)


@pytest.mark.parametrize(
    ("spec", "name"),
    [
        ("cmnist", "cmnist:align=0.95,severity=2"),
        ("cmnist:align=0.95,severity=2", "cmnist:align=0.95,severity=2"),
        ("cmnist:severity=4,align=.5", "cmnist:align=0.5,severity=4"),
        ("cmnist:align=1.0", "cmnist:align=1,severity=2"),
        ("cmnist:align=0", "cmnist:align=0,severity=2"),
        ("cdigits:align=9.5e-1,severity=1", "cdigits:align=0.95,severity=1"),
        ("ccifar10-dd:severity=3", "ccifar10-dd:align=0.95,severity=3"),
    ],
)
def test_each_dataset_has_one_spelling(spec, name):
    row = data.info(spec)
    assert row.name == name
    assert data.info(row.name) == row


@pytest.mark.parametrize(
    ("spec", "line"),
    [
        ("cmnist:align=1.5", "align: 1.5 is out of range; a share of the training images, from 0 to 1"),
        ("cmnist:align=-0.1", "align: -0.1 is out of range; a share of the training images, from 0 to 1"),
        ("cmnist:align=nan", "align: 'nan' in 'cmnist:align=nan' is not a number"),
        ("cmnist:align=", "align: '' in 'cmnist:align=' is not a number"),
        ("cmnist:severity=0", "severity: 0 is out of range; 1, 2, 3, 4"),
        ("cmnist:severity=5", "severity: 5 is out of range; 1, 2, 3, 4"),
        ("cmnist:severity=2.5", "severity: '2.5' in 'cmnist:severity=2.5' is not a whole number"),
        ("cmnist:align=0.5,align=0.5", "align: is given twice in 'cmnist:align=0.5,align=0.5'"),
        ("cmnist:ratio=0.5",
         "unknown dataset 'cmnist:ratio=0.5'; a biased dataset is written like cmnist:align=0.95,severity=2"),
        ("cmnist:", "unknown dataset 'cmnist:'; a biased dataset is written like cmnist:align=0.95,severity=2"),
        ("mnist:align=0.5",
         "align: mnist is not biased; a field of cmnist, ccifar10, cdigits, cmnist-dd, ccifar10-dd"),
        ("cmnits", "unknown dataset 'cmnits'; did you mean cmnist?"),
    ],
)  # fmt: skip
def test_a_wrong_name_is_one_line(spec, line):
    with pytest.raises(UserError) as caught:
        data.info(spec)
    assert str(caught.value).startswith(line)
    assert "\n" not in str(caught.value)


def test_the_images_may_differ_between_hosts():
    """They are made on each host: results compare their checksums."""
    assert data.is_user_data("cmnist")
    assert data.is_user_data("cdigits:align=0.5,severity=1")
    assert not data.is_user_data("mnist")


def test_tables_name_the_paper_and_the_fields():
    assert datasets.paper_name("cmnist") == "CMNIST"
    assert datasets.paper_name("ccifar10-dd:align=0.5,severity=4") == "CCIFAR10-DD (align=0.5, severity=4)"
