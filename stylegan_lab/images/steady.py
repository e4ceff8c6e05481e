"""Reduces flicker in translated videos: the translation of a frame is blended with the translation of the previous frame.

Optical flow (Lucas and Kanade, 1981, from coarse to fine) estimates the motion between two input frames. The previous frame and
its translation are warped along this motion, and the warped translation is blended with the new one. Its weight is high where the
warped previous frame matches the new frame. It is low where they differ: where the flow is wrong, at uncovered background, or
after a cut. The input frames are blended with the same weights, so that the next frame is compared with an input that corresponds
to the blended translation.
"""

import torch
import torch.nn.functional as F
from torch import Tensor

from stylegan_lab.images.value_range import from_bytes, to_bytes

LEVELS = 127.5  # a difference of 1 in [-1, 1], in levels of 8 bits
WINDOW = 5  # side in pixels of the windows in which frames are compared
FLOW_WINDOW = 9  # side in pixels of the windows in which the flow is assumed to be constant
ITERATIONS = 3  # of Lucas and Kanade at each scale
DAMPING = 5e-4  # added to squared gradients, so that areas without texture do not move
STILL = 0.1  # pixels; a smaller motion is treated as none, because interpolation blurs
TOLERANCE = 4.0  # a difference of this many levels above the noise halves the weight
MAX_NOISE = 8.0  # levels; upper bound of the estimated noise
MIN_MATCHING = 0.5  # if a smaller fraction of the pixels matches, the frame starts a new scene
COARSEST = 16  # pixels; lower bound of the shorter side at the coarsest scale


class Steadier:
    """Reduces the flicker of consecutive translated frames. Call it with the frames in order.

    Args:
        strength: The weight of the previous translation where the input has not changed, in [0, 1). 0 turns blending off.
    """

    def __init__(self, strength: float, device: torch.device) -> None:
        self.strength, self.device = strength, device
        self.last: tuple[Tensor, Tensor] | None = None

    @torch.no_grad()
    def __call__(self, image: Tensor, translated: Tensor) -> Tensor:
        """Return the blended translation of a frame. `image` is the input frame; both are uint8 (C, H, W)."""
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
    """Return a map in [0, 1] that is 1 where two images (N, C, H, W) differ by noise only.

    The noise level is the first quartile of the differences. Noise has a mean of 0, so a shift of the mean in a window, as in a
    fade, always counts as a difference.
    """
    rest = (x - moved) * LEVELS
    difference = box(rest.abs().mean(1, keepdim=True), WINDOW)
    noise = difference[:, :, ::4, ::4].flatten(1).quantile(0.25, dim=1).clamp(max=MAX_NOISE).view(-1, 1, 1, 1)
    shift = box(rest, WINDOW).abs().mean(1, keepdim=True)
    return torch.exp2(-(torch.maximum(difference - noise, shift) / TOLERANCE).square())


def optical_flow(image: Tensor, last: Tensor) -> Tensor:
    """Return the flow (N, 2, H, W), x and y in pixels, with which `warp` aligns `last` (N, 1, H, W) with `image`."""
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
    """Return the flow after one step of Lucas and Kanade: the least squares solution of gradient * step = target - moved in the
    window around each pixel. Pixels in windows without texture take the flow of their surroundings."""
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
    """Sample images (N, C, H, W) at the position of each pixel plus the flow. Positions outside take the nearest border pixel."""
    height, width = images.shape[-2:]
    xs = (torch.arange(width, device=flow.device) + flow[:, 0] + 0.5) * 2 / width - 1
    ys = (torch.arange(height, device=flow.device)[:, None] + flow[:, 1] + 0.5) * 2 / height - 1
    return F.grid_sample(images, torch.stack([xs, ys], dim=-1), mode, padding_mode="border", align_corners=False)


def luminance(images: Tensor) -> Tensor:
    red, green, blue = images.split(1, dim=1)
    return 0.299 * red + 0.587 * green + 0.114 * blue


def box(images: Tensor, size: int) -> Tensor:
    """Return the mean of the window of `size` x `size` pixels around each pixel."""
    padded = F.pad(images, (size // 2,) * 4, mode="replicate")
    return F.avg_pool2d(F.avg_pool2d(padded, (1, size), 1), (size, 1), 1)


def _resize(maps: Tensor, like: Tensor) -> Tensor:
    if maps.shape[-2:] == like.shape[-2:]:
        return maps
    return F.interpolate(maps, tuple(like.shape[-2:]), mode="bilinear", align_corners=False)


def _resize_flow(flow: Tensor, like: Tensor) -> Tensor:
    rows, columns = (new / old for new, old in zip(like.shape[-2:], flow.shape[-2:], strict=True))
    return _resize(flow, like) * flow.new_tensor([columns, rows]).view(1, 2, 1, 1)
