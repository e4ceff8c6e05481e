"""Applies a transform to the frames of a video in batches, and writes videos from images."""

from collections.abc import Callable, Iterable, Iterator
from dataclasses import replace
from fractions import Fraction
from pathlib import Path

import torch
from torch import Tensor

from stylegan_lab.images.image_io import to_pil
from stylegan_lab.images.photograph import resize_alpha
from stylegan_lab.images.value_range import to_bytes
from stylegan_lab.images.video_reader import Frame, VideoReader
from stylegan_lab.images.video_writer import open_writer


def transform_video(
    reader: VideoReader, target: Path, transform: Callable[[Tensor], Tensor], max_frames: int, max_pixels: int
) -> list[str]:
    """Apply `transform` to all frames, in batches (N, 3, H, W) of uint8, and write them with the sound and the times of the source.

    The target file appears only when it is complete. Memory use does not depend on the length of the video. Returns notes for the
    user, such as on sound that had to be left out.

    Args:
        max_frames, max_pixels: Limits on the frames and the pixels of a batch. A batch of one frame may have more pixels.
    """
    with open_writer(target, reader.rate, reader.time_base, reader) as writer:
        for batch in _batches(reader.frames(), max_frames, max_pixels):
            transformed = transform(torch.stack([frame.colors for frame in batch]))
            for frame, colors in zip(batch, transformed, strict=True):
                alpha = None if frame.alpha is None else resize_alpha(frame.alpha, colors)
                writer.write(replace(frame, colors=colors, alpha=alpha))
    return list(dict.fromkeys(writer.notes))


def _batches(frames: Iterable[Frame], max_frames: int, max_pixels: int) -> Iterator[list[Frame]]:
    batch: list[Frame] = []
    for frame in frames:
        batch.append(frame)
        if len(batch) == max_frames or (len(batch) + 1) * frame.colors[0].numel() > max_pixels:
            yield batch
            batch = []
    if batch:
        yield batch


def write_video(frames: Iterable[Tensor], path: Path, fps: int) -> Path:
    """Write frames (C, H, W) in [-1, 1] in the format of the suffix. A .gif plays in a loop, and can be written without PyAV."""
    if path.suffix.lower() == ".gif":
        return _write_gif(frames, path, fps)
    with open_writer(path, Fraction(fps), 1 / Fraction(fps)) as writer:
        for index, frame in enumerate(frames):
            writer.write(Frame(to_bytes(frame.detach().cpu()).expand(3, -1, -1), None, index, 1))
    return path


def _write_gif(frames: Iterable[Tensor], path: Path, fps: int) -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    first, *rest = [to_pil(frame) for frame in frames]
    partial = path.with_name(f".{path.name}.gif")
    first.save(partial, save_all=True, append_images=rest, duration=1000 // fps, loop=0)
    partial.replace(path)
    return path
