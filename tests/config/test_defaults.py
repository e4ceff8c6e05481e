"""A Python user gets the defaults of the configs: a constructor's defaults are the values of the config that names it."""

import inspect
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import yaml
from hydra.utils import get_object

from stylegan_lab.config.paths import CONF

# The configs that exist in order to differ from a default, and the settings in which they do.
VARIANTS = {
    "augment/strong.yaml": {"p"},
    "callbacks/default.yaml": {"monitor"},
    "data/scenes_domains.yaml": {"train_images"},
    "data/superres.yaml": {"restore"},
    "discriminator/wgan_gp_resnet.yaml": {"pool"},
    "features/colors.yaml": {"statistics"},
    "features/untrained.yaml": {"pool", "width"},
    "generator/resnet9.yaml": {"condition_at"},
    "loss/r3gan.yaml": {"weight"},
    "loss/wgan.yaml": {"n_critic"},
    "loss/wgan_gp.yaml": {"n_critic"},
    "metrics/inception_192.yaml": {"layer"},
    "metrics/inception_64.yaml": {"layer"},
    "metrics/inception_768.yaml": {"layer"},
    "metrics/lpips_squeeze.yaml": {"net"},
    "metrics/lpips_vgg.yaml": {"net"},
}
GROUPS = sorted(path.name for path in CONF.iterdir() if path.is_dir() and path.name != "experiment")


def described(node: Any) -> Iterator[dict[str, Any]]:
    """Yield each part of a config that names a class or function of the package."""
    if isinstance(node, dict):
        if str(node.get("_target_")).startswith("stylegan_lab."):
            yield node
        for each in node.values():
            yield from described(each)


def differing(path: Path) -> set[str]:
    found = set()
    for node in described(yaml.safe_load(path.read_text(encoding="utf-8"))):
        for name, parameter in inspect.signature(get_object(node["_target_"])).parameters.items():
            value, default = node.get(name), parameter.default
            if name not in node or default is inspect.Parameter.empty or isinstance(value, dict | list):
                continue
            if isinstance(value, str) and "${" in value:
                continue
            if isinstance(default, float) and isinstance(value, str):  # YAML 1.1 reads 1e-3 as text
                value = float(value)
            if value != default:
                found.add(name)
    return found


@pytest.mark.parametrize("group", GROUPS)
def test_defaults_are_the_values_of_the_configs(group: str) -> None:
    for path in sorted((CONF / group).rglob("*.yaml")):
        assert differing(path) == VARIANTS.get(path.relative_to(CONF).as_posix(), set()), path
