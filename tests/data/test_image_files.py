"""A user's image files: upright, on white, 8 bits per channel, wherever they are opened."""

import io
import warnings

import numpy as np
import pytest
import torch
from PIL import Image, ImageFile, ImageOps

from ddsweep import data
from ddsweep.data import image_files, pixels
from ddsweep.exchange.folder import read_all

RED, BLUE, WHITE = (255, 0, 0), (0, 0, 255), (255, 255, 255)
# how a camera stores an upright picture with each value of the EXIF tag (the EXIF standard: where row 0, column 0 are)
STORED = {
    1: lambda upright: upright,
    2: lambda upright: upright[:, ::-1],
    3: lambda upright: upright[::-1, ::-1],
    4: lambda upright: upright[::-1],
    5: lambda upright: upright.transpose(1, 0, 2),
    6: lambda upright: upright.transpose(1, 0, 2)[::-1],
    7: lambda upright: upright.transpose(1, 0, 2)[::-1, ::-1],
    8: lambda upright: upright.transpose(1, 0, 2)[:, ::-1],
}


def save(path, array, orientation=1, **options):
    exif = Image.Exif()
    exif[image_files.ORIENTATION] = orientation
    path.parent.mkdir(parents=True, exist_ok=True)
    Image.fromarray(np.ascontiguousarray(array)).save(path, exif=exif, **options)
    return path


def opened(path):
    return np.asarray(image_files.opened(path))


@pytest.mark.parametrize("orientation", range(1, 9))
@pytest.mark.parametrize("suffix", ["png", "webp", "tif"])
def test_a_photo_is_upright_whatever_its_exif_orientation(tmp_path, rng, orientation, suffix):
    upright = rng.integers(0, 256, (6, 10, 3), dtype=np.uint8)
    options = {"lossless": True} if suffix == "webp" else {}
    path = save(tmp_path / f"x.{suffix}", STORED[orientation](upright), orientation, **options)
    assert np.array_equal(opened(path), upright)
    assert np.array_equal(image_files.read(path, 5), image_files.read(save(tmp_path / "up.png", upright), 5))
    assert torch.equal(read_all([path])[0], torch.from_numpy(upright).permute(2, 0, 1).float() / 255)


@pytest.mark.parametrize("orientation", range(1, 9))
def test_training_and_test_photos_are_upright_alike(root, orientation):
    """Phone pictures: the sky above, in JPEG, four times as large as the size wanted or more."""
    upright = np.zeros((96, 128, 3), dtype=np.uint8)
    upright[:48] = (90, 160, 255)
    for part in ("train", "test"):
        for name in "ab":
            save(root / part / name / "up.jpg", upright, quality=95)
            save(root / part / name / "turned.jpg", STORED[orientation](upright), orientation, quality=95)
    found = data.load(f"imagefolder:{root}", 8)
    for images in (found.images, found.test_images):
        turned, up = images[0::2], images[1::2]
        assert (found.denormalize(turned[:]) - found.denormalize(up[:])).abs().max() < 0.02
        assert found.denormalize(up[:])[:, 2, :3].min() > 0.9
        assert found.denormalize(up[:])[:, 2, 5:].max() < 0.1


def test_the_table_of_turns_is_pillows(tmp_path, rng):
    for orientation in range(1, 9):
        array = rng.integers(0, 256, (6, 10, 3), dtype=np.uint8)
        path = save(tmp_path / f"{orientation}.png", array, orientation)
        with Image.open(path) as image:
            assert np.array_equal(opened(path), np.asarray(ImageOps.exif_transpose(image)))


@pytest.mark.parametrize("exif", [b"Exif\0\0broken", b"Exif\0\0II*\0\x08\0\0\0\xff\xff", b"", b"Exif\0\0" + bytes(99)])
def test_damaged_metadata_do_not_lose_the_picture(tmp_path, exif):
    path = tmp_path / "x.jpg"
    Image.new("RGB", (8, 8), RED).save(path, exif=exif, quality=95)
    with image_files.silenced():
        assert np.abs(opened(path).astype(int) - RED).max() < 8


def transparent(mode):
    """Left half opaque blue (or black), right half transparent with red (or a gray) hidden below."""
    rgba = Image.new("RGBA", (8, 8), (*BLUE, 255))
    rgba.paste((*RED, 0), (4, 0, 8, 8))
    if mode == "RGBA":
        return rgba
    if mode == "LA":
        image = Image.new("LA", (8, 8), (0, 255))
        image.paste((130, 0), (4, 0, 8, 8))
        return image
    if mode in ("P", "PA"):
        image = Image.new("P", (8, 8), 0)
        image.putpalette([*BLUE, *RED])
        image.paste(1, (4, 0, 8, 8))
        image.info["transparency"] = 1
        return image
    image = Image.new(mode, (8, 8), BLUE if mode == "RGB" else 0)
    image.paste(RED if mode == "RGB" else 130, (4, 0, 8, 8))
    image.info["transparency"] = RED if mode == "RGB" else 130
    return image


