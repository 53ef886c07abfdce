"""One table of datasets: the facts that a recipe needs, without loading an image (or torch).

A new dataset is a row here and a decoder in ``data/decoders.py``.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from functools import lru_cache
from pathlib import Path

from ddsweep.errors import UserError, closest

FULL_STRATEGY = "color_crop_cutout_flip_scale_rotate"
NO_FLIP_STRATEGY = "color_crop_cutout_scale_rotate"  # mirrored digits are other signs
IMAGE_SUFFIXES = frozenset({".png", ".jpg", ".jpeg", ".bmp", ".webp", ".tif", ".tiff", ".ppm", ".pgm"})
FOLDER_PREFIX = "imagefolder:"
MIN_SIZE = 4


@dataclass(frozen=True)
class DatasetInfo:
    """What is known of a dataset before it is decoded.

    Attributes:
        name: the name in a recipe: a row of the table, or ``imagefolder:PATH`` with an absolute path.
        channels: 1 or 3.
        size: native height and width in pixels; of an image folder, the default it is resized to.
        classes: class names in label order.
        smallest_class: training images of the smallest class.
        mean: per-channel mean of the training images in [0, 1]; None: measured when the dataset is decoded.
        std: per-channel standard deviation, likewise.
        strategy: augmentation operations that keep the label.
        origin: where the images come from, for people.
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


_CIFAR10 = ("airplane", "automobile", "bird", "cat", "deer", "dog", "frog", "horse", "ship", "truck")
_CIFAR100 = """
apple aquarium_fish baby bear beaver bed bee beetle bicycle bottle bowl boy bridge bus butterfly camel can castle
caterpillar cattle chair chimpanzee clock cloud cockroach couch crab crocodile cup dinosaur dolphin elephant flatfish
forest fox girl hamster house kangaroo keyboard lamp lawn_mower leopard lion lizard lobster man maple_tree motorcycle
mountain mouse mushroom oak_tree orange orchid otter palm_tree pear pickup_truck pine_tree plain plate poppy porcupine
possum rabbit raccoon ray road rocket rose sea seal shark shrew skunk skyscraper snail snake spider squirrel streetcar
sunflower sweet_pepper table tank telephone television tiger tractor train trout tulip turtle wardrobe whale
willow_tree wolf woman worm
""".split()
SHAPES = ["disc", "ring", "square", "frame", "triangle", "diamond", "cross", "bars", "star", "crescent"]

# The CIFAR standard deviations are the field's customary ones (the per-pixel ones are .247, .2435, .2616): published
# numbers were made with them.
TABLE: dict[str, DatasetInfo] = {
    row.name: row
    for row in (
        DatasetInfo("digits", 1, 16, tuple("0123456789"), 116, None, None, NO_FLIP_STRATEGY,
                    "handwritten digits bundled with scikit-learn, 8×8 enlarged to 16×16; no download"),
        DatasetInfo("shapes", 3, 16, tuple(SHAPES), 200, None, None, FULL_STRATEGY,
                    "drawn by ddsweep: ten shapes in random colour, place, turn and noise; no download"),
        DatasetInfo("cifar10", 3, 32, _CIFAR10, 5000, (0.4914, 0.4822, 0.4465), (0.2023, 0.1994, 0.2010),
                    FULL_STRATEGY, "torchvision CIFAR10, 170 MB, downloaded on first use"),
        DatasetInfo("cifar100", 3, 32, tuple(_CIFAR100), 500, (0.5071, 0.4866, 0.4409), (0.2673, 0.2564, 0.2762),
                    FULL_STRATEGY, "torchvision CIFAR100, 169 MB, downloaded on first use"),
    )
}  # fmt: skip


def names() -> list[str]:
    """The datasets of the table."""
    return list(TABLE)


def info(spec: str) -> DatasetInfo:
    """The facts of the dataset called ``spec``: a row of the table or ``imagefolder:PATH``.

    Raises:
        UserError: unknown name; or a folder that is missing, has no classes, or has an empty class.
    """
    if spec.startswith(FOLDER_PREFIX):
        return _folder_info(canonical(spec))
    if spec not in TABLE:
        raise UserError(f"no dataset {spec!r}; {closest(spec, [*TABLE, 'imagefolder:PATH'])}")
    return TABLE[spec]


