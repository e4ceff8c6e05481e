"""How much of the input's content a translation kept, with no ground truth: do edges stand where they stood?"""

import torch
import torch.nn.functional as F
from torch import Tensor

LUMINANCE = torch.tensor([0.299, 0.587, 0.114])


def content_kept(images: Tensor, inputs: Tensor) -> float:
    """The correlation of gradient strengths (Sobel, on luminance) of images with their inputs: 1 all, 0 none."""
    ours, theirs = _edges(images), _edges(inputs)
    return float(F.cosine_similarity(_centred(ours), _centred(theirs), dim=1).mean())


def _edges(images: Tensor) -> Tensor:
    weights = LUMINANCE if images.shape[1] == 3 else torch.full((images.shape[1],), 1 / images.shape[1])
    grey = torch.einsum("nchw,c->nhw", images.float(), weights.to(images.device))[:, None]
    sobel = torch.tensor([[1.0, 0, -1], [2, 0, -2], [1, 0, -1]], device=images.device)
    gradient = F.conv2d(F.pad(grey, (1, 1, 1, 1), mode="reflect"), torch.stack([sobel, sobel.T])[:, None])
    return gradient.square().sum(1).sqrt()


def _centred(maps: Tensor) -> Tensor:
    flat = maps.flatten(1)
    return flat - flat.mean(1, keepdim=True)
