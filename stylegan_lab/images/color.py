"""Luminance, saturation and color transfer in the YIQ color space."""

import torch
from torch import Tensor

# RGB to luminance (Y) and two color differences (I, Q), as Gatys et al. (2016), "Preserving color", use it.
RGB_TO_YIQ = torch.tensor([[0.299, 0.587, 0.114], [0.5959, -0.2746, -0.3213], [0.2115, -0.5227, 0.3112]])


def transfer_color(image: Tensor, source: Tensor) -> Tensor:
    """Combine the luminance of `image` (N, 3, H, W) with the colors of `source`."""
    to_yiq = RGB_TO_YIQ.to(image)
    y, iq = _apply_matrix(image, to_yiq)[:, :1], _apply_matrix(source, to_yiq)[:, 1:]
    return _apply_matrix(torch.cat([y, iq], dim=1), torch.linalg.inv(to_yiq)).clamp(-1, 1)


def luminance(image: Tensor) -> Tensor:
    """Convert RGB (N, 3, H, W) to (N, 1, H, W). Images with another number of channels are returned unchanged."""
    return _apply_matrix(image, RGB_TO_YIQ[:1].to(image)) if image.shape[1] == 3 else image


def adjust_saturation(image: Tensor, factor: float) -> Tensor:
    """Blend with the gray image: 0 gives gray, 1 the image itself, more than 1 stronger colors."""
    gray = luminance(image)
    return gray + (image - gray) * factor


def _apply_matrix(image: Tensor, matrix: Tensor) -> Tensor:
    return torch.einsum("cd,ndhw->nchw", matrix, image)
