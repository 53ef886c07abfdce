import numpy as np
import pytest
from PIL import Image


@pytest.fixture
def cache(tmp_path):
    """Where decoded datasets go; ``tests/conftest.py`` gives every test a cache of its own."""
    return tmp_path / "cache" / "data"


@pytest.fixture
def root(tmp_path):
    """An empty folder."""
    folder = tmp_path / "root"
    folder.mkdir()
    return folder


@pytest.fixture
def rng():
    return np.random.default_rng(0)


def save_image(path, pixels):
    """An h × w × 3 (or h × w) uint8 array as a lossless file."""
    path.parent.mkdir(parents=True, exist_ok=True)
    Image.fromarray(pixels).save(path)


@pytest.fixture
def tree(root, rng):
    """``train/`` of 5 cats and 4 dogs, ``val/`` of 2 and 3, random 8×8 PNGs: the folder, and the pixels by file."""
    pixels = {}
    for split, counts in {"train": {"cat": 5, "dog": 4}, "val": {"cat": 2, "dog": 3}}.items():
        for name, count in counts.items():
            for index in range(count):
                path = root / split / name / f"{index}.png"
                pixels[path] = rng.integers(0, 256, (8, 8, 3), dtype=np.uint8)
                save_image(path, pixels[path])
    return root, pixels
