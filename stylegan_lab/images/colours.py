"""Lightness and colours apart: a picture can have the strokes of another and keep its own colours, or lose them."""

import torch
from torch import Tensor

# NTSC's lightness and two colour differences (Gatys et al., 2016, "Preserving color").
YIQ = torch.tensor([[0.299, 0.587, 0.114], [0.5959, -0.2746, -0.3213], [0.2115, -0.5227, 0.3112]])


def with_colours_of(image: Tensor, source: Tensor) -> Tensor:
    """The lightness of `image` (N, 3, H, W) with the colours of `source`."""
    to_yiq = YIQ.to(image)
    lightness, colours = _turned(image, to_yiq)[:, :1], _turned(source, to_yiq)[:, 1:]
    return _turned(torch.cat([lightness, colours], dim=1), torch.linalg.inv(to_yiq)).clamp(-1, 1)


def luminance(image: Tensor) -> Tensor:
    """(N, 1, H, W); of pictures that are not RGB, themselves."""
    return _turned(image, YIQ[:1].to(image)) if image.shape[1] == 3 else image


def saturated(image: Tensor, factor: float) -> Tensor:
    """More colourful, or with a factor below 1 less so."""
    grey = luminance(image)
    return grey + (image - grey) * factor


def _turned(image: Tensor, matrix: Tensor) -> Tensor:
    return torch.einsum("cd,ndhw->nchw", matrix, image)
