"""Total variation: how much neighbouring pixels differ."""

from torch import Tensor

from stylegan_lab.losses.terms import precise


def total_variation(image: Tensor) -> Tensor:
    """Squared differences of neighbours, summed over a picture, the mean over pictures (Johnson et al., 2016)."""
    image = precise(image)
    down, right = image[..., 1:, :] - image[..., :-1, :], image[..., :, 1:] - image[..., :, :-1]
    return (down.square().sum() + right.square().sum()) / len(image)
