"""Adaptive discriminator augmentation (ADA; Karras et al., 2020): the controller of its probability `p`, and its `bgc`
pipeline of pixel blitting, geometric and color transforms."""

import math
from collections.abc import Callable

import torch
from torch import Tensor

from stylegan_lab.augmentation.discriminator_augment import Transform
from stylegan_lab.distributed import mean_over_ranks
from stylegan_lab.errors import check_at_least
from stylegan_lab.precision import to_float32
from stylegan_lab.rng import rand, randn

NUM_TRANSFORMS = 14
LUMA = 1 / 3**0.5  # of each channel on the gray axis


class ADA:
    """Raises the probability `p` of each transform while the mean sign of real logits is above `target`, and lowers it
    while it is below.

    Args:
        pipeline: The transforms.
        target: The target of the mean sign of real logits (`ada_target`, 0.6 in the paper).
        update_every: Discriminator steps between two updates of `p` (`ada_interval`).
        adjust_images: The number of real images over which `p` can rise from 0 to 1 (`ada_kimg` times 1000).
        initial_p: The probability at the start.
    """

    def __init__(
        self,
        pipeline: "ADAPipeline",
        target: float = 0.6,
        update_every: int = 4,
        adjust_images: int = 500_000,
        initial_p: float = 0.0,
    ) -> None:
        check_at_least("discriminator_augment.update_every", update_every, 1)
        check_at_least("discriminator_augment.adjust_images", adjust_images, 1)
        check_at_least("discriminator_augment.initial_p", initial_p, 0)
        self.pipeline, self.target, self.update_every, self.adjust_images = (
            pipeline, target, update_every, adjust_images,
        )  # fmt: skip
        self.p = torch.tensor(float(initial_p))  # moves to the device of the images
        self._sign_sum, self._steps, self._images = torch.tensor(0.0), 0, 0

    def sample_transform(self, images: Tensor) -> Transform:
        self.p = self.p.to(images.device, non_blocking=True)
        return self.pipeline.sample_transform(images, self.p)

    @torch.no_grad()
    def update(self, real_sign: Tensor, images: int) -> None:
        self._sign_sum = self._sign_sum.to(real_sign.device, non_blocking=True) + real_sign
        self._steps, self._images = self._steps + 1, self._images + images
        if self._steps == self.update_every:
            mean = mean_over_ranks(self._sign_sum) / self.update_every
            change = self._images / self.adjust_images * (mean - self.target).sign()
            self.p = (self.p.to(change.device, non_blocking=True) + change).clamp_min(0)
            self._sign_sum, self._steps, self._images = torch.zeros_like(self._sign_sum), 0, 0

    def state_dict(self) -> dict[str, float]:
        """Return the state, which is the same on every rank because the sum of signs is averaged over ranks. Must be called on
        all ranks."""
        signs = float(mean_over_ranks(self._sign_sum))
        return {"p": float(self.p), "sign_sum": signs, "steps": self._steps, "images": self._images}

    def load_state_dict(self, state: dict[str, float]) -> None:
        self.p, self._sign_sum = torch.tensor(state["p"]), torch.tensor(state["sign_sum"])
        self._steps, self._images = int(state["steps"]), int(state["images"])


class ADAPipeline:
    """The paper's `bgc` transforms, with bilinear sampling and without oversampling.

    Args:
        blit: Flips, rotations by 90 degrees and shifts by whole pixels.
        geometry: Scaling, rotation, anisotropic scaling and fractional shifts.
        color: Brightness and contrast. For images with three channels also luma flip, hue and saturation; images with one
            channel are inverted instead of luma-flipped.
    """

    def __init__(self, blit: bool = True, geometry: bool = True, color: bool = True) -> None:
        self.blit, self.geometry, self.color = blit, geometry, color

    def sample_transform(self, images: Tensor, p: Tensor) -> Transform:
        """Sample a transform for each image; each kind of transform is applied with probability `p`, a scalar."""
        count = len(images)
        if p.device.type == "cpu" and p <= 0:  # on another device the host would have to wait for the value
            return lambda image: image
        like = to_float32(images)  # in half precision positions would be off by a pixel
        gate, uniform = (rand(count, NUM_TRANSFORMS, device=like.device).to(like) for _ in range(2))
        normal = randn(count, NUM_TRANSFORMS, device=like.device).to(like)
        matrices = TransformMatrices(gate, uniform, normal, p)
        with torch.autocast(images.device.type, enabled=False):
            positions = matrices.geometry(images.shape[-1], images.shape[-2], self.blit, self.geometry)
            colors = matrices.color(images.shape[1]) if self.color else None

        def transform(image: Tensor) -> Tensor:
            with torch.autocast(image.device.type, enabled=False):
                image = to_float32(image)
                if self.blit or self.geometry:
                    image = warp(image, positions)
                if colors is not None:
                    flat = image.flatten(2)
                    image = (colors[:, :-1, :-1] @ flat + colors[:, :-1, -1:]).view_as(image)
                return image

        return transform


