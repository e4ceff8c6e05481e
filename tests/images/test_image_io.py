"""Reading and writing image files: pixels as a viewer shows them, in the requested channels and bit depth, or one error."""

import io
import os
import pickle
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
import torch
from PIL import Image

from stylegan_lab.images.image_io import image_files, read_image, read_pixels, write_image
from stylegan_lab.images.open_image import (
    DEFAULT_MAX_PIXELS,
    MAX_PIXELS_VARIABLE,
    MAX_SCANS,
    UnreadableImageError,
    display_name,
    open_image,
    read_row_names,
)
from stylegan_lab.images.transforms.resize import Resize, ScaleShortest, resize_images
from stylegan_lab.images.value_range import to_bytes, to_unit
from tests.images.crafted_files import bombs, png, png_of, tiff
from tests.refusals import refused

RAMP = np.linspace(0, 255, 12 * 20 * 3).reshape(12, 20, 3).astype(np.uint8)
SIXTEEN_BIT = np.random.default_rng(0).integers(0, 65536, (9, 7, 4)).astype(np.uint16)


def save_image(path: Path, image: Image.Image, **options: object) -> Path:
    image.save(path, **options)
    return path


def photo(height: int, width: int) -> Image.Image:
    """Smooth with some noise, like a photo to a JPEG encoder."""
    y, x = np.mgrid[0:height, 0:width]
    waves = np.stack([np.sin(x / 40) * np.cos(y / 50), np.sin(y / 30), np.cos((x + y) / 60)], axis=2)
    noise = np.random.default_rng(0).normal(0, 4, (height, width, 1))
    return Image.fromarray((waves * 100 + 128 + noise).clip(0, 255).astype(np.uint8))


@pytest.mark.parametrize("suffix", [".png", ".webp", ".tif", ".TIFF", ".bmp", ".PNG"])
def test_lossless_formats_are_read_as_they_were_written(tmp_path: Path, suffix: str) -> None:
    path = save_image(
        tmp_path / f"p{suffix}", Image.fromarray(RAMP), **({"lossless": True} if suffix == ".webp" else {})
    )
    assert torch.equal(read_pixels(path), torch.from_numpy(RAMP).permute(2, 0, 1))
    assert read_pixels(path).is_contiguous()


def test_the_first_frame_of_an_animation_is_read(tmp_path: Path) -> None:
    first, second = Image.new("RGB", (8, 8), (255, 0, 0)), Image.new("RGB", (8, 8), (0, 0, 255))
    for suffix in (".gif", ".webp", ".png", ".tif", ".jpg"):
        kind = {"format": "MPO"} if suffix == ".jpg" else {}  # as some cameras write two images into one JPEG
        path = save_image(tmp_path / f"p{suffix}", first, save_all=True, append_images=[second], **kind)
        red, _, blue = read_pixels(path)[:, 0, 0].tolist()
        assert red > 250 and blue < 5, suffix


def test_one_channel_is_luminance_and_four_channels_keep_alpha(tmp_path: Path) -> None:
    path = save_image(tmp_path / "p.png", Image.new("RGBA", (2, 2), (255, 0, 0, 51)))
    assert read_pixels(path, channels=4)[:, 0, 0].tolist() == [255, 0, 0, 51]
    assert read_pixels(path)[:, 0, 0].tolist() == [255, 204, 204]
    assert read_pixels(path, background="black")[:, 0, 0].tolist() == [51, 0, 0]
    assert read_pixels(path, background="#00ff00")[:, 0, 0].tolist() == [51, 204, 0]
    assert read_pixels(path, channels=1, background="black")[:, 0, 0].tolist() == [15]
    opaque = save_image(tmp_path / "opaque.png", Image.new("L", (2, 2), 7))
    assert read_pixels(opaque, channels=4)[:, 0, 0].tolist() == [7, 7, 7, 255]


