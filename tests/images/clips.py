"""Small videos for tests, written with PyAV alone."""

from collections.abc import Sequence
from fractions import Fraction
from itertools import pairwise
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image

av = pytest.importorskip("av")

CODECS = {
    ".mp4": ("libx264", "aac"),
    ".mov": ("libx264", "aac"),
    ".mkv": ("libx264", "aac"),
    ".webm": ("libvpx-vp9", "libopus"),
}
TIME_BASE = Fraction(1, 90_000)


def colors(count: int, height: int = 24, width: int = 32) -> list[Any]:
    """Frames (H, W, 3) of smooth colors that change."""
    rows, columns = np.mgrid[0:height, 0:width]
    return [
        np.stack([rows * 255 / height, columns * 255 / width, np.full_like(rows, 20 + 8 * index)], axis=-1).astype(
            np.uint8
        )
        for index in range(count)
    ]


def write_clip(
    path: Path, frames: Sequence[Any], times: Sequence[float] = (), sound: bool = False, rotation: int = 0,
    pixels: str = "yuv420p", tags: dict[str, int] | None = None,
) -> Path:  # fmt: skip
    """Write frames at their times in seconds, or at 10 frames per second. The last is as long as the one before."""
    times = times or [index / 10 for index in range(len(frames))]
    ticks = [round(time / TIME_BASE) for time in times]
    lengths = [later - earlier for earlier, later in pairwise(ticks)]
    video_codec, audio_codec = CODECS[path.suffix]
    with av.open(str(path), "w") as container:
        height, width = frames[0].shape[:2]
        video = container.add_stream(
            video_codec, 10, {"crf": "10"}, width=width, height=height, pix_fmt=pixels, time_base=TIME_BASE
        )
        video.codec_context.flags |= av.codec.context.Flags.frame_duration
        for name, value in (tags or {}).items():
            setattr(video.codec_context, name, value)
        if rotation:
            video.set_display_rotation(rotation)
        audio = container.add_stream(audio_codec, 48000, layout="mono") if sound else None
        for frame, time, length in zip(frames, ticks, [*lengths, lengths[-1]], strict=True):
            image = av.VideoFrame.from_ndarray(frame, format="rgb24")
            image = image.reformat(
                format=pixels,
                dst_colorspace=video.codec_context.colorspace,
                dst_color_range=video.codec_context.color_range,
            )
            image.pts, image.duration, image.time_base = time, length, TIME_BASE
            container.mux(video.encode(image))
        container.mux(video.encode(None))
        if audio is not None:
            container.mux(audio.encode(tone(times[-1])))
            container.mux(audio.encode(None))
    return path


def tone(seconds: float) -> Any:
    samples = 0.3 * np.sin(np.arange(int(48000 * seconds)) * 0.06)[None].astype(np.float32)
    frame = av.AudioFrame.from_ndarray(samples, format="fltp", layout="mono")
    frame.sample_rate, frame.pts, frame.time_base = 48000, 0, Fraction(1, 48000)
    return frame


def write_gif(path: Path, durations: list[int], loop: int | None, transparent: bool = False) -> Path:
    images = []
    for index, _ in enumerate(durations):
        image = Image.new("RGBA", (17, 13), (250, 40 * index, 30, 255))
        if transparent:
            image.paste((0, 0, 0, 0), (0, 0, 5, 5))
        images.append(image)
    repeats = {} if loop is None else {"loop": loop}
    images[0].save(path, save_all=True, append_images=images[1:], duration=durations, disposal=2, **repeats)
    return path


def read_times(path: Path) -> list[tuple[Fraction, Fraction]]:
    """The time and the duration of each frame, in seconds."""
    with av.open(str(path)) as container:
        return [(each.pts * each.time_base, each.duration * each.time_base) for each in container.decode(video=0)]


def read_colors(path: Path) -> list[Any]:
    with av.open(str(path)) as container:
        return [each.to_ndarray(format="rgb24") for each in container.decode(video=0)]


def sound_packets(path: Path) -> list[tuple[float, bytes]]:
    with av.open(str(path)) as container:
        if not container.streams.audio:
            return []
        packets = list(container.demux(container.streams.audio[0]))
        return [(float(each.pts * each.time_base), bytes(each)) for each in packets if each.size]
