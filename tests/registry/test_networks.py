import subprocess
import sys

import pytest

from ddsweep import nn
from ddsweep.errors import UserError
from ddsweep.registry.networks import TABLE, all_names, info, join, paper_name
from ddsweep.registry.ptms import PTMS


def test_the_control_plane_reads_the_table_without_loading_torch():
    code = "import sys; from ddsweep import nn; nn.names(); nn.info('vgg11').canvas(16); print('torch' in sys.modules)"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout == "False\n"


def test_a_misspelt_attribute_of_the_package_is_an_attribute_error():
    with pytest.raises(AttributeError, match="no attribute 'biuld'"):
        nn.biuld  # noqa: B018


def test_names_are_unique_and_all_have_a_paper_name():
    assert nn.names() == list(TABLE)
    assert all_names()[: len(TABLE)] == nn.names()
    assert len({paper_name(name) for name in all_names()} - set(all_names())) == len(all_names()) == 20
    assert paper_name("somebody-elses") == "somebody-elses"


def test_foundation_models_are_no_networks_that_can_be_trained():
    for source, row in PTMS.items():
        assert source == row.source
        with pytest.raises(UserError, match=f"unknown network '{row.name}'"):
            info(row.name)


def test_exactly_the_bn_rows_have_batch_norm():
    assert [name for name in TABLE if TABLE[name].options.get("norm") == "batch"] == [
        "convnet3-bn",
        "alexnet-bn",
        "vgg11-bn",
        "resnet18-bn",
    ]


@pytest.mark.parametrize(
    ("name", "size", "canvas"),
    [
        ("convnet3", 28, 32),
        ("convnet3", 16, 16),
        ("convnet3", 8, 8),
        ("convnet5", 28, 32),
        ("convnet6", 224, 224),
        ("alexnet", 28, 32),
        ("alexnet", 16, 16),
        ("vgg11", 28, 32),
        ("vgg11", 16, 32),
        ("vgg11", 33, 33),
        ("resnet18", 28, 28),
        ("resnet18", 27, 32),
        ("resnet18-ap", 28, 28),
        ("resnet18", 16, 32),
        ("resnet18", 64, 64),
    ],
)
def test_canvas(name, size, canvas):
    assert info(name).canvas(size) == canvas


@pytest.mark.parametrize(
    ("name", "size", "least"),
    [("convnet6", 32, 64), ("convnet6", 28, 64), ("convnet5", 16, 32), ("convnet3-bn", 7, 8), ("alexnet-bn", 7, 8)],
)
def test_images_that_are_too_small_name_the_network_and_the_sizes(name, size, least):
    with pytest.raises(UserError) as error:
        info(name).canvas(size)
    assert str(error.value) == f"arch: {name} needs images of at least {least} pixels, not {size}"


def test_an_unknown_network_names_the_closest():
    with pytest.raises(
        UserError, match=r"^arch: unknown network 'resnet-18'; did you mean resnet18\? \(allowed: alexnet, "
    ):
        info("resnet-18")


def test_a_set_of_networks_has_one_spelling():
    assert join(["vgg11", "convnet3", "vgg11"]) == join(("convnet3", "vgg11")) == "convnet3+vgg11"