@pytest.mark.parametrize("mode", ["1", "L", "LA", "P", "RGB", "RGBA", "CMYK", "YCbCr", "I;16", "F"])
@pytest.mark.parametrize("channels", [1, 3, 4])
def test_both_bit_depths_read_the_same_image(tmp_path: Path, mode: str, channels: int) -> None:
    image = Image.fromarray(RAMP)
    if mode == "I;16":
        image = Image.fromarray(RAMP[..., 0].astype(np.uint16) * 257)
    elif mode == "F":
        image = Image.fromarray(RAMP[..., 0].astype(np.float32) / 255)
    elif mode in ("LA", "RGBA"):
        image.putalpha(Image.fromarray(RAMP[..., 1]))
    path = save_image(tmp_path / "p.tif", image if mode in ("I;16", "F") else image.convert(mode))
    bytes_, floats = (read_pixels(path, channels, bit_depth, background="teal") for bit_depth in (8, 16))
    assert bytes_.dtype == torch.uint8 and floats.dtype == torch.float32
    assert bytes_.shape == floats.shape == (channels, 12, 20)
    assert ((floats + 1) * 127.5 - bytes_).abs().max() <= 1


def test_a_transparent_palette_is_composited_over_the_background(tmp_path: Path) -> None:
    image = Image.new("P", (4, 4), 0)
    image.putpalette([255, 0, 0, 0, 0, 255])
    image.putpixel((0, 0), 1)
    for suffix in (".png", ".gif"):
        path = save_image(tmp_path / f"p{suffix}", image, transparency=0)
        pixels = read_pixels(path, background="lime")
        assert pixels[:, 0, 0].tolist() == [0, 0, 255] and pixels[:, 1, 1].tolist() == [0, 255, 0]


@pytest.mark.parametrize(
    "write", [png, tiff, lambda v: tiff(v, ">"), lambda v: tiff(v, "<", True), lambda v: tiff(v, ">", True)]
)
@pytest.mark.parametrize("channels", [3, 4])
def test_sixteen_bits_per_channel_are_kept(tmp_path: Path, write: Callable[[np.ndarray], bytes], channels: int) -> None:
    """Pillow keeps only eight."""
    path = tmp_path / "p.png"
    path.write_bytes(write(SIXTEEN_BIT[..., :channels]))
    decoded = ((read_pixels(path, channels, bit_depth=16).double() + 1) * 32767.5).permute(1, 2, 0).numpy()
    assert np.abs(decoded - SIXTEEN_BIT[..., :channels]).max() < 0.01
    assert torch.equal(
        read_pixels(path, channels).permute(1, 2, 0),
        torch.from_numpy((SIXTEEN_BIT[..., :channels] >> 8).astype(np.uint8)),
    )


def test_sixteen_bits_of_gray_are_kept_with_and_without_alpha(tmp_path: Path) -> None:
    path = tmp_path / "p.png"
    path.write_bytes(png(SIXTEEN_BIT[..., :1]))
    assert np.abs((read_pixels(path, 1, 16)[0].numpy().astype(float) + 1) * 32767.5 - SIXTEEN_BIT[..., 0]).max() < 0.01
    path.write_bytes(png(SIXTEEN_BIT[..., :2]))
    pixels = (read_pixels(path, 4, 16).numpy().astype(float) + 1) * 32767.5
    assert np.abs(pixels - SIXTEEN_BIT[..., [0, 0, 0, 1]].transpose(2, 0, 1)).max() < 0.01


@pytest.mark.parametrize(("values", "named"), [([[-1.0, 0.5]], "-1 to 0.5"), ([[0.0, 255.0]], "0 to 255"),
                                                ([[float("nan"), 0.0]], "nan")])  # fmt: skip
def test_floats_outside_of_the_unit_range_are_rejected(tmp_path: Path, values: list[list[float]], named: str) -> None:
    path = save_image(tmp_path / "p.tif", Image.fromarray(np.array(values, dtype=np.float32)))
    with refused("image.values_out_of_range", "p.tif", named):
        read_pixels(path)


