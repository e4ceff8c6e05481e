"""Path length regularisation (StyleGAN2; Karras et al., 2020): steps of one length in styles change all pictures as much."""

from collections.abc import Callable

import torch
from torch import Tensor

from stylegan_lab.losses.draws import for_each


class PathLength:
    """Every so many iterations, scaled up to match, and on 1 in `shrink` pictures. `decay`: how fast the average that lengths
    are held to follows them. It is the one before them (published: after), so that parts of a batch agree."""

    def __init__(self, weight: float = 2.0, every: int = 4, shrink: int = 2, decay: float = 0.01) -> None:
        self.weight, self.every, self.shrink, self.decay = weight, every, shrink, decay

    def is_due(self, iteration: int) -> bool:
        return self.weight > 0 and iteration % self.every == 0

    def penalty(self, lengths: Tensor, average: Tensor) -> Tensor:
        return self.weight * self.every * (lengths - average).square().mean()


def path_lengths(draw: Callable[[Tensor], Tensor], styles: Tensor) -> Tensor:
    """Of each picture drawn of styles (N, layers, size): how far a random direction of pictures, of a length that does not
    depend on their size, is felt in styles; root mean square over layers. Itself differentiable, in float32."""
    with torch.autocast(styles.device.type, enabled=False):
        pictures = draw(styles)
        height, width = pictures.shape[-2:]
        direction = for_each(len(pictures), lambda count, dice: torch.randn(count, *pictures.shape[1:], generator=dice))
        along = (pictures * direction.to(pictures)).sum() / (height * width) ** 0.5
        (felt,) = torch.autograd.grad(along, styles, create_graph=True)
        lengths: Tensor = felt.square().sum(dim=2).mean(dim=1).sqrt()
        return lengths
