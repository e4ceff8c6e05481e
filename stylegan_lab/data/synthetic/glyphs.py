"""Procedural handwritten digits: strokes, handwriting styles, rendering, and the data module. Each writer occurs in one split
only."""

from collections.abc import Sequence
from dataclasses import KW_ONLY, dataclass
from functools import lru_cache, partial
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor
from torch.utils.data import Dataset

from stylegan_lab.data.datamodule import check_classes
from stylegan_lab.data.sampler import LambdaDataset, SampleKey, sample_index
from stylegan_lab.data.synthetic.generated import GeneratedDataModule
from stylegan_lab.data.synthetic.scenes.noise import Array, random_stream
from stylegan_lab.errors import UserError
from stylegan_lab.images.batch import LabelledBatch

Stroke = tuple[tuple[float, float], ...]
Shape = tuple[Stroke, ...]
_FLAG: Stroke = ((0.2, 0.27), (0.36, 0.17), (0.56, 0.0))
_STEM: Stroke = ((0.56, 0.0), (0.55, 0.5), (0.54, 1.0))
_BELLY: Stroke = ((0.14, 0.42), (0.5, 0.34), (0.9, 0.5), (0.88, 0.85), (0.5, 1.0), (0.05, 0.92))
_LOWER_BOW: Stroke = ((0.42, 0.46), (0.8, 0.52), (0.95, 0.77), (0.6, 1.0), (0.2, 0.98), (0.03, 0.85))
_LOOP: Stroke = ((0.88, 0.2), (0.6, 0.0), (0.2, 0.08), (0.06, 0.33), (0.3, 0.53), (0.7, 0.47), (0.9, 0.18))
_ROOF: Stroke = ((0.05, 0.05), (0.5, 0.03), (0.95, 0.02))
_SLOPE: Stroke = ((0.95, 0.02), (0.65, 0.45), (0.4, 1.0))

