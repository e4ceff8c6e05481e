"""Fuzzing: any bytes are either read as a tensor of the documented type, or rejected with the one error."""

from io import BytesIO
from pathlib import Path

import numpy as np
import pytest
import torch
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from PIL import Image

from stylegan_lab.images.image_io import read_pixels
from stylegan_lab.images.open_image import UnreadableImageError, has_end
from tests.images.crafted_files import png, tiff
from tests.refusals import refused

LAWS = settings(
    deadline=None, derandomize=True, max_examples=60, database=None,
    suppress_health_check=[HealthCheck.function_scoped_fixture, HealthCheck.too_slow],
)  # fmt: skip
MODES = {"PNG": ["1", "L", "LA", "P", "RGB", "RGBA", "I;16"], "JPEG": ["L", "RGB", "CMYK"], "WEBP": ["RGB", "RGBA"],
         "TIFF": ["1", "L", "LA", "P", "RGB", "RGBA", "CMYK", "YCbCr", "LAB", "I;16", "I", "F"],
         "BMP": ["1", "L", "P", "RGB"], "GIF": ["L", "P", "RGB"]}  # fmt: skip
MAGIC = [b"\x89PNG\r\n\x1a\n", b"\xff\xd8\xff", b"GIF89a", b"BM", b"II*\0", b"MM\0*", b"RIFF\x40\0\0\0WEBPVP8X", b""]
Options = dict[str, object]
options = st.fixed_dictionaries(
    {"channels": st.sampled_from([1, 2, 3, 4]), "bit_depth": st.sampled_from([8, 16]),
     "background": st.sampled_from(["white", "#336699"]),
     "target_size": st.sampled_from([None, (5, 4), lambda h, w: (h // 3, w // 3)])}
)  # fmt: skip


@st.composite
def encoded_images(draw: st.DrawFn) -> bytes:
    kind = draw(st.sampled_from([*MODES, "crafted"]))
    height, width = draw(st.integers(1, 40)), draw(st.integers(1, 40))
    values = np.random.default_rng(draw(st.integers(0, 99))).integers(0, 65536, (height, width, 4)).astype(np.uint16)
    if kind == "crafted":
        return draw(st.sampled_from([png, tiff, lambda v: tiff(v, ">", True)]))(values[..., : draw(st.integers(3, 4))])
    mode = draw(st.sampled_from(MODES[kind]))
    if mode == "I;16":
        image = Image.fromarray(values[..., 0])
    elif mode in ("F", "I"):
        image = Image.fromarray(
            (values[..., 0] / 65535).astype(np.float32) if mode == "F" else values[..., 0].astype(np.int32)
        )
    elif mode == "LAB":
        image = Image.merge("LAB", Image.fromarray((values[..., :3] >> 8).astype(np.uint8)).split())
    else:
        image = Image.fromarray((values >> 8).astype(np.uint8)).convert(mode)
    exif = Image.Exif()
    exif[0x0112] = draw(st.integers(1, 8))
    save_options = {"progressive": draw(st.booleans())} if kind == "JPEG" else {}
    save_options |= (
        {"compression": draw(st.sampled_from([None, "tiff_lzw", "tiff_adobe_deflate"]))} if kind == "TIFF" else {}
    )
    save_options |= {"transparency": 3} if mode == "P" and kind in ("PNG", "GIF") and draw(st.booleans()) else {}
    file = BytesIO()
    image.save(file, kind, **save_options, **({"exif": exif} if kind not in ("BMP", "GIF") else {}))
    return file.getvalue()


def read(path: Path, content: bytes, options: Options) -> torch.Tensor | None:
    """Read the content; None if it is rejected."""
    path.write_bytes(content)
    try:
        pixels = read_pixels(path, **options)
    except UnreadableImageError:
        return None
    assert pixels.dtype == (torch.uint8 if options["bit_depth"] == 8 else torch.float32)
    assert pixels.shape[0] == options["channels"] and pixels.numel() > 0 and pixels.is_contiguous()
    if options["bit_depth"] == 16:
        assert pixels.isfinite().all() and pixels.min() >= -1 and pixels.max() <= 1
    return pixels


@LAWS
@given(encoded_images(), options)
def test_valid_images_are_read(tmp_path: Path, content: bytes, options: Options) -> None:
    pixels = read(tmp_path / "p", content, options)
    if options["channels"] == 2:  # the file has one page
        assert pixels is None
    else:
        assert pixels is not None
        if options["target_size"] is None:
            assert sorted(pixels.shape[1:]) == sorted(Image.open(BytesIO(content)).size)


@LAWS
@given(encoded_images(), options, st.data())
def test_damaged_images_are_read_or_rejected(
    tmp_path: Path, content: bytes, options: Options, data: st.DataObject
) -> None:
    damaged = bytearray(content[: data.draw(st.integers(0, len(content)))] if data.draw(st.booleans()) else content)
    for position in (
        data.draw(st.lists(st.integers(0, max(0, min(len(damaged), 200) - 1)), max_size=4)) if damaged else []
    ):
        damaged[position] ^= 1 << data.draw(st.integers(0, 7))
    read(tmp_path / "p", bytes(damaged), options)


@LAWS
@given(st.sampled_from(MAGIC), st.binary(max_size=200), options)
def test_any_bytes_are_read_or_rejected(tmp_path: Path, magic: bytes, rest: bytes, options: Options) -> None:
    read(tmp_path / "p", magic + rest, options)


def test_a_jpeg_has_its_end_after_its_last_scan(tmp_path: Path) -> None:
    def jpeg(side: int) -> bytes:
        file = BytesIO()
        Image.effect_noise((side, side), 60).save(file, "JPEG")
        return file.getvalue()

    whole, thumbnail = jpeg(64), jpeg(8)
    with_thumbnail = whole[:2] + b"\xff\xe1" + (len(thumbnail) + 2).to_bytes(2, "big") + thumbnail + whole[2:]
    path = tmp_path / "p"
    for contents, expected in (
        (whole, True),
        (whole + bytes(5000), True),
        (whole[:-2], False),
        (with_thumbnail, True),
        (with_thumbnail[:-2], False),
    ):
        path.write_bytes(contents)
        assert has_end(path) == expected
    with refused("image.not_found", "gone"):
        has_end(tmp_path / "gone")


@pytest.mark.parametrize("length", range(0, 400, 23))
def test_a_truncated_file_is_rejected(tmp_path: Path, length: int) -> None:
    file = BytesIO()
    Image.effect_noise((32, 32), 60).save(file, "PNG")
    assert (
        read(tmp_path / "p", file.getvalue()[:length], {"channels": 3, "bit_depth": 8, "background": "white"}) is None
    )
