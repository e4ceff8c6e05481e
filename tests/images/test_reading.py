"""Reading: what a file looks like to a person, in the channels and the depth asked for; or the one error, with its reason."""

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

from stylegan_lab.images.fit import Resize, ScaleShortest, scaled
from stylegan_lab.images.opening import MOST_BYTES, MOST_SCANS
from stylegan_lab.images.read import MOST_PIXELS, Unreadable, read_picture, read_pixels
from stylegan_lab.images.unreadable import shown
from stylegan_lab.mistake import Mistake
from tests.images.by_hand import bombs, png, tiff

RAMP = np.linspace(0, 255, 12 * 20 * 3).reshape(12, 20, 3).astype(np.uint8)
DEEP = np.random.default_rng(0).integers(0, 65536, (9, 7, 4)).astype(np.uint16)


def saved(path: Path, picture: Image.Image, **options: object) -> Path:
    picture.save(path, **options)
    return path


def photo(height: int, width: int) -> Image.Image:
    """Smooth, with some noise: as a photo is to a JPEG."""
    y, x = np.mgrid[0:height, 0:width]
    waves = np.stack([np.sin(x / 40) * np.cos(y / 50), np.sin(y / 30), np.cos((x + y) / 60)], axis=2)
    noise = np.random.default_rng(0).normal(0, 4, (height, width, 1))
    return Image.fromarray((waves * 100 + 128 + noise).clip(0, 255).astype(np.uint8))


@pytest.mark.parametrize("suffix", [".png", ".webp", ".tif", ".TIFF", ".bmp", ".PNG"])
def test_lossless_formats_are_read_as_they_were_written(tmp_path: Path, suffix: str) -> None:
    path = saved(tmp_path / f"p{suffix}", Image.fromarray(RAMP), **({"lossless": True} if suffix == ".webp" else {}))
    assert torch.equal(read_pixels(path), torch.from_numpy(RAMP).permute(2, 0, 1))
    assert read_pixels(path).is_contiguous()


def test_of_an_animation_the_first_frame_is_read(tmp_path: Path) -> None:
    first, second = Image.new("RGB", (8, 8), (255, 0, 0)), Image.new("RGB", (8, 8), (0, 0, 255))
    for suffix in (".gif", ".webp", ".png", ".tif", ".jpg"):
        kind = {"format": "MPO"} if suffix == ".jpg" else {}  # as some cameras write two pictures into one JPEG
        path = saved(tmp_path / f"p{suffix}", first, save_all=True, append_images=[second], **kind)
        red, _, blue = read_pixels(path)[:, 0, 0].tolist()
        assert red > 250 and blue < 5, suffix


def test_one_channel_is_luminance_and_four_keep_transparency(tmp_path: Path) -> None:
    path = saved(tmp_path / "p.png", Image.new("RGBA", (2, 2), (255, 0, 0, 51)))
    assert read_pixels(path, channels=4)[:, 0, 0].tolist() == [255, 0, 0, 51]
    assert read_pixels(path)[:, 0, 0].tolist() == [255, 204, 204]
    assert read_pixels(path, background="black")[:, 0, 0].tolist() == [51, 0, 0]
    assert read_pixels(path, background="#00ff00")[:, 0, 0].tolist() == [51, 204, 0]
    assert read_pixels(path, channels=1, background="black")[:, 0, 0].tolist() == [15]
    opaque = saved(tmp_path / "opaque.png", Image.new("L", (2, 2), 7))
    assert read_pixels(opaque, channels=4)[:, 0, 0].tolist() == [7, 7, 7, 255]


@pytest.mark.parametrize("mode", ["1", "L", "LA", "P", "RGB", "RGBA", "CMYK", "YCbCr", "I;16", "F"])
@pytest.mark.parametrize("channels", [1, 3, 4])
def test_both_depths_see_the_same_picture(tmp_path: Path, mode: str, channels: int) -> None:
    picture = Image.fromarray(RAMP)
    if mode == "I;16":
        picture = Image.fromarray(RAMP[..., 0].astype(np.uint16) * 257)
    elif mode == "F":
        picture = Image.fromarray(RAMP[..., 0].astype(np.float32) / 255)
    elif mode in ("LA", "RGBA"):
        picture.putalpha(Image.fromarray(RAMP[..., 1]))
    path = saved(tmp_path / "p.tif", picture if mode in ("I;16", "F") else picture.convert(mode))
    shallow, deep = (read_pixels(path, channels, depth, background="teal") for depth in (8, 16))
    assert shallow.dtype == torch.uint8 and deep.dtype == torch.float32
    assert shallow.shape == deep.shape == (channels, 12, 20)
    assert ((deep + 1) * 127.5 - shallow).abs().max() <= 1