SHAPES: tuple[tuple[Shape, ...], ...] = (
    (  # 0: an oval; one with a curl where it closes
        (((0.6, 0.02), (0.25, 0.1), (0.03, 0.45), (0.15, 0.85), (0.5, 1.0), (0.85, 0.85), (0.97, 0.5), (0.8, 0.1), (0.5, 0.01)),),
        (((0.75, 0.14), (0.45, 0.0), (0.12, 0.2), (0.02, 0.55), (0.2, 0.92), (0.55, 1.0), (0.9, 0.8), (0.98, 0.4), (0.75, 0.08),
          (0.42, 0.08)),),
    ),
    (  # 1: a stem; with a flag; with a flag and a foot
        (((0.52, 0.0), (0.5, 0.5), (0.5, 1.0)),),
        (_FLAG, _STEM),
        (_FLAG, _STEM, ((0.2, 1.0), (0.88, 0.99))),
    ),
    (  # 2: sharp at its foot; with a loop there
        (((0.08, 0.25), (0.25, 0.04), (0.6, 0.0), (0.88, 0.2), (0.75, 0.5), (0.4, 0.78), (0.05, 1.0)),
         ((0.05, 1.0), (0.5, 0.97), (0.97, 1.0))),
        (((0.08, 0.22), (0.3, 0.02), (0.7, 0.03), (0.88, 0.28), (0.65, 0.6), (0.3, 0.9), (0.1, 0.97), (0.08, 0.85), (0.25, 0.82),
          (0.55, 0.96), (0.97, 0.94)),),
    ),
    (  # 3: two bows; a flat roof; a loop at the waist
        (((0.1, 0.12), (0.45, 0.0), (0.85, 0.15), (0.75, 0.38), (0.42, 0.46)), _LOWER_BOW),
        (((0.1, 0.02), (0.9, 0.02)), ((0.9, 0.02), (0.42, 0.44)), _LOWER_BOW),
        (((0.12, 0.12), (0.48, 0.0), (0.85, 0.16), (0.68, 0.42), (0.38, 0.5), (0.37, 0.43), (0.55, 0.45), (0.93, 0.67), (0.8, 0.95),
          (0.4, 1.0), (0.05, 0.86)),),
    ),
    (  # 4: open; closed; open and round
        (((0.22, 0.03), (0.12, 0.35), (0.04, 0.62)), ((0.04, 0.62), (0.5, 0.6), (1.0, 0.58)),
         ((0.72, 0.1), (0.7, 0.5), (0.68, 1.0))),
        (((0.7, 0.0), (0.36, 0.35), (0.02, 0.68)), ((0.02, 0.68), (0.5, 0.67), (1.0, 0.66)), ((0.7, 0.0), (0.7, 0.5), (0.7, 1.0))),
        (((0.15, 0.02), (0.07, 0.35), (0.17, 0.55), (0.5, 0.56), (0.85, 0.45)), ((0.85, 0.02), (0.83, 0.5), (0.8, 1.0))),
    ),
    (  # 5: a roof set on; in one go
        (((0.85, 0.02), (0.5, 0.01), (0.2, 0.02)), ((0.2, 0.02), (0.17, 0.2), (0.14, 0.42)), _BELLY),
        (((0.88, 0.03), (0.45, 0.02), (0.2, 0.12), (0.18, 0.36), (0.55, 0.4), (0.9, 0.6), (0.8, 0.92), (0.4, 1.0), (0.05, 0.9)),),
    ),
    (  # 6: bent; with a straight back
        (((0.75, 0.02), (0.38, 0.2), (0.1, 0.55), (0.12, 0.86), (0.45, 1.0), (0.83, 0.9), (0.88, 0.64), (0.55, 0.5), (0.22, 0.6),
          (0.1, 0.78)),),
        (((0.6, 0.0), (0.27, 0.35), (0.05, 0.7), (0.2, 0.96), (0.6, 1.0), (0.93, 0.8), (0.75, 0.56), (0.4, 0.56), (0.1, 0.8)),),
    ),
    (  # 7: plain; with a bar; with a serif and bent
        (_ROOF, _SLOPE),
        (_ROOF, _SLOPE, ((0.32, 0.52), (0.88, 0.49))),
        (((0.06, 0.2), (0.07, 0.04)), ((0.07, 0.04), (0.5, 0.05), (0.95, 0.03)),
         ((0.95, 0.03), (0.6, 0.4), (0.45, 0.7), (0.42, 1.0))),
    ),
    (  # 8: in one go; a ring on a ring
        (((0.8, 0.12), (0.5, 0.0), (0.15, 0.15), (0.25, 0.38), (0.55, 0.5), (0.9, 0.7), (0.8, 0.95), (0.45, 1.0), (0.08, 0.85),
          (0.2, 0.6), (0.6, 0.42), (0.86, 0.22), (0.75, 0.05)),),
        (((0.5, 0.0), (0.2, 0.1), (0.22, 0.38), (0.5, 0.47), (0.78, 0.38), (0.8, 0.1), (0.52, 0.0)),
         ((0.5, 0.47), (0.1, 0.6), (0.08, 0.88), (0.5, 1.0), (0.92, 0.88), (0.9, 0.6), (0.52, 0.47))),
    ),
    (  # 9: on a straight leg; on a hook
        (_LOOP, ((0.9, 0.18), (0.86, 0.6), (0.76, 1.0))),
        (_LOOP, ((0.9, 0.15), (0.92, 0.55), (0.72, 0.93), (0.38, 1.0), (0.12, 0.92))),
    ),
)  # fmt: skip


@dataclass(frozen=True)
class Handwriting:
    """The properties that all glyphs of one writer share."""

    slant: float  # how far the top leans right, in heights
    width: float  # of a digit, in heights
    waist: float  # how far the middle of a digit is moved up, in heights
    top_width: float  # how much wider the top is than the foot
    roundness: float  # 0: straight lines, 1: cardinal splines
    pen: tuple[float, float]  # half the width and height of the pen, in image sizes
    taper: float  # how much thinner a stroke is at its end
    ink: float  # brightness of the stroke
    jitter: float  # how far points move between glyphs, in boxes
    shapes: tuple[Shape, ...]  # of each digit
    offsets: tuple[Array, ...]  # of the points of each digit, relative to its shape


