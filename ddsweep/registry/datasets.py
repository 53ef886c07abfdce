"""The table of datasets: the facts that a recipe needs, without loading an image (or torch).

A row names the function that decodes it; ``own_datasets.dataset`` adds one, for a plugin. Channels, sizes, statistics
and class order are those of the published protocols. Classes are in label order.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import Any

from ddsweep.errors import UserError
from ddsweep.plugins import Registry, Source
from ddsweep.registry import bias
from ddsweep.registry.bias import Bias
from ddsweep.registry.classes import CIFAR10, CIFAR100, CLOTHES, DIGITS, FRUIT, NETTE, SHAPES, TISSUES, numbered
from ddsweep.registry.image_folders import FOLDER_PREFIX as FOLDER_PREFIX
from ddsweep.registry.image_folders import FolderTree, folder_tree, held_out
from ddsweep.registry.image_folders import canonical as canonical

FULL_STRATEGY = "color_crop_cutout_flip_scale_rotate"
NO_FLIP_STRATEGY = "color_crop_cutout_scale_rotate"  # mirrored digits are other signs
RECENT = 1.0  # seconds for which an image folder is not looked at again: a sweep names its dataset in every cell
MIN_SIZE = 4
LEAST_CLASSES = 2
_IMAGENET = (0.485, 0.456, 0.406), (0.229, 0.224, 0.225)
_IMAGENET_TERMS = "research only"
_ACCOUNT = "make an account at https://image-net.org/signup and accept its terms, "


@dataclass(frozen=True)
class Archive:
    """One file of a dataset as its publisher offers it.

    Attributes:
        name: of the file.
        md5: of the official file; empty: none is published, and its content is checked while it is decoded.
        urls: where it can be had, tried in this order; none: behind a login.
        sign: a path inside it, from which its unpacked folder is known; empty: it is always one file.
    """

    name: str
    md5: str = ""
    urls: tuple[str, ...] = ()
    sign: str = ""


@dataclass(frozen=True)
class DatasetInfo:
    """The properties of a dataset that are known before it is decoded.

    Attributes:
        name: the name in a recipe: a row of the table, or ``imagefolder:PATH`` with an absolute path.
        channels: 1 or 3.
        size: native height and width in pixels; for an image folder, the default size to which images are resized.
        classes: class names in label order; numbers if the names come with the archive or do not exist.
        smallest_class: number of training images of the smallest class; 0: unknown (``facts``).
        mean: per-channel mean of the training images in [0, 1]; None: measured when the dataset is decoded.
        std: per-channel standard deviation, likewise.
        strategy: augmentation operations that keep the label.
        origin: displayed source of the images, ``site: details``.
        images: number of training and of test images; 0: depends on the user's folder.
        license: short name of the license.
        archives: the files from which it is decoded; empty: no download.
        login: instructions to get the archives by hand, if they need an account.
        paper: the name in tables and figures; empty: ``name``.
        source: the function that decodes it, see ``decoders.Decoder``.
        bias: for a biased dataset, how it is made from another one.
    """

    name: str
    channels: int
    size: int
    classes: tuple[str, ...]
    smallest_class: int
    mean: tuple[float, ...] | None
    std: tuple[float, ...] | None
    strategy: str
    origin: str
    images: tuple[int, int] = (0, 0)
    license: str = ""
    archives: tuple[Archive, ...] = ()
    login: str = ""
    paper: str = ""
    source: Source = ""
    bias: Bias | None = None


def _idx(mirror: str, *sums: str) -> tuple[Archive, ...]:
    kinds = ("train-images-idx3", "train-labels-idx1", "t10k-images-idx3", "t10k-labels-idx1")
    files = ((f"{kind}-ubyte.gz", md5) for kind, md5 in zip(kinds, sums, strict=True))
    return tuple(Archive(name, md5, (mirror + name,)) for name, md5 in files)


def _file(base: str, name: str, md5: str, sign: str = "") -> Archive:
    return Archive(name, md5, (base + name,), sign)


_folder_rows: dict[str, tuple[FolderTree, DatasetInfo]] = {}
TABLE: Registry[DatasetInfo] = Registry("dataset", reserved=("target", "imagefolder", "imagenet", "internet"))
"""The datasets that have a name; an image folder is identified by its path."""

# The CIFAR standard deviations are those customary in the field, with which published numbers were computed; the
# per-pixel values are .247, .2435, .2616.
for _row in (
    DatasetInfo("digits", 1, 16, DIGITS, 116, None, None, NO_FLIP_STRATEGY,
                "scikit-learn: its handwritten digits, 8×8 enlarged to 16×16; no download",
                (1201, 596), "CC BY 4.0",
                source="ddsweep.data.decoders:digits"),
    DatasetInfo("shapes", 3, 16, SHAPES, 200, None, None, FULL_STRATEGY,
                "ddsweep: draws ten shapes in random color, place, turn and noise; no download",
                (2000, 1000), "MIT",
                source="ddsweep.data.decoders:drawn_shapes"),
    DatasetInfo("mnist", 1, 28, DIGITS, 5421, (0.1307,), (0.3081,), NO_FLIP_STRATEGY,
                "yann.lecun.com: a mirror of exdb/mnist, 12 MB, downloaded on first use", (60_000, 10_000),
                "CC BY-SA 3.0", _idx("https://ossci-datasets.s3.amazonaws.com/mnist/",
                                     "f68b3c2dcbeaaa9fbdd348bbdeb94873", "d53e105ee54ea40749a09fcbcd1e9432",
                                     "9fb629c4189551a2d022fa330f9573f3", "ec29112dd5afa0611ce80d1b7f02629c"),
                paper="MNIST", source="ddsweep.data.decoders:mnist"),
    DatasetInfo("fashionmnist", 1, 28, CLOTHES, 6000, (0.2861,), (0.3530,), FULL_STRATEGY,
                "github.com: zalandoresearch/fashion-mnist, 31 MB, downloaded on first use", (60_000, 10_000),
                "MIT", _idx("http://fashion-mnist.s3-website.eu-central-1.amazonaws.com/",
                            "8d4fb7e6c68d591d4c3dfef9ec88bf0d", "25c81989df183df01b3e8a0aad5dffbe",
                            "bef4ecab320f06d8554ea6380940ec79", "bb300cfdad3c16e7a12a480ee83cd310"),
                source="ddsweep.data.decoders:mnist"),
    DatasetInfo("svhn", 3, 32, DIGITS, 4659, (0.4377, 0.4438, 0.4728), (0.1980, 0.2010, 0.1970),
                NO_FLIP_STRATEGY, "ufldl.stanford.edu: housenumbers, 246 MB, downloaded on first use",
                (73_257, 26_032), "non-commercial",
                tuple(_file("http://ufldl.stanford.edu/housenumbers/", f"{part}_32x32.mat", md5)
                      for part, md5 in (("train", "e26dedcc434d2e4c54c9b2d4a06d8373"),
                                        ("test", "eb5a983be6a315427106f1b164d9cef3"))),
                paper="SVHN", source="ddsweep.data.decoders:svhn"),
    DatasetInfo("cifar10", 3, 32, CIFAR10, 5000, (0.4914, 0.4822, 0.4465), (0.2023, 0.1994, 0.2010),
                FULL_STRATEGY, "cs.toronto.edu: ~kriz/cifar.html, 170 MB, downloaded on first use",
                (50_000, 10_000), "not stated",
                (_file("https://www.cs.toronto.edu/~kriz/", "cifar-10-python.tar.gz",
                       "c58f30108f718f92721af3b95e74349a", "data_batch_1"),),
                paper="CIFAR-10", source="ddsweep.data.decoders:cifar10"),
    DatasetInfo("cifar100", 3, 32, CIFAR100, 500, (0.5071, 0.4866, 0.4409), (0.2673, 0.2564, 0.2762),
                FULL_STRATEGY, "cs.toronto.edu: ~kriz/cifar.html, 169 MB, downloaded on first use",
                (50_000, 10_000), "not stated",
                (_file("https://www.cs.toronto.edu/~kriz/", "cifar-100-python.tar.gz",
                       "eb9058c3a382ffc7106e4002c42a8d85", "meta"),),
                paper="CIFAR-100", source="ddsweep.data.decoders:cifar100"),
    DatasetInfo("pathmnist", 3, 28, TISSUES, 7886, (0.7406, 0.5330, 0.7059), (0.1237, 0.1767, 0.1244),
                FULL_STRATEGY, "medmnist.com: pathmnist.npz, 206 MB, downloaded on first use", (89_996, 7_180),
                "CC BY 4.0",
                (_file("https://zenodo.org/records/10519652/files/", "pathmnist.npz",
                       "a8b06965200029087d5bd730944a56c1"),),
                paper="PathMNIST", source="ddsweep.data.decoders:pathmnist"),
    DatasetInfo("tinyimagenet", 3, 64, numbered(200), 500, *_IMAGENET, FULL_STRATEGY,
                "cs231n.stanford.edu: tiny-imagenet-200, 248 MB, downloaded on first use", (100_000, 10_000),
                _IMAGENET_TERMS,
                (_file("http://cs231n.stanford.edu/", "tiny-imagenet-200.zip",
                       "90528d7ca1a48142e341f4ef8d21d0de", "wnids.txt"),),
                paper="Tiny ImageNet", source="ddsweep.data.photos:tiny"),
    DatasetInfo("imagenet32", 3, 32, numbered(1000), 732, *_IMAGENET, FULL_STRATEGY,
                "image-net.org: downsampled to 32×32, about 3.5 GB, needs an account", (1_281_167, 50_000),
                _IMAGENET_TERMS,
                (Archive("Imagenet32_train.zip", sign="train_data_batch_10"),
                 Archive("Imagenet32_val.zip", sign="val_data")),
                _ACCOUNT + "download Imagenet32_train.zip and Imagenet32_val.zip (Download downsampled image "
                "data, 32x32) from https://image-net.org/download-images",
                paper="ImageNet-32", source="ddsweep.data.decoders:imagenet32"),
    DatasetInfo("imagenette", 3, 224, tuple(NETTE.values()), 858, *_IMAGENET, FULL_STRATEGY,
                "github.com: fastai/imagenette, version 2, 1.6 GB, downloaded on first use", (9_469, 3_925),
                _IMAGENET_TERMS,
                (_file("https://s3.amazonaws.com/fast-ai-imageclas/", "imagenette2.tgz",
                       "fe2fc210e6bb7c5664d602c3cd71e612", "val/n01440764"),),
                paper="ImageNette", source="ddsweep.data.photos:nette"),
    # 732 is the smallest class of ImageNet-1k; the ten fruits have about 1,300 each
    DatasetInfo("imagefruit", 3, 224, tuple(FRUIT.values()), 732, *_IMAGENET, FULL_STRATEGY,
                "image-net.org: ten classes of ImageNet-1k, needs an account", (0, 500), _IMAGENET_TERMS,
                (Archive("imagenet", sign="val/n07753275"),),
                _ACCOUNT + "download ILSVRC2012_img_train.tar and ILSVRC2012_img_val.tar from "
                "https://image-net.org/challenges/LSVRC/2012/2012-downloads.php and unpack them into "
                "FOLDER/train/WNID/*.JPEG and FOLDER/val/WNID/*.JPEG (torchvision.datasets.ImageNet does so)",
                paper="ImageFruit", source="ddsweep.data.photos:fruit"),
):  # fmt: skip
    TABLE.add(_row.name, _row, _row.source)


_COLORED = "made: from {}, colored here"
_CORRUPTED = "made, frost generated: from {}, corrupted here; ImageNet-C's textures of frost are not available"
_AS_THE_AUTHORS = "; the test set, like that of the paper's authors, has no aligned image"


def _biased(name: str, paper: str, made: str, how: Bias, channels: int = 3) -> DatasetInfo:
    """The row of a dataset that is made from ``how.base``: its classes, sizes and license."""
    base = TABLE.rows[how.base]
    return replace(
        base, name=name, paper=paper, channels=channels, bias=how, mean=None, std=None, archives=(),
        origin=made.format(base.name), source="ddsweep.data.bias.made:decode",
    )  # fmt: skip


for _row in (
    _biased("cmnist", "CMNIST", _COLORED, Bias("mnist")),
    _biased("ccifar10", "CCIFAR-10", _CORRUPTED, Bias("cifar10")),
    _biased("cdigits", "colored digits", _COLORED, Bias("digits")),
    _biased("cmnist-dd", "CMNIST-DD", _COLORED + _AS_THE_AUTHORS, Bias("mnist", 0.0, "MNIST")),
    _biased("ccifar10-dd", "CCIFAR10-DD", _CORRUPTED + _AS_THE_AUTHORS, Bias("cifar10", 0.0, "CIFAR10")),
):
    TABLE.add(_row.name, _row, _row.source)


def paper_name(name: str) -> str:
    """Return the name of a dataset in tables and figures; for an unknown dataset, ``name``."""
    base, colon, fields = name.partition(":")
    row = TABLE.rows.get(base)
    return f"{row.paper} ({fields.replace(',', ', ')})" if row and row.bias and colon else (row and row.paper) or name


def names() -> list[str]:
    """Return the names of the datasets in the table."""
    return list(TABLE)


def info(spec: str) -> DatasetInfo:
    """Return the row of a dataset: a name in the table or ``imagefolder:PATH``.

    Raises:
        UserError: unknown name, or a folder that does not exist, has no classes, or has an empty class.
    """
    if spec.startswith(FOLDER_PREFIX):
        return _folder_info(canonical(spec))
    if spec.partition(":")[0].lower() == FOLDER_PREFIX[:-1]:
        raise UserError(f"unknown dataset {spec!r}; did you mean {FOLDER_PREFIX}{spec.partition(':')[2] or 'PATH'}?")
    return with_fields(spec, {})


def with_fields(spec: str, fields: Mapping[str, Any]) -> DatasetInfo:
    """Return the row of a dataset of the table; of a biased one, with ``fields`` besides those in its name.

    Raises:
        UserError: unknown name, a field is given twice with different values or is out of range, or the dataset is not
            biased.
    """
    name, own = bias.split(spec) if spec.partition(":")[0] in TABLE else (spec, {})
    row = TABLE.take(name, also=["imagefolder:PATH"])
    for field, value in fields.items():
        if field in own and own[field] != value:
            raise UserError(f"{field}: {value} contradicts {spec}")
        own[field] = value
    if row.bias is None:
        if own:
            raise UserError(f"{next(iter(own))}: {name} is not biased; a field of {', '.join(biased_names())}")
        return row
    how = row.bias.given(own)
    return replace(row, name=how.named(name), bias=how)


def full_name(target: str, fields: Mapping[str, Any]) -> str:
    """Return the name of the dataset that ``target`` is, with its fields if it is biased (``Recipe.dataset``)."""
    row = TABLE.rows.get(target)
    return row.bias.given(fields).named(target) if row and row.bias else target


def biased_names() -> list[str]:
    """Return the names of the biased datasets."""
    return [name for name, row in TABLE.rows.items() if row.bias]


def facts(spec: str) -> DatasetInfo:
    """Return what is known of a dataset without looking at the disk: of an image folder, not its classes.

    A recipe needs no more, so that finished results can be read where the images are not, or are no longer valid.

    Raises:
        UserError: unknown name.
    """
    return _folder_row(canonical(spec), (), 0) if spec.startswith(FOLDER_PREFIX) else info(spec)


def _folder_row(spec: str, classes: tuple[str, ...], smallest_class: int) -> DatasetInfo:
    return DatasetInfo(spec, 3, 32, classes, smallest_class, None, None, FULL_STRATEGY, "your images",
                       source="ddsweep.data.folder:decode_folder")  # fmt: skip


def _folder_info(spec: str) -> DatasetInfo:
    tree = folder_tree(spec, RECENT)
    known, row = _folder_rows.get(spec, (None, None))
    if row is None or known is not tree:
        sizes = [len(images) - (held_out(len(images)) if tree.test is None else 0) for images in tree.train.values()]
        row = _folder_row(spec, tuple(tree.train), min(sizes))
        _folder_rows[spec] = tree, row
    return row


def is_user_data(name: str) -> bool:
    """Return whether the images may differ between hosts: an image folder's, a plugin's, or those of a biased dataset.

    The latter are made on each host, from its copy of the base and with its versions of the libraries.
    """
    return name.startswith(FOLDER_PREFIX) or TABLE.code(name) is not None or is_biased(name)


def is_bundled(row: DatasetInfo) -> bool:
    """Return whether a dataset of the table needs no download, nor does the one that it is made from."""
    return not (TABLE[row.bias.base] if row.bias else row).archives


def is_biased(spec: str) -> bool:
    """Return whether a name is that of a biased dataset, with or without its fields."""
    row = TABLE.rows.get(spec.partition(":")[0])
    return row is not None and row.bias is not None


def at_size(row: DatasetInfo, size: int) -> DatasetInfo:
    """Return the same dataset, resized to ``size`` pixels.

    Raises:
        UserError: fewer than 4 pixels, which is too small for all networks.
    """
    if size < MIN_SIZE:
        raise UserError(f"size: {size} is out of range; at least {MIN_SIZE} pixels")
    return replace(row, size=size)