def test_pages_can_be_channels(tmp_path: Path) -> None:
    pages = [Image.new("L", (6, 4), level) for level in (10, 20, 30, 40, 50)]
    path = save_image(tmp_path / "p.tif", pages[0], save_all=True, append_images=pages[1:])
    assert read_pixels(path, channels=5)[:, 0, 0].tolist() == [10, 20, 30, 40, 50]
    assert read_pixels(path, channels=5, bit_depth=16).shape == (5, 4, 6)
    with refused("image.wrong_page_count", "p.tif", "5 pages", "data.channels=6"):
        read_pixels(path, channels=6)
    pages[2] = Image.new("L", (5, 5))
    save_image(path, pages[0], save_all=True, append_images=pages[1:])
    with refused("image.page_sizes_differ", "p.tif"):
        read_pixels(path, channels=5)


@pytest.mark.parametrize("suffix", [".jpg", ".png", ".webp", ".tif"])
@pytest.mark.parametrize("orientation", range(1, 9))
def test_all_eight_exif_orientations_are_read_upright(tmp_path: Path, suffix: str, orientation: int) -> None:
    upright = torch.zeros(16, 32, dtype=torch.uint8)
    upright[:8, :16], upright[:8, 16:], upright[8:, :16] = 80, 160, 240
    rotations = {1: lambda t: t, 2: lambda t: t.flip(1), 3: lambda t: t.rot90(2), 4: lambda t: t.flip(0), 5: lambda t: t.T,
              6: lambda t: t.rot90(1), 7: lambda t: t.rot90(2).T, 8: lambda t: t.rot90(-1)}  # fmt: skip
    rotated = Image.fromarray(rotations[orientation](upright).contiguous().numpy()).convert("RGB")
    exif = Image.Exif()
    exif[0x0112] = orientation
    path = save_image(tmp_path / f"p{suffix}", rotated, exif=exif, **({"quality": 100} if suffix != ".tif" else {}))
    for bit_depth in (8, 16):
        read = read_pixels(path, 1, bit_depth)[0]
        read = read if bit_depth == 8 else (read + 1) * 127.5
        assert read.shape == (16, 32) and (read - upright.float()).abs().max() < 6
    for policy in (ScaleShortest(4), Resize(4, 8)):
        drafted = read_pixels(path, 1, target_size=policy.target_size)[0]
        assert drafted.shape == ((8, 16) if suffix == ".jpg" else (16, 32))
        assert (resize_images(drafted[None], 16, 32)[0, 2:6, 3:13].float() - 80).abs().max() < 6


def test_damaged_metadata_does_not_reject_valid_pixels(tmp_path: Path) -> None:
    path = save_image(tmp_path / "p.jpg", photo(16, 16), exif=b"Exif\0\0II*\0\xff\xff\xff\xff")
    assert read_pixels(path).shape == (3, 16, 16)


@pytest.mark.parametrize("shape", [(400, 640), (401, 633), (1203, 1001)])
@pytest.mark.parametrize("policy", [ScaleShortest(64), Resize(48, 80)])
def test_a_jpeg_decoded_at_lower_resolution_resizes_to_the_same_image(
    tmp_path: Path, shape: tuple[int, int], policy: ScaleShortest
) -> None:
    path = save_image(tmp_path / "p.jpg", photo(*shape), quality=92)
    drafted, full = read_pixels(path, target_size=policy.target_size), read_pixels(path)
    height, width = policy.target_size(*full.shape[1:])
    assert drafted.shape[1] >= height and drafted.shape[2] >= width
    assert drafted.shape != full.shape or shape == (1203, 1001)
    difference = (policy(drafted).float() - policy(full).float()).abs()
    assert policy(drafted).shape == policy(full).shape
    assert difference.mean() < 1 and difference.max() < 12


def test_no_jpeg_is_decoded_below_its_target_size(tmp_path: Path) -> None:
    path = save_image(tmp_path / "p.jpg", photo(100, 80))
    for target_size in ((100, 80), (99, 10), (200, 300)):
        assert read_pixels(path, target_size=target_size).shape == (3, 100, 80)
    assert read_pixels(path, target_size=(25, 20)).shape == (3, 50, 40)


def test_the_format_is_recognized_by_content_and_not_by_suffix(tmp_path: Path) -> None:
    path = tmp_path / "p.png"
    Image.fromarray(RAMP).save(path, "JPEG")
    assert read_pixels(path).shape == (3, 12, 20)


