"""Reads videos one frame at a time, upright, through PyAV. A truncated file is refused before it is decoded."""

from collections.abc import Callable, Iterator, Sequence
from contextlib import ExitStack
from dataclasses import dataclass
from fractions import Fraction
from functools import partial
from importlib import import_module
from pathlib import Path
from typing import Any, BinaryIO

import torch
from PIL import Image
from torch import Tensor

from stylegan_lab.errors import UserError
from stylegan_lab.images.open_image import display_name, has_end, limit_text, pixel_limit

VIDEO_SUFFIXES = frozenset({".mp4", ".mov", ".mkv", ".webm", ".gif"})
DEMUXERS = "mov,mp4,m4a,3gp,3g2,mj2,matroska,webm,gif"  # no playlists, which would read other files
ACCURATE = 0x4 | 0x2000 | 0x40000  # FFmpeg's flags bicubic, full_chroma_int and accurate_rnd
EBML, MATROSKA_SEGMENT = b"\x1a\x45\xdf\xa3", b"\x18\x53\x80\x67"
MP4_CONTENTS = (b"moov", b"mdat", b"moof")


class UnreadableVideoError(UserError):
    """A video cannot be used; the message gives the reason."""

    def __init__(self, path: Path, reason: str, code: str = "video.unreadable") -> None:
        super().__init__(code, f"{display_name(path)} {reason}")


def import_av(path: Path) -> Any:
    try:
        return import_module("av")
    except ImportError:
        raise UnreadableVideoError(
            path, "is a video, which needs PyAV: pip install 'stylegan_lab[video]'", "video.package_missing"
        ) from None


def converter(av: Any) -> Callable[..., Any]:
    """Return a function that converts frames between pixel formats. FFmpeg's faster default is inexact by 1 level of 255."""
    return partial(av.video.reformatter.VideoReformatter().reformat, interpolation=ACCURATE)


def is_video(path: Path) -> bool:
    """Return whether the suffix of a file is that of a video. A GIF is a video if it has several frames."""
    suffix = path.suffix.lower()
    return _is_animated(path) if suffix == ".gif" else suffix in VIDEO_SUFFIXES


def _is_animated(path: Path) -> bool:
    try:
        with Image.open(path, formats=["GIF"]) as image:
            return bool(getattr(image, "is_animated", False))
    except Exception:  # decoders raise many kinds of errors; it is reported where the file is read as an image
        return False


@dataclass(frozen=True)
class Frame:
    """One frame of a video: colors (3, H, W) and alpha (1, H, W), both uint8, and the frame's time and duration in units of the
    video's time base.

    The duration is 0 if the file does not give it. `pixel_aspect` is the width of a pixel divided by its height.
    """

    colors: Tensor
    alpha: Tensor | None
    time: int
    duration: int
    pixel_aspect: Fraction | None = None


