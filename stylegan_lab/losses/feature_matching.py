"""Feature matching (Salimans et al., 2016; pix2pixHD, Wang et al., 2018) between a discriminator's feature maps."""

import torch
from torch import Tensor

from stylegan_lab.errors import UserError
from stylegan_lab.losses.losses import l1_loss
from stylegan_lab.networks.discriminators.output import Discriminator, discriminate


def feature_matching(discriminator: Discriminator, real: Tensor, fake: Tensor) -> Tensor:
    """Return the L1 distance between the discriminator's feature maps of fake and real images, averaged over its layers."""
    with torch.no_grad():
        target = discriminate(discriminator, real).features
    if not target:
        raise UserError(
            "loss.no_feature_maps",
            "model.feature_matching_weight needs a discriminator that returns its feature maps; use discriminator=patch",
        )
    features = discriminate(discriminator, fake).features
    return torch.stack([l1_loss(fakes, reals) for fakes, reals in zip(features, target, strict=True)]).mean()
