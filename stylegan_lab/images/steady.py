"""Less flicker in translated videos: where a frame shows what the last one did, its translation is blended with the last one's.

Optical flow (Lucas and Kanade, 1981, from coarse to fine) moves the last input and its translation to where they are in this frame.
The less the two inputs then differ around a pixel, the more its translation is blended, so nothing is smeared where the flow is
wrong, where something is uncovered, or after a cut. Inputs and translations are blended with the same weights, so the next frame is
compared with what the blended translation shows.
"""

import torch
import torch.nn.functional as F
from torch import Tensor

from stylegan_lab.images.value_range import from_bytes, to_bytes

LEVELS = 127.5  # of 8 bits, for a difference of 1 in [-1, 1]
WINDOW = 5  # pixels: the side of the squares that are compared
FLOW_WINDOW = 9  # pixels, in which the flow is taken to be constant
ITERATIONS = 3  # at each scale
DAMPING = 5e-4  # squared gradients below this do not move
STILL = 0.1  # pixels; less motion is none, since interpolation blurs
TOLERANCE = 4.0  # levels of difference above the noise that halve the weight, about
MAX_NOISE = 8.0  # levels
MIN_MATCHING = 0.5  # of the pixels; fewer are a cut
COARSEST = 16  # pixels of the shorter side


class Steadier:
    """Steadies the translations of consecutive frames. Call it with each in turn.

    Args:
        strength: The weight of the last translation where the input has not changed: from 0, which does nothing, to below 1.
    """

    def __init__(self, strength: float, device: torch.device) -> None:
        self.strength, self.device = strength, device
        self.last: tuple[Tensor, Tensor] | None = None

    @torch.no_grad()
    def __call__(self, image: Tensor, translated: Tensor) -> Tensor:
        """An input and its translation, (C, H, W) of uint8, to the steadied translation."""
        x, y = (from_bytes(each[None].to(self.device)) for each in (image, translated))
        if y.shape[-1] < x.shape[-1]:
            x = F.interpolate(x, tuple(y.shape[-2:]), mode="bilinear", antialias=True)
        if self.last is not None:
            x, y = self._blend(x, y, *self.last)
        self.last = x, y
        return to_bytes(y[0]).cpu()

    def _blend(self, x: Tensor, y: Tensor, last_x: Tensor, last_y: Tensor) -> tuple[Tensor, Tensor]:
        flow = optical_flow(luminance(x), luminance(last_x))
        moved = warp(last_x, flow, "bicubic")
        weights = self.strength * similarity(x, moved)
        if (weights > self.strength / 2).float().mean() < MIN_MATCHING:
            return x, y
        moved_y = warp(last_y, _resize_flow(flow, y), "bicubic")
        return torch.lerp(x, moved, weights), torch.lerp(y, moved_y, _resize(weights, y))


def similarity(x: Tensor, moved: Tensor) -> Tensor:
    """Return how similar two images (N, C, H, W) are at each pixel: 1 if they differ only by noise, 0 if much.

    The noise is measured on the quarter of the pixels that differ least. It has no mean, so a shift of the mean, as in a
    fade, counts as a difference.
    """
    rest = (x - moved) * LEVELS
    difference = box(rest.abs().mean(1, keepdim=True), WINDOW)
    noise = difference[:, :, ::4, ::4].flatten(1).quantile(0.25, dim=1).clamp(max=MAX_NOISE).view(-1, 1, 1, 1)
    shift = box(rest, WINDOW).abs().mean(1, keepdim=True)
    return torch.exp2(-(torch.maximum(difference - noise, shift) / TOLERANCE).square())


def optical_flow(image: Tensor, last: Tensor) -> Tensor:
    """The flow (N, 2, H, W), x and y in pixels, with which `warp` moves the last image (N, 1, H, W) to where it is in this one."""
    pyramid = [(image, last)]
    while min(pyramid[-1][0].shape[-2:]) >= 2 * COARSEST:
        target, source = pyramid[-1]
        pyramid.append((F.avg_pool2d(target, 2), F.avg_pool2d(source, 2)))
    flow = torch.zeros(len(image), 2, 1, 1, device=image.device)
    for target, source in reversed(pyramid):
        flow = _resize_flow(flow, target)
        for _ in range(ITERATIONS):
            flow = _improved(flow, target, source)
    return torch.where(flow.abs().amax(1, keepdim=True) < STILL, 0.0, flow)


def _improved(flow: Tensor, target: Tensor, source: Tensor) -> Tensor:
    """The flow after a step of Lucas and Kanade: the least squares solution of gradient * step = target - moved in the window
    around each pixel. Where the window has no texture, the flow is that of its surroundings."""
    moved = warp(source, flow)
    padded = F.pad((moved + target) / 2, (1, 1, 1, 1), mode="replicate")
    x = (padded[..., 1:-1, 2:] - padded[..., 1:-1, :-2]) / 2
    y = (padded[..., 2:, 1:-1] - padded[..., :-2, 1:-1]) / 2
    rest = target - moved
    xx, xy, yy, xr, yr = box(torch.cat([x * x, x * y, y * y, x * rest, y * rest], dim=1), FLOW_WINDOW).split(1, dim=1)
    xx, yy = xx + DAMPING, yy + DAMPING
    determinant = xx * yy - xy * xy
    step = torch.cat([yy * xr - xy * yr, xx * yr - xy * xr], dim=1) / determinant
    texture = determinant / (xx + yy)
    return box((flow + step.clamp(-1, 1)) * texture, FLOW_WINDOW) / box(texture, FLOW_WINDOW)


def warp(images: Tensor, flow: Tensor, mode: str = "bilinear") -> Tensor:
    """Images (N, C, H, W) whose pixel at p is the one that was at p + flow. Beyond the border, it is repeated."""
    height, width = images.shape[-2:]
    xs = (torch.arange(width, device=flow.device) + flow[:, 0] + 0.5) * 2 / width - 1
    ys = (torch.arange(height, device=flow.device)[:, None] + flow[:, 1] + 0.5) * 2 / height - 1
    return F.grid_sample(images, torch.stack([xs, ys], dim=-1), mode, padding_mode="border", align_corners=False)


def luminance(images: Tensor) -> Tensor:
    red, green, blue = images.split(1, dim=1)
    return 0.299 * red + 0.587 * green + 0.114 * blue


def box(images: Tensor, size: int) -> Tensor:
    """The mean of the window around each pixel."""
    padded = F.pad(images, (size // 2,) * 4, mode="replicate")
    return F.avg_pool2d(F.avg_pool2d(padded, (1, size), 1), (size, 1), 1)


def _resize(maps: Tensor, like: Tensor) -> Tensor:
    if maps.shape[-2:] == like.shape[-2:]:
        return maps
    return F.interpolate(maps, tuple(like.shape[-2:]), mode="bilinear", align_corners=False)


def _resize_flow(flow: Tensor, like: Tensor) -> Tensor:
    rows, columns = (new / old for new, old in zip(like.shape[-2:], flow.shape[-2:], strict=True))
    return _resize(flow, like) * flow.new_tensor([columns, rows]).view(1, 2, 1, 1)