@pytest.mark.parametrize(
    ("mode", "suffix"),
    [("RGBA", "png"), ("LA", "png"), ("P", "png"), ("P", "gif"), ("RGB", "png"), ("L", "png"), ("RGBA", "webp"),
     ("RGBA", "tif"), ("RGBA", "ico"), ("RGBA", "tga"), ("LA", "tif"), ("RGBA", "avif"), ("RGBA", "jp2")],
)  # fmt: skip
def test_transparent_pixels_are_white_and_hide_nothing(root, mode, suffix):
    image = transparent(mode)
    options = {"transparency": image.info["transparency"]} if "transparency" in image.info else {}
    if suffix in ("webp", "avif"):
        options |= {"lossless": True} if suffix == "webp" else {"quality": 100}
    if suffix == "webp":
        options["exact"] = True  # otherwise the encoder discards the hidden color
    if suffix == "ico":
        options["sizes"] = [(8, 8)]
    for part in ("train", "test"):
        for name in "ab":
            (root / part / name).mkdir(parents=True)
            image.save(root / part / name / f"x.{suffix}", **options)
    close = 4 if suffix == "avif" else 0
    array = opened(root / "train" / "a" / f"x.{suffix}").reshape(8, 8, -1).astype(int)
    assert np.abs(array[:, 4:] - 255).max() <= close
    assert np.abs(array[:, :3] - (0 if mode in ("LA", "L") else BLUE)).max() <= close
    small = data.load(f"imagefolder:{root}", 4)
    for images in (small.images, small.test_images):
        right = small.denormalize(images[:])[..., 3:]  # its pixels cover none of the left half
        assert right.min() >= 1 - (close + 0.5) / 255
    one = read_all([root / "test" / "b" / f"x.{suffix}"])
    assert one.shape[1] == (1 if mode in ("LA", "L") else 3)
    assert one[..., 4:].min() >= 1 - close / 255


def test_a_hidden_color_does_not_leak_into_its_neighbors_when_resizing(tmp_path):
    """Stripes of opaque white and hidden red: resized before compositing, they would come out pink."""
    rgba = np.zeros((64, 64, 4), dtype=np.uint8)
    rgba[:, ::2] = (255, 255, 255, 255)
    rgba[:, 1::2] = (255, 0, 0, 0)
    Image.fromarray(rgba).save(tmp_path / "x.png")
    assert image_files.read(tmp_path / "x.png", 9).min() == 255


def test_half_transparent_pixels_are_mixed_with_white(tmp_path):
    Image.new("RGBA", (4, 4), (0, 0, 0, 51)).save(tmp_path / "x.png")
    assert np.unique(opened(tmp_path / "x.png")).tolist() == [204]


@pytest.mark.parametrize(
    ("mode", "suffix", "expected"),
    [("1", "png", "L"), ("L", "jpg", "L"), ("P", "bmp", "RGB"), ("CMYK", "jpg", "RGB"), ("YCbCr", "tif", "RGB"),
     ("CMYK", "tif", "RGB"), ("1", "tif", "L"), ("L", "pgm", "L"), ("1", "pbm", "L")],
)  # fmt: skip
def test_what_has_eight_bits_becomes_gray_or_rgb(tmp_path, mode, suffix, expected):
    picture = Image.new("RGB", (8, 8), WHITE)
    picture.paste((0, 0, 0), (0, 0, 4, 8))
    picture.convert(mode).save(tmp_path / f"x.{suffix}")
    image = image_files.opened(tmp_path / f"x.{suffix}")
    assert image.mode == expected
    array = np.asarray(image).reshape(8, 8, -1).astype(int)
    assert array[:, :3].max() < 8
    assert array[:, 5:].min() > 247


def test_sixteen_bits_per_color_keep_the_upper_eight(tmp_path):
    import struct
    import zlib

    def chunk(kind, content):
        return struct.pack(">I", len(content)) + kind + content + struct.pack(">I", zlib.crc32(kind + content))

    row = b"\0" + struct.pack(">3H", 0x12FF, 0x8000, 0xFF01) * 4
    head = struct.pack(">IIBBBBB", 4, 4, 16, 2, 0, 0, 0)
    png = b"\x89PNG\r\n\x1a\n" + chunk(b"IHDR", head) + chunk(b"IDAT", zlib.compress(row * 4)) + chunk(b"IEND", b"")
    (tmp_path / "x.png").write_bytes(png)
    assert np.unique(opened(tmp_path / "x.png").reshape(-1, 3), axis=0).tolist() == [[0x12, 0x80, 0xFF]]


def refused(path):
    with pytest.raises(pixels.Unreadable) as caught:
        image_files.opened(path)
    assert "\n" not in str(caught.value)
    return str(caught.value)