class TransformMatrices:
    """Computes the homogeneous matrices of each image's transforms from random numbers (N, NUM_TRANSFORMS).

    A transform is applied to the images whose number in `gate` is below `p`. `uniform` and `normal` determine its parameters.
    """

    def __init__(self, gate: Tensor, uniform: Tensor, normal: Tensor, p: Tensor) -> None:
        self.gate, self.uniform, self.normal, self.p = gate, uniform, normal, p

    def geometry(self, width: int, height: int, blit: bool, geometry: bool) -> Tensor:
        """Return matrices (N, 3, 3) that map positions in the transformed image to positions in the input image."""
        matrix = _identity(self.gate, 3)
        if blit:
            flip = self._if(0, 1 - 2 * torch.floor(self.uniform[:, 0] * 2), 1.0)
            quarter = self._if(1, torch.floor(self.uniform[:, 1] * 4) * (math.pi / 2), 0.0)
            x, y = (self._if(2, ((self.uniform[:, column] * 2 - 1) * 0.125), 0.0) for column in (2, 3))
            matrix = matrix @ _scaling(flip, torch.ones_like(flip)) @ _rotation(quarter, exact=True)
            matrix = matrix @ _shift((x * width).round(), (y * height).round())
        if geometry:
            # Two rotations, with probability p that at least one of them happens.
            p_rotation = 1 - (1 - self.p).clamp_min(0).sqrt()
            size = self._if(4, torch.exp2(self.normal[:, 4] * 0.2), 1.0)
            stretch = self._if(6, torch.exp2(self.normal[:, 6] * 0.2), 1.0)
            before, after = (
                self._if(column, (self.uniform[:, column] * 2 - 1) * math.pi, 0.0, p_rotation) for column in (5, 7)
            )
            x, y = (self._if(8, self.normal[:, column] * 0.125, 0.0) for column in (8, 9))
            matrix = matrix @ _scaling(1 / size, 1 / size) @ _rotation(before) @ _scaling(1 / stretch, stretch)
            matrix = matrix @ _rotation(after) @ _shift(x * width, y * height)
        return matrix

    def color(self, channels: int) -> Tensor:
        """Return matrices (N, channels + 1, channels + 1) that transform colors in homogeneous coordinates."""
        brightness = self._if(9, self.normal[:, 11] * 0.2, 0.0)
        contrast = self._if(10, torch.exp2(self.normal[:, 10] * 0.5), 1.0)
        matrix = _identity(self.gate, channels + 1)
        matrix[:, :-1, -1] = brightness[:, None]
        scale = torch.ones_like(matrix[:, 0])
        scale[:, :-1] = contrast[:, None]
        matrix = torch.diag_embed(scale) @ matrix
        flip = self._if(11, torch.floor(self.uniform[:, 11] * 2), 0.0)[:, None, None]
        if channels == 1:
            scale = torch.cat([1 - 2 * flip, torch.ones_like(flip)], dim=2)[:, 0]
            return torch.diag_embed(scale) @ matrix
        if channels != 3:
            return matrix
        gray = self.gate.new_full((3,), LUMA)
        onto_gray = torch.outer(gray, gray)
        hue = self._if(12, (self.uniform[:, 12] * 2 - 1) * math.pi, 0.0)
        saturation = self._if(13, torch.exp2(self.normal[:, 13]), 1.0)[:, None, None]
        unit = _identity(self.gate, 3)
        color = (onto_gray + (unit - onto_gray) * saturation) @ _hue_rotation(hue) @ (unit - 2 * onto_gray * flip)
        return _homogeneous(color) @ matrix

    def _if(self, column: int, value: Tensor, otherwise: float, p: Tensor | None = None) -> Tensor:
        """Return `value` for images whose `gate` is below the probability, and `otherwise` for the others."""
        is_applied = self.gate[:, column] < (self.p if p is None else p)
        return torch.where(is_applied, value, torch.full_like(value, otherwise))


