"""Any bytes at all: a tensor of the promised kind, or the one error."""

from io import BytesIO
from pathlib import Path

import numpy as np
import pytest
import torch
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from PIL import Image

from stylegan_lab.images.read import Unreadable, read_pixels
from tests.images.by_hand import png, tiff

LAWS = settings(
    deadline=None, derandomize=True, max_examples=60, database=None,
    suppress_health_check=[HealthCheck.function_scoped_fixture, HealthCheck.too_slow],
)  # fmt: skip
MODES = {"PNG": ["1", "L", "LA", "P", "RGB", "RGBA", "I;16"], "JPEG": ["L", "RGB", "CMYK"], "WEBP": ["RGB", "RGBA"],
         "TIFF": ["1", "L", "LA", "P", "RGB", "RGBA", "CMYK", "YCbCr", "LAB", "I;16", "I", "F"],
         "BMP": ["1", "L", "P", "RGB"], "GIF": ["L", "P", "RGB"]}  # fmt: skip
MAGIC = [b"\x89PNG\r\n\x1a\n", b"\xff\xd8\xff", b"GIF89a", b"BM", b"II*\0", b"MM\0*", b"RIFF\x40\0\0\0WEBPVP8X", b""]
Asked = dict[str, object]
asked = st.fixed_dictionaries(
    {"channels": st.sampled_from([1, 2, 3, 4]), "depth": st.sampled_from([8, 16]),
     "background": st.sampled_from(["white", "#336699"]), "wanted": st.sampled_from([None, (5, 4), lambda h, w: (h // 3, w // 3)])}
)  # fmt: skip


@st.composite
def pictures(draw: st.DrawFn) -> bytes:
    kind = draw(st.sampled_from([*MODES, "by hand"]))
    height, width = draw(st.integers(1, 40)), draw(st.integers(1, 40))
    values = np.random.default_rng(draw(st.integers(0, 99))).integers(0, 65536, (height, width, 4)).astype(np.uint16)
    if kind == "by hand":
        return draw(st.sampled_from([png, tiff, lambda v: tiff(v, ">", True)]))(values[..., : draw(st.integers(3, 4))])
    mode = draw(st.sampled_from(MODES[kind]))
    if mode == "I;16":
        picture = Image.fromarray(values[..., 0])
    elif mode in ("F", "I"):
        picture = Image.fromarray(
            (values[..., 0] / 65535).astype(np.float32) if mode == "F" else values[..., 0].astype(np.int32)
        )
    elif mode == "LAB":
        picture = Image.merge("LAB", Image.fromarray((values[..., :3] >> 8).astype(np.uint8)).split())
    else:
        picture = Image.fromarray((values >> 8).astype(np.uint8)).convert(mode)
    exif = Image.Exif()
    exif[0x0112] = draw(st.integers(1, 8))
    options = {"progressive": draw(st.booleans())} if kind == "JPEG" else {}
    options |= (
        {"compression": draw(st.sampled_from([None, "tiff_lzw", "tiff_adobe_deflate"]))} if kind == "TIFF" else {}
    )
    options |= {"transparency": 3} if mode == "P" and kind in ("PNG", "GIF") and draw(st.booleans()) else {}
    file = BytesIO()
    picture.save(file, kind, **options, **({"exif": exif} if kind not in ("BMP", "GIF") else {}))
    return file.getvalue()


def read(path: Path, content: bytes, asked: Asked) -> torch.Tensor | None:
    """None: refused."""
    path.write_bytes(content)
    try:
        pixels = read_pixels(path, **asked)
    except Unreadable:
        return None
    assert pixels.dtype == (torch.uint8 if asked["depth"] == 8 else torch.float32)
    assert pixels.shape[0] == asked["channels"] and pixels.numel() > 0 and pixels.is_contiguous()
    if asked["depth"] == 16:
        assert pixels.isfinite().all() and pixels.min() >= -1 and pixels.max() <= 1
    return pixels


@LAWS
@given(pictures(), asked)
def test_good_pictures_are_read(tmp_path: Path, content: bytes, asked: Asked) -> None:
    pixels = read(tmp_path / "p", content, asked)
    if asked["channels"] == 2:  # of a file with one page
        assert pixels is None
    else:
        assert pixels is not None
        if asked["wanted"] is None:
            assert sorted(pixels.shape[1:]) == sorted(Image.open(BytesIO(content)).size)


@LAWS
@given(pictures(), asked, st.data())
def test_damaged_pictures_are_read_or_refused(
    tmp_path: Path, content: bytes, asked: Asked, data: st.DataObject
) -> None:
    damaged = bytearray(content[: data.draw(st.integers(0, len(content)))] if data.draw(st.booleans()) else content)
    for place in data.draw(st.lists(st.integers(0, max(0, min(len(damaged), 200) - 1)), max_size=4)) if damaged else []:
        damaged[place] ^= 1 << data.draw(st.integers(0, 7))
    read(tmp_path / "p", bytes(damaged), asked)


@LAWS
@given(st.sampled_from(MAGIC), st.binary(max_size=200), asked)
def test_any_bytes_are_read_or_refused(tmp_path: Path, magic: bytes, rest: bytes, asked: Asked) -> None:
    read(tmp_path / "p", magic + rest, asked)


@pytest.mark.parametrize("length", range(0, 400, 23))
def test_a_file_cut_anywhere_is_refused(tmp_path: Path, length: int) -> None:
    file = BytesIO()
    Image.effect_noise((32, 32), 60).save(file, "PNG")
    assert read(tmp_path / "p", file.getvalue()[:length], {"channels": 3, "depth": 8, "background": "white"}) is None