class VideoReader:
    """Reads the frames of a video one at a time."""

    def __init__(self, path: Path) -> None:
        self.path, self.av = path, import_av(path)
        check_complete(path)
        with ExitStack() as opened:
            self.container = opened.enter_context(self._open())
            self.stream = self.container.streams.best("video")
            if self.stream is None:
                raise UnreadableVideoError(path, "has no video stream that can be read", "video.no_video_stream")
            width, height = self.stream.width, self.stream.height
            if width * height > pixel_limit():
                raise UnreadableVideoError(
                    path, f"has {width}x{height} pixels; {limit_text(pixel_limit())}", "video.too_many_pixels"
                )
            opened.pop_all()  # closed by `__exit__`
        self.stream.thread_type = "AUTO"
        self.time_base: Fraction = self.stream.time_base
        self.rate: Fraction = self.stream.average_rate or Fraction(25)

    def __enter__(self) -> "VideoReader":
        return self

    def __exit__(self, *_: object) -> None:
        self.container.close()

    @property
    def num_frames(self) -> int | None:
        """The number of frames: read from the header, or else estimated from the duration. None if the file has neither."""
        if self.stream.frames or self.container.duration is None:
            return self.stream.frames or None
        return round(Fraction(self.container.duration, self.av.time_base) * self.rate)

    @property
    def loops(self) -> int:
        """The loop count of a GIF: 0 means that it repeats forever, -1 that it plays once."""
        if self.container.format.name != "gif":
            return 0
        with Image.open(self.path, formats=["GIF"]) as image:
            return int(image.info.get("loop", -1))

    def frames(self) -> Iterator[Frame]:
        """Yield all frames with their times. Times that are missing or do not increase are replaced."""
        convert = converter(self.av)
        size, last = (self.stream.width, self.stream.height), None
        for packet in self.packets([self.stream]):
            for decoded in self.decode(packet):
                if (decoded.width, decoded.height) != size:
                    raise UnreadableVideoError(
                        self.path,
                        f"has frames that differ in size from the first ({size[0]}x{size[1]} pixels); convert it to one size",
                        "video.size_changes",
                    )
                time = decoded.pts
                if last is not None and (time is None or time <= last.time):
                    time = last.time + max(1, last.duration)
                last = self._frame(decoded, convert, time or 0)
                yield last

    def packets(self, streams: Sequence[Any]) -> Iterator[Any]:
        try:
            yield from self.container.demux(streams)
        except self.av.FFmpegError as error:
            raise UnreadableVideoError(self.path, f"cannot be read: {error.strerror}") from None

    def decode(self, packet: Any) -> list[Any]:
        try:
            decoded: list[Any] = packet.decode()
        except self.av.FFmpegError as error:
            raise UnreadableVideoError(self.path, f"cannot be decoded: {error.strerror}") from None
        return decoded

    def _frame(self, decoded: Any, convert: Callable[..., Any], time: int) -> Frame:
        has_alpha = any(component.is_alpha for component in decoded.format.components) or decoded.format.has_palette
        pixels = convert(decoded, format="rgba" if has_alpha else "rgb24").to_ndarray()
        channels = torch.from_numpy(pixels.transpose(2, 0, 1))
        quarters, aspect = round(decoded.rotation / 90), self.stream.sample_aspect_ratio
        upright = torch.rot90(channels, quarters, (1, 2)).contiguous()
        aspect = 1 / aspect if aspect and quarters % 2 else aspect
        return Frame(upright[:3], upright[3:] if has_alpha else None, time, decoded.duration, aspect or None)

    def _open(self) -> Any:
        try:
            return self.av.open(f"file:{self.path}", container_options={"format_whitelist": DEMUXERS})
        except self.av.FFmpegError as error:
            reason = f"is not a video that can be read ({', '.join(sorted(VIDEO_SUFFIXES))}): {error.strerror}"
            raise UnreadableVideoError(self.path, reason, "video.unknown_format") from None


def check_complete(path: Path) -> None:
    """Refuse a file that is shorter than its container says. FFmpeg would decode such a file up to its end without an error."""
    try:
        with path.open("rb") as file:
            head = file.read(12)
            file.seek(0)
            if head[4:8] in (b"ftyp", *MP4_CONTENTS):
                expected = _mp4_length(file, path.stat().st_size)
            elif head[:4] == EBML:
                expected = _matroska_length(file)
            else:
                expected = None
            if expected is not None and expected > path.stat().st_size:
                raise UnreadableVideoError(
                    path, f"is cut off: it has {path.stat().st_size:,} of {expected:,} bytes", "video.truncated"
                )
            if head[:4] == b"GIF8" and not has_end(path):
                raise UnreadableVideoError(path, "is cut off: its end is missing", "video.truncated")
    except FileNotFoundError:
        raise UnreadableVideoError(path, "does not exist", "video.not_found") from None
    except OSError as error:
        raise UnreadableVideoError(path, f"cannot be read: {error.strerror}") from None


def _mp4_length(file: BinaryIO, size: int) -> int | None:
    """The end of the last box that holds a part of the video. MP4 and MOV files are a sequence of boxes."""
    position, end = 0, None
    while position < size:
        file.seek(position)
        length, kind = int.from_bytes(file.read(4), "big"), file.read(4)
        if length == 1:
            length = int.from_bytes(file.read(8), "big")
        if length < 8:  # 0: up to the end of the file
            break
        position += length
        if kind in MP4_CONTENTS:
            end = position
    return end


def _matroska_length(file: BinaryIO) -> int | None:
    """The end of the segment, which is what a Matroska or WebM file has after its header. Live recordings do not know it."""
    end = 0
    for expected in (EBML, MATROSKA_SEGMENT):
        if file.read(4) != expected:
            return None
        first = file.read(1)[0:1] or b"\0"
        more = 8 - first[0].bit_length()  # as many bytes follow as there are leading zero bits
        data = bytes([first[0] & (0x7F >> more)]) + file.read(more) if more < 8 else b""
        length = int.from_bytes(data, "big")
        if more == 8 or length == (1 << 7 * (more + 1)) - 1:
            return None
        end = file.tell() + length
        file.seek(end)
    return end