def warp(images: Tensor, matrices: Tensor) -> Tensor:
    """Resample images bilinearly, with reflection padding.

    `matrices` (N, 3, 3) map positions (x, y, 1) in the result to positions in the input image. Positions are in pixels from the
    center of the image. Only plain gathers are used, because they have second derivatives everywhere.
    """
    n, channels, height, width = images.shape
    x = torch.arange(width, device=images.device, dtype=images.dtype) - (width - 1) / 2
    y = torch.arange(height, device=images.device, dtype=images.dtype) - (height - 1) / 2
    positions = torch.stack([*torch.meshgrid(x, y, indexing="xy"), images.new_ones(height, width)]).flatten(1)
    sources = matrices @ positions
    columns = _reflect_index(sources[:, 0] + (width - 1) / 2, width)
    rows = _reflect_index(sources[:, 1] + (height - 1) / 2, height)
    left, above = columns.floor().clamp(0, width - 1), rows.floor().clamp(0, height - 1)
    flat, result = images.flatten(2), torch.zeros_like(images).flatten(2)
    for down in (0, 1):
        for right in (0, 1):
            weight_x = (columns - left) if right else 1 - (columns - left)
            weight_y = (rows - above) if down else 1 - (rows - above)
            index = (above + down).clamp(max=height - 1).long() * width + (left + right).clamp(max=width - 1).long()
            values = flat.gather(2, index[:, None].expand(n, channels, -1))
            result = result + values * (weight_x * weight_y)[:, None]
    return result.view_as(images)


def _reflect_index(index: Tensor, length: int) -> Tensor:
    """Reflect fractional indices into [0, length - 1], at the outer edges of the outermost pixels."""
    folded = torch.remainder(index + 0.5, 2 * length)
    return (torch.minimum(folded, 2 * length - folded) - 0.5).clamp(0, length - 1)


def _identity(like: Tensor, side: int) -> Tensor:
    return torch.eye(side, device=like.device, dtype=like.dtype).repeat(len(like), 1, 1)


def _scaling(x: Tensor, y: Tensor) -> Tensor:
    return torch.diag_embed(torch.stack([x, y, torch.ones_like(x)], dim=1))


def _shift(x: Tensor, y: Tensor) -> Tensor:
    matrix = _identity(x, 3)
    matrix[:, 0, 2], matrix[:, 1, 2] = -x, -y
    return matrix


def _rotation(angle: Tensor, exact: bool = False) -> Tensor:
    """`exact` rounds sine and cosine of multiples of 90 degrees, so that pixels are moved and not interpolated."""
    rounded: Callable[[Tensor], Tensor] = torch.round if exact else lambda value: value
    cos, sin = rounded(torch.cos(angle)), rounded(torch.sin(angle))
    matrix = _identity(angle, 3)
    matrix[:, 0, 0], matrix[:, 0, 1], matrix[:, 1, 0], matrix[:, 1, 1] = cos, -sin, sin, cos
    return matrix


def _hue_rotation(angle: Tensor) -> Tensor:
    """Rodrigues' rotation of colors about the gray axis."""
    unit, gray = _identity(angle, 3), angle.new_full((3,), LUMA)
    next_channel = unit.roll(1, dims=1)
    cross = LUMA * (next_channel - next_channel.mT)  # the matrix of the cross product with the axis
    cos, sin = torch.cos(angle)[:, None, None], torch.sin(angle)[:, None, None]
    return unit * cos + cross * sin + torch.outer(gray, gray) * (1 - cos)


def _homogeneous(matrix: Tensor) -> Tensor:
    result = _identity(matrix, 4)
    result[:, :3, :3] = matrix
    return result