def test_a_transparent_palette_is_laid_over_the_background(tmp_path: Path) -> None:
    picture = Image.new("P", (4, 4), 0)
    picture.putpalette([255, 0, 0, 0, 0, 255])
    picture.putpixel((0, 0), 1)
    for suffix in (".png", ".gif"):
        path = saved(tmp_path / f"p{suffix}", picture, transparency=0)
        pixels = read_pixels(path, background="lime")
        assert pixels[:, 0, 0].tolist() == [0, 0, 255] and pixels[:, 1, 1].tolist() == [0, 255, 0]


@pytest.mark.parametrize(
    "write", [png, tiff, lambda v: tiff(v, ">"), lambda v: tiff(v, "<", True), lambda v: tiff(v, ">", True)]
)
@pytest.mark.parametrize("channels", [3, 4])
def test_sixteen_bits_a_colour_are_all_kept(
    tmp_path: Path, write: Callable[[np.ndarray], bytes], channels: int
) -> None:
    """Pillow itself keeps eight."""
    path = tmp_path / "p.png"
    path.write_bytes(write(DEEP[..., :channels]))
    kept = ((read_pixels(path, channels, depth=16).double() + 1) * 32767.5).permute(1, 2, 0).numpy()
    assert np.abs(kept - DEEP[..., :channels]).max() < 0.01
    assert torch.equal(
        read_pixels(path, channels).permute(1, 2, 0), torch.from_numpy((DEEP[..., :channels] >> 8).astype(np.uint8))
    )


def test_sixteen_bits_of_grey_are_kept_with_and_without_transparency(tmp_path: Path) -> None:
    path = tmp_path / "p.png"
    path.write_bytes(png(DEEP[..., :1]))
    assert np.abs((read_pixels(path, 1, 16)[0].numpy().astype(float) + 1) * 32767.5 - DEEP[..., 0]).max() < 0.01
    path.write_bytes(png(DEEP[..., :2]))
    pixels = (read_pixels(path, 4, 16).numpy().astype(float) + 1) * 32767.5
    assert np.abs(pixels - DEEP[..., [0, 0, 0, 1]].transpose(2, 0, 1)).max() < 0.01


@pytest.mark.parametrize(("values", "reason"), [([[-1.0, 0.5]], "from -1 to 0.5"), ([[0.0, 255.0]], "0 to 255"),
                                                ([[float("nan"), 0.0]], "nan")])  # fmt: skip
def test_floats_that_mean_something_else_are_refused(tmp_path: Path, values: list[list[float]], reason: str) -> None:
    path = saved(tmp_path / "p.tif", Image.fromarray(np.array(values, dtype=np.float32)))
    with pytest.raises(Unreadable, match=f"{reason}.*0 to 1 is read"):
        read_pixels(path)


def test_each_page_may_be_a_channel(tmp_path: Path) -> None:
    pages = [Image.new("L", (6, 4), level) for level in (10, 20, 30, 40, 50)]
    path = saved(tmp_path / "p.tif", pages[0], save_all=True, append_images=pages[1:])
    assert read_pixels(path, channels=5)[:, 0, 0].tolist() == [10, 20, 30, 40, 50]
    assert read_pixels(path, channels=5, depth=16).shape == (5, 4, 6)
    with pytest.raises(Unreadable, match=r"p\.tif cannot be read: it has 5 pages; data\.channels=6 takes 6"):
        read_pixels(path, channels=6)
    pages[2] = Image.new("L", (5, 5))
    saved(path, pages[0], save_all=True, append_images=pages[1:])
    with pytest.raises(Unreadable, match="pages differ in size"):
        read_pixels(path, channels=5)


