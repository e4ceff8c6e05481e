"""Image files that Pillow can read but not write: 16 bits per channel, and headers that claim far too many pixels."""

import struct
import zlib

import numpy as np

PNG_COLOR_TYPES = {1: 0, 2: 4, 3: 2, 4: 6}  # by number of channels


def png(values: np.ndarray) -> bytes:
    """Encode uint16 (H, W, C)."""
    height, width, channels = values.shape
    rows = b"".join(b"\0" + row.astype(">u2").tobytes() for row in values)
    return png_of(width, height, 16, PNG_COLOR_TYPES[channels], rows)


def png_of(width: int, height: int, bits: int, color_type: int, rows: bytes = b"\0" * 64) -> bytes:
    head = struct.pack(">IIBBBBB", width, height, bits, color_type, 0, 0, 0)
    chunks = [(b"IHDR", head), (b"IDAT", zlib.compress(rows)), (b"IEND", b"")]
    encoded = [
        struct.pack(">I", len(data)) + name + data + struct.pack(">I", zlib.crc32(name + data)) for name, data in chunks
    ]
    return b"\x89PNG\r\n\x1a\n" + b"".join(encoded)


def tiff(values: np.ndarray, order: str = "<", compressed: bool = False, claims: dict[int, int] | None = None) -> bytes:
    """Encode (H, W, C) as one strip. `claims` overwrites tags with false values."""
    height, width, channels = values.shape
    data = values.astype(values.dtype.newbyteorder(order)).tobytes()
    data = zlib.compress(data) if compressed else data
    bits = 8 * values.itemsize
    tags: dict[int, list[int]] = {256: [width], 257: [height], 258: [bits] * channels, 259: [8 if compressed else 1],
        262: [2 if channels > 2 else 1], 273: [0], 277: [channels], 278: [height], 279: [len(data)]}  # fmt: skip
    if channels > 3:
        tags[338] = [2] + [0] * (channels - 4)  # extra channels: alpha, then unspecified
    tags |= {tag: [value] for tag, value in (claims or {}).items()}
    long_tags = {256, 257, 273, 278, 279, 322, 323}
    start = 8 + 2 + 12 * len(tags) + 4
    overflow = b""
    entries = []
    for tag, numbers in sorted(tags.items()):
        form = order + ("I" if tag in long_tags else "H") * len(numbers)
        if tag == 273:
            numbers = [start + 2 * channels * sum(len(each) * 2 > 4 for each in tags.values() if len(each) > 2)]
        content = struct.pack(form, *numbers)
        if len(content) > 4:
            value, overflow = struct.pack(order + "I", start + len(overflow)), overflow + content
        else:
            value = content.ljust(4, b"\0")
        entries.append(struct.pack(order + "HHI", tag, 4 if tag in long_tags else 3, len(numbers)) + value)
    magic = b"II*\0" if order == "<" else b"MM\0*"
    head = magic + struct.pack(order + "IH", 8, len(entries)) + b"".join(entries) + b"\0" * 4 + overflow
    return head.ljust(start + len(overflow), b"\0") + data


def bombs() -> dict[str, bytes]:
    """Small files whose headers claim at least 60000 x 60000 pixels."""
    side = 60000
    small = np.zeros((4, 4, 3), dtype=np.uint8)
    canvas = (side - 1).to_bytes(3, "little") * 2
    return {
        "a.png": png_of(side, side, 8, 2),
        "a.gif": b"GIF89a" + struct.pack("<HHBBB", side, side, 0, 0, 0) + b"," + struct.pack("<HHHHB", 0, 0, side, side, 0)
        + b"\x02\x02\x4c\x01\x00;",
        "frame.gif": b"GIF89a" + struct.pack("<HHBBB", 4, 4, 0, 0, 0) + b"," + struct.pack("<HHHHB", 0, 0, side, side, 0)
        + b"\x02\x02\x4c\x01\x00;",
        "a.bmp": b"BM" + struct.pack("<IHHI", 54, 0, 0, 54) + struct.pack("<IiiHHIIiiII", 40, side, side, 1, 24, 0, 0, 1, 1, 0, 0),
        "a.tif": tiff(small, claims={256: side, 257: side}),
        "tiles.tif": tiff(small, compressed=True, claims={322: side, 323: side}),
        "a.webp": b"RIFF" + struct.pack("<I", 48) + b"WEBPVP8X" + struct.pack("<I", 10) + b"\0" * 4 + canvas + b"\0" * 32,
        "lossless.webp": b"RIFF" + struct.pack("<I", 48) + b"WEBPVP8L" + struct.pack("<IBI", 36, 0x2F, 0x0FFFFFFF) + b"\0" * 40,
        "a.jpg": b"\xff\xd8\xff\xc0\0\x11\x08" + struct.pack(">HH", side, side) + b"\3\1\x11\0\2\x11\0\3\x11\0"
        + b"\xff\xda\0\x0c\3\1\0\2\0\3\0\0\x3f\0\xff\xd9",
    }  # fmt: skip
