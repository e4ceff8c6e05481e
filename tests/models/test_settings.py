"""Settings of models have lower limits, and a value below one is refused by name."""

from collections.abc import Callable

import pytest
from omegaconf import DictConfig, open_dict

from stylegan_lab.config.instantiate import instantiate
from tests.models.test_extra_losses import VARIANTS
from tests.refusals import refused

LIMITS = {
    "CycleGAN": {"cycle_weight": 0, "identity_weight": 0, "content_weight": 0, "style_weight": 0, "pool_size": 0},
    "pix2pix": {"pixel_weight": 0, "feature_matching_weight": 0},
    "CUT": {"nce_weight": 0, "nce_patches": 2},
    "UNSB": {"num_timesteps": 2, "tau": 0, "sb_weight": 0, "nce_weight": 0, "nce_patches": 2},
    "perceptual": {"content_weight": 0, "style_weight": 0, "adversarial_weight": 0, "pixel_weight": 0},
    "multidomain": {"cycle_weight": 0, "identity_weight": 0},
    "StarGAN v2": {"style_weight": 0, "diversity_weight": 0, "cycle_weight": 0, "diversity_until": 0},
    "Johnson": {"content_weight": 0, "style_weight": 0, "tv_weight": 0},
    "AdaIN": {"content_weight": 0, "style_weight": 0},
    "DCGAN": {"fakes_per_real": 1, "dequantization": 0},
    "ProGAN": {"stable_images": 0, "fade_images": 1},
    "StyleGAN2": {"style_mixing_prob": 0, "pl_weight": 0, "pl_interval": 1, "pl_batch_shrink": 1, "pl_decay": 0},
}


@pytest.mark.parametrize("variant", LIMITS)
def test_a_value_below_a_limit_is_refused(variant: str, compose_config: Callable[..., DictConfig]) -> None:
    model = compose_config(*VARIANTS[variant][0]).model
    for name, limit in LIMITS[variant].items():
        changed = model.copy()
        with open_dict(changed):
            changed[name] = limit - 1
        with refused("config.too_small", f"model.{name}={limit - 1}", f"at least {limit}"):
            instantiate(changed)