@pytest.mark.parametrize("suffix", [".jpg", ".png", ".webp", ".tif"])
@pytest.mark.parametrize("orientation", range(1, 9))
def test_all_eight_ways_to_hold_a_camera(tmp_path: Path, suffix: str, orientation: int) -> None:
    upright = torch.zeros(16, 32, dtype=torch.uint8)
    upright[:8, :16], upright[:8, 16:], upright[8:, :16] = 80, 160, 240
    undone = {1: lambda t: t, 2: lambda t: t.flip(1), 3: lambda t: t.rot90(2), 4: lambda t: t.flip(0), 5: lambda t: t.T,
              6: lambda t: t.rot90(1), 7: lambda t: t.rot90(2).T, 8: lambda t: t.rot90(-1)}  # fmt: skip
    lying = Image.fromarray(undone[orientation](upright).contiguous().numpy()).convert("RGB")
    exif = Image.Exif()
    exif[0x0112] = orientation
    path = saved(tmp_path / f"p{suffix}", lying, exif=exif, **({"quality": 100} if suffix != ".tif" else {}))
    for depth in (8, 16):
        read = read_pixels(path, 1, depth)[0]
        read = read if depth == 8 else (read + 1) * 127.5
        assert read.shape == (16, 32) and (read - upright.float()).abs().max() < 6
    for wanted in (ScaleShortest(4), Resize(4, 8)):
        drafted = read_pixels(path, 1, wanted=wanted.wanted)[0]
        assert drafted.shape == ((8, 16) if suffix == ".jpg" else (16, 32))
        assert (scaled(drafted[None], 16, 32)[0, 2:6, 3:13].float() - 80).abs().max() < 6


def test_damaged_metadata_is_no_reason_to_refuse_good_pixels(tmp_path: Path) -> None:
    path = saved(tmp_path / "p.jpg", photo(16, 16), exif=b"Exif\0\0II*\0\xff\xff\xff\xff")
    assert read_pixels(path).shape == (3, 16, 16)


@pytest.mark.parametrize("shape", [(400, 640), (401, 633), (1203, 1001)])
@pytest.mark.parametrize("fit", [ScaleShortest(64), Resize(48, 80)])
def test_a_jpeg_decoded_smaller_ends_as_the_plain_way(
    tmp_path: Path, shape: tuple[int, int], fit: ScaleShortest
) -> None:
    path = saved(tmp_path / "p.jpg", photo(*shape), quality=92)
    drafted, plain = read_pixels(path, wanted=fit.wanted), read_pixels(path)
    height, width = fit.wanted(*plain.shape[1:])
    assert drafted.shape[1] >= height and drafted.shape[2] >= width
    assert drafted.shape != plain.shape or shape == (1203, 1001)
    difference = (fit(drafted).float() - fit(plain).float()).abs()
    assert fit(drafted).shape == fit(plain).shape
    assert difference.mean() < 1 and difference.max() < 12


def test_nothing_is_decoded_smaller_than_wanted(tmp_path: Path) -> None:
    path = saved(tmp_path / "p.jpg", photo(100, 80))
    for wanted in ((100, 80), (99, 10), (200, 300)):
        assert read_pixels(path, wanted=wanted).shape == (3, 100, 80)
    assert read_pixels(path, wanted=(25, 20)).shape == (3, 50, 40)


def test_content_counts_and_not_the_suffix(tmp_path: Path) -> None:
    path = tmp_path / "p.png"
    Image.fromarray(RAMP).save(path, "JPEG")
    assert read_pixels(path).shape == (3, 12, 20)


def reason(path: Path, **asked: object) -> str:
    with pytest.raises(Unreadable) as caught:
        read_pixels(path, **asked)
    assert caught.value.path == path and str(caught.value) == f"{shown(path)} {caught.value.reason}"
    return caught.value.reason


def test_every_way_to_be_no_picture_has_its_sentence(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "folder.png").mkdir()
    (tmp_path / "empty.png").touch()
    (tmp_path / "loop.png").symlink_to(tmp_path / "loop.png")
    (tmp_path / "text.png").write_text("not a picture")
    (tmp_path / "drawing.png").write_bytes(
        b"%!PS-Adobe-3.0 EPSF-3.0\n%%BoundingBox: 0 0 9 9\n"
    )  # Ghostscript is not asked
    os.mkfifo(tmp_path / "pipe.png")
    assert reason(tmp_path / "folder.png") == "is a folder, not a picture"
    assert reason(tmp_path / "empty.png") == "is empty"
    assert reason(tmp_path / "pipe.png") == "is not a file"
    assert reason(tmp_path / "gone.png") == "does not exist"
    assert "symbolic links" in reason(tmp_path / "loop.png")
    for name in ("text.png", "drawing.png"):
        assert reason(tmp_path / name) == "is not a picture that can be read (JPEG, PNG, WebP, TIFF, BMP, GIF)"
    cut = saved(tmp_path / "cut.jpg", photo(64, 64))
    cut.write_bytes(cut.read_bytes()[:-300])
    assert "truncated" in reason(cut)

    def forbidden(*_: object) -> None:
        raise PermissionError(13, "Permission denied")

    monkeypatch.setattr(Path, "open", forbidden)
    assert reason(cut) == "cannot be read: Permission denied"