def handwriting(seed: int, writer: int) -> Handwriting:
    """Return the handwriting of a writer, which depends only on the seed and the number of the writer."""
    random = random_stream(seed, writer, 10)
    u = random.uniform
    pen = u(0.028, 0.06)
    shapes = tuple(variants[random.randint(len(variants))] for variants in SHAPES)
    return Handwriting(
        slant=u(-0.15, 0.45),
        width=u(0.5, 0.85),
        waist=u(-0.09, 0.09),
        top_width=u(-0.3, 0.3),
        roundness=u(0.7, 1.15),
        pen=(pen * u(0.75, 1.25), pen),
        taper=u(0.0, 0.35),
        ink=u(0.8, 1.0),
        jitter=u(0.02, 0.05),
        shapes=shapes,
        offsets=tuple(u(-0.08, 0.08, (sum(map(len, shape)), 2)) for shape in shapes),
    )


DIGITS = len(SHAPES)
GLYPHS_PER_WRITER = 2 * DIGITS  # each writer writes every digit twice
POINT_SPACING = 0.03  # between points of a stroke, in heights of a glyph
_cached_handwriting = lru_cache(maxsize=256)(handwriting)


def digit_glyph(index: int) -> int:
    return index % DIGITS


def draw_glyph(seed: int, index: int, size: int) -> NDArray[np.uint8]:
    """Render glyph `index` as an image (size, size), bright on dark. The image depends only on the seed and the index."""
    writer, number = _cached_handwriting(seed, index // GLYPHS_PER_WRITER), digit_glyph(index)
    random = random_stream(seed, index, 11)
    shape = writer.shapes[number]
    line, thickness = _spline(shape, _jittered_points(shape, writer.offsets[number], writer.jitter, random), writer)
    return _rasterized(_transformed(line, writer, random), thickness, writer, size)


def _jittered_points(shape: Shape, offsets: Array, jitter: float, random: np.random.RandomState) -> Array:
    """The points of the shape with random offsets, also of entire strokes, so that strokes do not meet exactly."""
    stroke = np.repeat(np.arange(len(shape)), [len(each) for each in shape])
    stroke_shift = random.uniform(-jitter, jitter, (len(shape), 2))[stroke]
    return np.concatenate(shape) + offsets + stroke_shift + random.uniform(-jitter, jitter, offsets.shape)


def _spline(shape: Shape, points: Array, writer: Handwriting) -> tuple[Array, Array]:
    """Dense points along the strokes as cardinal splines, and the relative pen thickness at each point."""
    ends = np.cumsum([len(each) for each in shape])
    starts = ends - [len(each) for each in shape]
    begin = np.concatenate([np.arange(low, high - 1) for low, high in zip(starts, ends, strict=True)])
    first = np.repeat(starts, ends - starts - 1)
    last = np.repeat(ends - 1, ends - starts - 1)
    start, end = points[begin], points[begin + 1]
    start_tangent = (end - points[np.maximum(begin - 1, first)]) * (writer.roundness / 2)
    end_tangent = (points[np.minimum(begin + 2, last)] - start) * (writer.roundness / 2)
    across, down = (end - start).T
    num_points = np.ceil(np.sqrt(across * across + down * down) / POINT_SPACING).astype(np.intp) + 1
    segment = np.repeat(np.arange(len(begin)), num_points)
    position = np.arange(len(segment)) - np.repeat(np.cumsum(num_points) - num_points, num_points)
    t = position / np.repeat(num_points - 1, num_points)
    progress = (begin[segment] - first[segment] + t) / (last - first)[segment]
    t, s = t[:, None], 1 - t[:, None]
    line = (
        (1 + 2 * t) * s * s * start[segment]
        + t * s * s * start_tangent[segment]
        + t * t * (3 - 2 * t) * end[segment]
        - t * t * s * end_tangent[segment]
    )
    return line, 1 - writer.taper * progress


def _transformed(line: Array, writer: Handwriting, random: np.random.RandomState) -> Array:
    """From the unit box into the image: proportions, slant, size, rotation and position."""
    u = random.uniform
    across, down = line[:, 0] - 0.5, line[:, 1] - 0.5
    high = 0.25 - down * down
    across = across * (1 - writer.top_width * down) * writer.width * u(0.85, 1.15)
    down = down - writer.waist * 4 * high
    across = across - (writer.slant + u(-0.08, 0.08)) * down
    height, angle = u(0.6, 0.76), u(-0.08, 0.08)  # `angle` is the tangent of half the angle
    cosine, sine = (1 - angle * angle) / (1 + angle * angle), 2 * angle / (1 + angle * angle)
    x = 0.5 + u(-0.06, 0.06) + height * (cosine * across - sine * down)
    y = 0.5 + u(-0.06, 0.06) + height * (sine * across + cosine * down)
    return np.stack([x, y])


def _rasterized(line: Array, thickness: Array, writer: Handwriting, size: int) -> NDArray[np.uint8]:
    """The brightness of each pixel, from its distance to the nearest point of the line in units of the pen."""
    centers = (np.arange(size) + 0.5) / size
    wide, high = (max(half, 0.55 / size) * thickness[:, None] for half in writer.pen)  # a pen covers at least a pixel
    across = (((centers - line[0][:, None]) / wide) ** 2).astype(np.float32)
    down = (((centers - line[1][:, None]) / high) ** 2).astype(np.float32)
    distance = np.sqrt((down[:, :, None] + across[:, None, :]).min(axis=0))
    pen = np.float32(size * min(writer.pen))
    covered = np.clip(np.float32(0.5) + (1 - distance) * max(pen, np.float32(0.55)), 0, 1)
    return np.rint(covered * np.float32(255 * writer.ink)).astype(np.uint8)


CLASS_NAMES = [str(digit) for digit in range(DIGITS)]

# Splits are disjoint ranges of an endless sequence.
FIRST_INDEX = {"train": 0, "val": 1_000_000_000, "test": 2_000_000_000}


class GlyphImages:
    """Glyphs (H, W) by index. Each glyph is rendered once, when it is first read."""

    def __init__(self, size: int, seed: int) -> None:
        self.size, self.seed = size, seed
        self._rendered: dict[int, Tensor] = {}

    def __getitem__(self, index: int) -> Tensor:
        if index not in self._rendered:
            self._rendered[index] = torch.from_numpy(draw_glyph(self.seed, index, self.size))
        return self._rendered[index]


def _sample(glyphs: GlyphImages, digits: list[int], channels: int, first: int, key: SampleKey | int) -> LabelledBatch:
    """Starts at glyph `first` and cycles through `digits`."""
    cycle, label = divmod(sample_index(key), len(digits))
    glyph = glyphs[first + cycle * DIGITS + digits[label]]
    return {"image": glyph.expand(channels, -1, -1).contiguous(), "label": torch.tensor(label)}


@dataclass(eq=False, repr=False)
class GlyphsDataModule(GeneratedDataModule):
    """Handwritten digits with equal class frequencies. A label is the index of the digit in `classes`."""

    classes: Sequence[str] = tuple(CLASS_NAMES)
    _: KW_ONLY
    size: int = 32
    channels: int = 1
    batch_size: int = 64
    train_images: int = 10_000
    val_images: int = 500
    test_images: int = 1_000
    dataset_seed: int = 0

    batch_type = LabelledBatch

    def __post_init__(self) -> None:
        super().__post_init__()
        if not 16 <= self.size <= 64:
            raise UserError(
                "data.size_unsupported", f"data.size={self.size}: glyphs have 16 to 64 pixels; set a size in this range"
            )
        if self.channels not in (1, 3):
            raise UserError(
                "data.channels_unsupported",
                f"data.channels={self.channels}: glyphs have 1 channel, or 3 equal ones; set 1 or 3",
            )
        self.classes = check_classes(self.classes, CLASS_NAMES)
        self._glyphs = GlyphImages(self.size, self.dataset_seed)

    def class_counts(self) -> Tensor:
        """The number of training images of each class."""
        labels = torch.arange(self.counts["train"]) % len(self.classes)
        return torch.bincount(labels, minlength=len(self.classes)).double()

    def train_samples(self) -> Dataset[Any]:
        return self.held_out("train")

    def held_out(self, split: str) -> Dataset[Any]:
        digits = list(map(int, self.classes))
        return LambdaDataset(
            self.counts[split], partial(_sample, self._glyphs, digits, self.channels, FIRST_INDEX[split])
        )