def test_what_would_be_clipped_or_has_several_pages_is_refused(tmp_path):
    Image.fromarray(np.full((4, 4), 60_000, dtype=np.uint16)).save(tmp_path / "deep.png")
    assert "convert it to 8 bits per channel" in refused(tmp_path / "deep.png")
    Image.fromarray(np.full((4, 4), 0.5, dtype=np.float32)).save(tmp_path / "float.tif")
    assert refused(tmp_path / "float.tif") == "F pixels; convert it to 8 bits per channel"
    Image.fromarray(np.full((4, 4), 7, dtype=np.int32)).save(tmp_path / "int.tif")
    assert refused(tmp_path / "int.tif") == "I pixels; convert it to 8 bits per channel"
    pages = [Image.new("RGB", (4, 4), color) for color in (RED, BLUE, WHITE)]
    pages[0].save(tmp_path / "stack.tif", save_all=True, append_images=pages[1:])
    assert refused(tmp_path / "stack.tif") == "3 pages; save each as a file of its own"


def test_a_thumbnail_is_no_second_page(tmp_path):
    big, small = Image.new("RGB", (8, 8), RED), Image.new("RGB", (4, 4), BLUE)
    small.encoderinfo = {"tiffinfo": {image_files.SUBFILE: 1}}
    big.save(tmp_path / "x.tif", save_all=True, append_images=[small])
    with Image.open(tmp_path / "x.tif") as image:
        assert getattr(image, "n_frames", 1) == 2
    assert np.unique(opened(tmp_path / "x.tif").reshape(-1, 3), axis=0).tolist() == [list(RED)]


@pytest.mark.parametrize("suffix", ["gif", "webp", "png"])
def test_of_an_animation_the_first_frame_is_read(tmp_path, suffix):
    frames = [Image.new("RGB", (8, 8), color) for color in (RED, BLUE)]
    frames[0].save(tmp_path / f"x.{suffix}", save_all=True, append_images=frames[1:], duration=100)
    assert np.abs(opened(tmp_path / f"x.{suffix}").astype(int) - RED).max() < 8


def test_a_suffix_may_be_wrong(tmp_path):
    Image.new("RGB", (4, 4), RED).save(tmp_path / "x.png")
    (tmp_path / "x.png").rename(tmp_path / "x.jpg")
    assert opened(tmp_path / "x.jpg")[0, 0].tolist() == list(RED)


def test_no_program_is_started_to_draw_a_file(tmp_path):
    (tmp_path / "x.jpg").write_bytes(b"%!PS-Adobe-3.0 EPSF-3.0\n%%BoundingBox: 0 0 8 8\n%%EndComments\nshowpage\n")
    assert refused(tmp_path / "x.jpg") == "not an image, or of a format that is not read"


def test_a_truncated_file_is_refused_and_not_filled_with_gray(tmp_path, rng):
    for suffix in ("jpg", "png", "webp"):
        buffer = io.BytesIO()
        picture = Image.fromarray(rng.integers(0, 256, (64, 64, 3), dtype=np.uint8))
        picture.save(buffer, {"jpg": "JPEG"}.get(suffix, suffix))
        (tmp_path / f"x.{suffix}").write_bytes(buffer.getvalue()[: len(buffer.getvalue()) * 2 // 3])
        refused(tmp_path / f"x.{suffix}")
    assert not ImageFile.LOAD_TRUNCATED_IMAGES


def test_an_empty_file_and_a_pointer_of_git_lfs_are_told_apart(tmp_path):
    (tmp_path / "x.png").touch()
    assert refused(tmp_path / "x.png") == "the file is empty"
    (tmp_path / "x.png").write_text("version https://git-lfs.github.com/spec/v1\noid sha256:0\nsize 1\n")
    assert refused(tmp_path / "x.png") == "a pointer of Git LFS, not the image; git lfs pull"


def test_a_huge_image_is_one_line(tmp_path, monkeypatch):
    Image.new("1", (300, 300)).save(tmp_path / "x.png")
    monkeypatch.setattr(Image, "MAX_IMAGE_PIXELS", 80_000)
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        with image_files.silenced():
            assert opened(tmp_path / "x.png").shape == (300, 300)
    monkeypatch.setattr(Image, "MAX_IMAGE_PIXELS", 30_000)
    assert refused(tmp_path / "x.png").startswith("more than ")


def test_published_datasets_are_read_as_before(tmp_path):
    """As torchvision's loader: without the EXIF orientation, and with the colors below transparent pixels."""
    array = np.zeros((8, 8, 3), dtype=np.uint8)
    array[:4] = 255
    path = save(tmp_path / "x.png", array, 3)
    assert np.array_equal(pixels.read(path, 8), array.transpose(2, 0, 1))
    transparent("RGBA").save(tmp_path / "y.png")
    assert pixels.read(tmp_path / "y.png", 8)[:, 0, 7].tolist() == list(RED)
