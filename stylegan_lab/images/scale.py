"""One size to another."""

import torch
import torch.nn.functional as F
from torch import Tensor


def scaled(images: Tensor, height: int, width: int, method: str = "bicubic") -> Tensor:
    """(C, H, W) or a batch of such, without aliases, as Pillow does it; bicubic or bilinear."""
    if images.shape[-2:] == (height, width):
        return images
    batch = images if images.dim() == 4 else images[None]
    batch = F.interpolate(batch, (height, width), mode=method, antialias=True)
    batch = batch if images.dtype == torch.uint8 else batch.clamp(-1, 1)
    return batch if images.dim() == 4 else batch[0]