def canonical(spec: str) -> str:
    """The name that identifies the dataset everywhere: an image folder's path is made absolute.

    Raises:
        UserError: ``imagefolder:`` without a path.
    """
    if not spec.startswith(FOLDER_PREFIX):
        return spec
    if spec == FOLDER_PREFIX:
        raise UserError("imagefolder: needs the path of a folder: imagefolder:PATH")
    return FOLDER_PREFIX + str(Path(spec.removeprefix(FOLDER_PREFIX)).expanduser().absolute())


@dataclass(frozen=True)
class FolderTree:
    """Where the images of an image folder lie.

    Attributes:
        train: class name → image files, both sorted by name.
        test: likewise; None when the folder is one tree, which is then split by a fixed rule.
    """

    train: dict[str, tuple[Path, ...]]
    test: dict[str, tuple[Path, ...]] | None


def folder_tree(spec: str) -> FolderTree:
    """List an image folder: ``train/CLASS/*`` with ``test/`` or ``val/`` beside it, or ``CLASS/*`` alone.

    A folder named ``train``, ``test`` or ``val`` is a split if it has folders in it, and otherwise a class of that name
    or, like ImageNet's unlabelled test images, nothing. Hidden files and folders are passed over.

    Raises:
        UserError: the folder is missing, has no class folders, an empty class, or other classes in test than in train;
            or a class of one image that would have to be split.
    """
    root = Path(canonical(spec).removeprefix(FOLDER_PREFIX))
    if not root.is_dir():
        raise UserError(f"imagefolder: no folder {str(root)!r}")
    if not _folders(root / "train"):
        tree = FolderTree(_classes(root), None)
        for name, images in tree.train.items():
            if len(images) < 2:
                raise UserError(
                    f"imagefolder: class {name!r} of {str(root)!r} has one image; a split needs two at least"
                )
        return tree
    test = next((root / part for part in ("test", "val") if _folders(root / part)), None)
    if test is None:
        raise UserError(f"imagefolder: {str(root)!r} has train/ but no classes in test/ or val/ beside it")
    tree = FolderTree(_classes(root / "train"), _classes(test))
    if odd := sorted(set(tree.train) ^ set(tree.test or {})):
        raise UserError(f"imagefolder: class {odd[0]!r} is in only one of train/ and {test.name}/ of {str(root)!r}")
    return tree


def _folders(root: Path) -> list[Path]:
    return sorted(path for path in _visible(root) if path.is_dir()) if root.is_dir() else []


def _visible(folder: Path) -> list[Path]:
    try:
        return [path for path in folder.iterdir() if not path.name.startswith(".")]
    except OSError as error:
        raise UserError(f"imagefolder: cannot list {str(folder)!r}: {error.strerror}") from error


def _classes(root: Path) -> dict[str, tuple[Path, ...]]:
    folders = _folders(root)
    if len(folders) < 2:
        raise UserError(f"imagefolder: {str(root)!r} needs one folder per class, two at least; it has {len(folders)}")
    found = {}
    for folder in folders:
        images = tuple(sorted(path for path in _visible(folder) if path.suffix.lower() in IMAGE_SUFFIXES))
        if not images:
            allowed = " ".join(sorted(IMAGE_SUFFIXES))
            raise UserError(f"imagefolder: class {folder.name!r} of {str(root)!r} has no images ({allowed})")
        found[folder.name] = images
    return found


@lru_cache(maxsize=32)  # a sweep names its dataset in every cell; the folder is listed once
def _folder_info(spec: str) -> DatasetInfo:
    tree = folder_tree(spec)
    sizes = [len(images) - (held_out(len(images)) if tree.test is None else 0) for images in tree.train.values()]
    return DatasetInfo(spec, 3, 32, tuple(tree.train), min(sizes), None, None, FULL_STRATEGY, "your images")


def held_out(count: int) -> int:
    """Test images of a class of ``count`` images, two at least, when one tree is split: one fifth, at least one."""
    return max(1, count // 5)


def at_size(row: DatasetInfo, size: int) -> DatasetInfo:
    """The same dataset resized to ``size`` pixels.

    Raises:
        UserError: fewer than 4 pixels, which no network here can take.
    """
    if size < MIN_SIZE:
        raise UserError(f"size: {size} is out of range; at least {MIN_SIZE} pixels")
    return replace(row, size=size)
