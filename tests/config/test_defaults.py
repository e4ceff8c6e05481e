"""A Python user gets the defaults of the configs: a constructor's defaults are the values of the config that names it."""

import inspect
from pathlib import Path

import pytest
from hydra.utils import get_object
from omegaconf import OmegaConf

from stylegan_lab.config.paths import CONF
from tests.config.test_configs import GROUPS, targets

# Where a config differs from its class: most of these configs have a name for just this difference.
DIFFERENT = {
    "augment/strong.yaml": {"Cutout.p", "Cutout.scale", "RandomResizedCrop.scale"},
    "callbacks/default.yaml": {"Checkpointing.monitor"},
    "data/scenes_domains.yaml": {"DomainScenesDataModule.train_images"},
    "data/superres.yaml": {"SuperResolutionFolderDataModule.restore"},
    "degrade/vintage.yaml": {
        "Fade.strength",
        "GaussianBlur.sigma",
        "JPEGCompression.strength",
        "Sepia.strength",
        "Vignette.strength",
    },
    "discriminator/wgan_gp_resnet.yaml": {"WGANGPResNetDiscriminator.pool"},
    "features/colors.yaml": {"PerceptualLoss.statistics"},
    "features/untrained.yaml": {"vgg19.pool", "vgg19.width"},
    "generator/resnet9.yaml": {"ResNetGenerator.condition_at"},
    "loss/r3gan.yaml": {"R2.weight"},
    "loss/wgan.yaml": {"AdversarialLoss.n_critic"},
    "loss/wgan_gp.yaml": {"AdversarialLoss.n_critic"},
    "metrics/inception.yaml": {"feature_metrics.names"},
    "metrics/inception_192.yaml": {"inception.layer"},
    "metrics/inception_64.yaml": {"inception.layer"},
    "metrics/inception_768.yaml": {"inception.layer"},
    "metrics/lpips_squeeze.yaml": {"lpips.net"},
    "metrics/lpips_vgg.yaml": {"lpips.net"},
}


def differing(path: Path) -> set[str]:
    found = set()
    for node in targets(OmegaConf.to_container(OmegaConf.load(path), resolve=False)):
        target = node["_target_"]
        parameters = inspect.signature(get_object(target)).parameters if target.startswith("stylegan_lab.") else {}
        for name, parameter in parameters.items():
            value = tuple(node[name]) if isinstance(node.get(name), list) else node.get(name)
            if name not in node or parameter.default is inspect.Parameter.empty or "${" in str(value):
                continue
            if not isinstance(value, dict) and value != parameter.default:
                found.add(f"{target.rpartition('.')[2]}.{name}")
    return found


@pytest.mark.parametrize("group", GROUPS)
def test_defaults_are_the_values_of_the_configs(group: str) -> None:
    for path in sorted((CONF / group).rglob("*.yaml")):
        assert differing(path) == DIFFERENT.get(path.relative_to(CONF).as_posix(), set()), path