def test_more_bands_than_pillow_reads_are_refused(tmp_path: Path) -> None:
    path = tmp_path / "p.tif"
    path.write_bytes(tiff(np.zeros((4, 4, 7), dtype=np.uint8)))
    assert "is not a picture that can be read" in reason(path)


def test_a_name_that_is_no_text_can_be_printed(tmp_path: Path) -> None:
    path = Path(os.fsdecode(os.fsencode(tmp_path) + b"/caf\xe9.png"))
    path.touch()
    with pytest.raises(Unreadable, match=r"caf\\udce9\.png is empty") as caught:
        read_pixels(path)
    str(caught.value).encode()


def test_the_error_travels_between_processes(tmp_path: Path) -> None:
    error = pickle.loads(pickle.dumps(Unreadable(tmp_path, "is empty")))
    assert isinstance(error, Unreadable) and (error.path, error.reason) == (tmp_path, "is empty")


@pytest.mark.parametrize(("asked", "message"), [({"channels": 0}, "data.channels=0"), ({"depth": 12}, "data.depth=12"),
                                                ({"background": "whit"}, "data.background=whit")])  # fmt: skip
def test_what_is_asked_wrongly_is_no_fault_of_the_file(tmp_path: Path, asked: dict[str, object], message: str) -> None:
    with pytest.raises(Mistake, match=message) as caught:
        read_pixels(tmp_path / "p.png", **asked)
    assert not isinstance(caught.value, Unreadable)


@pytest.mark.parametrize("name", bombs())
def test_bombs_are_refused_from_their_headers(tmp_path: Path, name: str) -> None:
    (tmp_path / name).write_bytes(bombs()[name])
    assert f"at most {MOST_PIXELS:,} are read" in reason(tmp_path / name)


def test_a_jpeg_of_endless_scans_is_refused(tmp_path: Path) -> None:
    path = saved(tmp_path / "p.jpg", photo(16, 16), progressive=True)
    whole = path.read_bytes()
    last = whole[whole.rindex(b"\xff\xda") : -2]
    path.write_bytes(whole[:-2] + last * MOST_SCANS + whole[-2:])
    assert "scans" in reason(path)


@pytest.mark.skipif(sys.platform != "linux", reason="limits of address space are Linux's")
def test_reading_keeps_to_the_memory_it_states(tmp_path: Path) -> None:
    """In a process that may take no more: the largest need of each format, and no bomb goes off."""
    side = 700
    rgba = photo(side, side)
    rgba.putalpha(200)
    for suffix in (".png", ".webp", ".tif"):
        saved(tmp_path / f"rgba{suffix}", rgba, **({"lossless": True, "method": 0} if suffix == ".webp" else {}))
    for suffix in (".jpg", ".bmp", ".gif"):
        saved(tmp_path / f"rgb{suffix}", rgba.convert("RGB"))
    saved(tmp_path / "progressive.jpg", rgba.convert("RGB"), progressive=True)
    (tmp_path / "deep.png").write_bytes(png(np.zeros((side, side, 4), dtype=np.uint16)))
    (tmp_path / "bombs").mkdir()
    for name, content in bombs().items():
        (tmp_path / "bombs" / name).write_bytes(content)
    code = f"""
import resource, sys
from pathlib import Path
from stylegan_lab.images.read import Unreadable, read_pixels
place, least = Path(sys.argv[1]), (8, 8)
def limit(more):
    now = int(Path("/proc/self/statm").read_text().split()[0]) * resource.getpagesize()
    resource.setrlimit(resource.RLIMIT_AS, (now + more, resource.RLIM_INFINITY))
for path in sorted((place / "bombs").iterdir()):
    limit(64 << 20)
    try:
        read_pixels(path)
    except Unreadable as error:
        assert "at most" in str(error), error
for path in sorted(place.glob("*.*")):
    for channels in (1, 3, 4) if path.name == "rgba.png" else (3,):
        for depth, most in {MOST_BYTES}.items():
            limit(most * {side * side} + (16 << 20))
            assert read_pixels(path, channels, depth).shape == (channels, {side}, {side})
print("kept")
"""
    done = subprocess.run([sys.executable, "-c", code, str(tmp_path)], capture_output=True, text=True, timeout=300)
    assert done.stdout == "kept\n", done.stderr


def test_read_picture_is_in_three_channels_from_minus_one_to_one(tmp_path: Path) -> None:
    buffer = io.BytesIO()
    Image.new("L", (4, 4), 255).save(buffer, "PNG")
    (tmp_path / "p.png").write_bytes(buffer.getvalue())
    assert torch.equal(read_picture(tmp_path / "p.png"), torch.ones(3, 4, 4))