def error_reason(path: Path, **options: object) -> str:
    with pytest.raises(UnreadableImageError) as caught:
        read_pixels(path, **options)
    assert caught.value.path == path and str(caught.value) == f"{display_name(path)} {caught.value.reason}"
    return caught.value.reason


def test_every_kind_of_unreadable_file_has_its_reason(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "folder.png").mkdir()
    (tmp_path / "empty.png").touch()
    (tmp_path / "loop.png").symlink_to(tmp_path / "loop.png")
    (tmp_path / "text.png").write_text("not an image")
    (tmp_path / "drawing.png").write_bytes(
        b"%!PS-Adobe-3.0 EPSF-3.0\n%%BoundingBox: 0 0 9 9\n"
    )  # Pillow would start Ghostscript for it
    os.mkfifo(tmp_path / "pipe.png")
    assert error_reason(tmp_path / "folder.png") == "is a folder, not an image"
    assert error_reason(tmp_path / "empty.png") == "is empty"
    assert error_reason(tmp_path / "pipe.png") == "is not a file"
    assert error_reason(tmp_path / "gone.png") == "does not exist"
    assert "symbolic links" in error_reason(tmp_path / "loop.png")
    for name in ("text.png", "drawing.png"):
        assert error_reason(tmp_path / name) == "is not an image that can be read (JPEG, PNG, WebP, TIFF, BMP, GIF)"
    cut = save_image(tmp_path / "cut.jpg", photo(64, 64))
    cut.write_bytes(cut.read_bytes()[:-300])
    assert "truncated" in error_reason(cut)

    def raise_permission_error(*_: object) -> None:
        raise PermissionError(13, "Permission denied")

    monkeypatch.setattr(Path, "open", raise_permission_error)
    assert error_reason(cut) == "cannot be read: Permission denied"


def test_more_bands_than_pillow_reads_are_rejected(tmp_path: Path) -> None:
    path = tmp_path / "p.tif"
    path.write_bytes(tiff(np.zeros((4, 4, 7), dtype=np.uint8)))
    assert "is not an image that can be read" in error_reason(path)


def test_undecodable_file_names_can_be_printed(tmp_path: Path) -> None:
    path = Path(os.fsdecode(os.fsencode(tmp_path) + b"/caf\xe9.png"))
    path.touch()
    with refused("image.empty_file", r"caf\udce9.png") as caught:
        read_pixels(path)
    str(caught.value).encode()


def test_the_error_can_be_pickled(tmp_path: Path) -> None:
    error = pickle.loads(pickle.dumps(UnreadableImageError(tmp_path, "is empty", "image.empty_file")))
    assert isinstance(error, UnreadableImageError) and (error.path, error.reason) == (tmp_path, "is empty")
    assert error.code == "image.empty_file"


@pytest.mark.parametrize(
    ("options", "code", "named"),
    [
        ({"channels": 0}, "config.too_small", "data.channels=0"),
        ({"bit_depth": 12}, "config.unknown_choice", "data.bit_depth=12"),
        ({"background": "whit"}, "config.unknown_color", "data.background=whit"),
    ],
)
def test_wrong_options_are_not_reported_as_unreadable_files(
    tmp_path: Path, options: dict[str, object], code: str, named: str
) -> None:
    with refused(code, named) as caught:
        read_pixels(tmp_path / "p.png", **options)
    assert not isinstance(caught.value, UnreadableImageError)


@pytest.mark.parametrize("name", bombs())
def test_decompression_bombs_are_rejected_by_their_headers(tmp_path: Path, name: str) -> None:
    (tmp_path / name).write_bytes(bombs()[name])
    assert f"at most {DEFAULT_MAX_PIXELS:,} are read" in error_reason(tmp_path / name)


def test_the_pixel_limit_is_a_setting(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    claims = {"legal.png": (9459, 9459), "bomb.png": (9500, 9500)}  # Pillow opens both
    for name, (width, height) in claims.items():
        (tmp_path / name).write_bytes(png_of(width, height, 8, 2))
    assert "are read" not in error_reason(tmp_path / "legal.png")
    assert f"has 9500x9500 pixels; at most {DEFAULT_MAX_PIXELS:,} are read" in error_reason(tmp_path / "bomb.png")
    path = save_image(tmp_path / "p.png", photo(16, 16))
    monkeypatch.setenv(MAX_PIXELS_VARIABLE, "255")
    assert "at most 255 are read" in error_reason(path)
    monkeypatch.setenv(MAX_PIXELS_VARIABLE, "256")
    read_pixels(path)
    monkeypatch.setenv(MAX_PIXELS_VARIABLE, "4000000000")
    monkeypatch.setattr(Image, "MAX_IMAGE_PIXELS", Image.MAX_IMAGE_PIXELS)
    (tmp_path / "huge.png").write_bytes(png_of(60000, 60000, 8, 2))
    with open_image(tmp_path / "huge.png") as image:
        assert image.size == (60000, 60000)
    for wrong in ("many", "0", "-1"):
        monkeypatch.setenv(MAX_PIXELS_VARIABLE, wrong)
        with refused("image.invalid_pixel_limit", f"{MAX_PIXELS_VARIABLE}={wrong}"):
            read_pixels(path)


def test_a_jpeg_with_too_many_scans_is_rejected(tmp_path: Path) -> None:
    path = save_image(tmp_path / "p.jpg", photo(16, 16), progressive=True)
    content = path.read_bytes()
    last = content[content.rindex(b"\xff\xda") : -2]
    path.write_bytes(content[:-2] + last * MAX_SCANS + content[-2:])
    assert "scans" in error_reason(path)


@pytest.mark.skipif(sys.platform != "linux", reason="limits of address space are Linux's")
def test_reading_stays_within_the_documented_memory(tmp_path: Path) -> None:
    """Reads each format, and decompression bombs, in a process whose memory is limited to the documented amount."""
    side = 700
    rgba = photo(side, side)
    rgba.putalpha(200)
    for suffix in (".png", ".webp", ".tif"):
        save_image(tmp_path / f"rgba{suffix}", rgba, **({"lossless": True, "method": 0} if suffix == ".webp" else {}))
    for suffix in (".jpg", ".bmp", ".gif"):
        save_image(tmp_path / f"rgb{suffix}", rgba.convert("RGB"))
    save_image(tmp_path / "progressive.jpg", rgba.convert("RGB"), progressive=True)
    (tmp_path / "sixteen_bit.png").write_bytes(png(np.zeros((side, side, 4), dtype=np.uint16)))
    (tmp_path / "bombs").mkdir()
    for name, content in bombs().items():
        (tmp_path / "bombs" / name).write_bytes(content)
    code = f"""
import resource, sys
from pathlib import Path
from stylegan_lab.images.image_io import read_pixels
from stylegan_lab.images.open_image import UnreadableImageError
folder = Path(sys.argv[1])
def limit(additional):
    current = int(Path("/proc/self/statm").read_text().split()[0]) * resource.getpagesize()
    resource.setrlimit(resource.RLIMIT_AS, (current + additional, resource.RLIM_INFINITY))
for path in sorted((folder / "bombs").iterdir()):
    limit(64 << 20)
    try:
        read_pixels(path)
    except UnreadableImageError as error:
        assert "at most" in str(error), error
for path in sorted(folder.glob("*.*")):
    for channels in (1, 3, 4) if path.name == "rgba.png" else (3,):
        for bit_depth, max_bytes in {{8: 32, 16: 64}}.items():  # of memory per pixel, besides the file itself
            limit(max_bytes * {side * side} + (16 << 20))
            assert read_pixels(path, channels, bit_depth).shape == (channels, {side}, {side})
print("done")
"""
    done = subprocess.run([sys.executable, "-c", code, str(tmp_path)], capture_output=True, text=True, timeout=300)
    assert done.stdout == "done\n", done.stderr


def test_read_image_returns_three_channels_from_minus_one_to_one(tmp_path: Path) -> None:
    buffer = io.BytesIO()
    Image.new("L", (4, 4), 255).save(buffer, "PNG")
    (tmp_path / "p.png").write_bytes(buffer.getvalue())
    assert torch.equal(read_image(tmp_path / "p.png"), torch.ones(3, 4, 4))


def test_a_saved_image_reads_back_with_its_8_bit_values(tmp_path: Path) -> None:
    image = torch.rand(3, 9, 7) * 2 - 1
    read = read_image(write_image(image, tmp_path / "a" / "b.png"))
    assert torch.equal(to_unit(read), to_unit(image))


def test_a_failed_write_leaves_no_partial_file(tmp_path: Path) -> None:
    with pytest.raises(ValueError, match="unknown file extension"):
        write_image(torch.zeros(3, 4, 4), tmp_path / "a.nothing")
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize(
    ("mode", "value", "expected"),
    [("RGB", (255, 0, 0), (255, 0, 0)), ("L", 100, (100, 100, 100)), ("RGBA", (255, 0, 0, 0), (255, 255, 255)),
     ("RGBA", (0, 0, 0, 255), (0, 0, 0)), ("LA", (0, 0), (255, 255, 255)),
     ("1", 1, (255, 255, 255)), ("I;16", 25700, (100, 100, 100))],
)  # fmt: skip
def test_every_mode_is_read_as_a_viewer_shows_it(
    tmp_path: Path, mode: str, value: object, expected: tuple[int, ...]
) -> None:
    if mode == "I;16":
        image = Image.fromarray(np.full((4, 4), value, dtype=np.uint16))
    else:
        image = Image.new(mode, (4, 4), value)  # type: ignore[arg-type]
    assert to_bytes(read_image(save_image(tmp_path / "p.png", image)))[:, 0, 0].tolist() == list(expected)


def test_a_palette_and_cmyk_are_read(tmp_path: Path) -> None:
    red = Image.new("RGB", (8, 8), (204, 0, 0))
    assert to_bytes(read_image(save_image(tmp_path / "p.gif", red.convert("P"))))[:, 0, 0].tolist() == [204, 0, 0]
    assert read_image(save_image(tmp_path / "p.jpg", red.convert("CMYK"))).shape == (3, 8, 8)


def test_the_exif_orientation_is_applied(tmp_path: Path) -> None:
    rotated = Image.new("RGB", (8, 4))
    exif = Image.Exif()
    exif[0x0112] = 6  # rotate by 90 degrees to the right
    assert read_image(save_image(tmp_path / "p.jpg", rotated, exif=exif)).shape == (3, 8, 4)


def test_a_truncated_file_is_named(tmp_path: Path) -> None:
    path = save_image(tmp_path / "p.png", Image.effect_noise((64, 64), 50).convert("RGB"))
    path.write_bytes(path.read_bytes()[:-2000])
    with refused("image.truncated", "p.png"):
        read_image(path)


@pytest.mark.parametrize(("content", "code"), [(b"", "image.empty_file"), (b"not an image", "image.unknown_format"),
                                              (b"\x89PNG\r\n\x1a\n" + b"\0" * 40, "image.unknown_format")])  # fmt: skip
def test_an_unreadable_file_is_named(tmp_path: Path, content: bytes, code: str) -> None:
    path = tmp_path / "broken.png"
    path.write_bytes(content)
    with refused(code, "broken.png"):
        read_image(path)


def test_image_files_are_listed_recursively_in_order_without_hidden_files(tmp_path: Path) -> None:
    for name in ("b.png", "a/c.JPG", ".hidden.png", "notes.txt"):
        (tmp_path / name).parent.mkdir(exist_ok=True)
        (tmp_path / name).touch()
    assert [str(path.relative_to(tmp_path)) for path in image_files(tmp_path)] == ["a/c.JPG", "b.png"]


def test_a_png_says_what_the_rows_of_a_grid_are(tmp_path: Path) -> None:
    rows = torch.zeros(3, 8, 4)
    assert read_row_names(write_image(rows, tmp_path / "grid.png", ["a", "a to b"])) == ["a", "a to b"]
    assert read_row_names(write_image(rows, tmp_path / "plain.png")) == []
    (tmp_path / "cut.png").write_bytes((tmp_path / "grid.png").read_bytes()[:20])
    assert read_row_names(tmp_path / "cut.png") == []
