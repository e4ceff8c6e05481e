"""Checks whether the chosen generator and discriminator fit the chosen model, before any network is built.

The groups `generator` and `discriminator` hold networks for image-to-image models, noise-to-image models and AdaIN. The
signature of a network shows its purpose: a network that makes images from noise takes `latent_dim`, a network that decodes
feature maps takes `n_upsample`, and a network that can be conditioned takes `condition_channels`, `classes` or `domains`.
"""

import inspect
from collections.abc import Mapping
from typing import Any

from hydra.utils import get_object
from omegaconf import DictConfig

from stylegan_lab.config.instantiate import HOME, to_plain_container
from stylegan_lab.errors import UserError
from stylegan_lab.models.base import BaseModel
from stylegan_lab.networks.layers.progan import ProgressiveNetwork
from stylegan_lab.training.checks import matching_choices

UNASKED = {
    "latent_dim": "makes images from noise",
    "n_upsample": "decodes feature maps",
    "num_timesteps": "is conditioned on a time step",
}
LACKING = {
    "latent_dim": "does not make images from noise",
    "n_upsample": "does not decode feature maps",
    "num_timesteps": "takes no time step",
    "classes": "takes no classes",
    "condition_channels": "takes no condition",
}


def check_networks_fit_model(config: DictConfig, choices: Mapping[str, str]) -> None:
    """Refuse a generator or discriminator that does not fit the model, and list the choices that do.

    Only models and networks of this package are checked. A user's own class is never refused.
    """
    settings = to_plain_container(config.model)
    model = _own_class(settings)
    if not (inspect.isclass(model) and issubclass(model, BaseModel)):
        return
    for role in ("generator", "discriminator"):
        network = _own_class(settings.get(role))
        if network is None or (problem := network_mismatch(model, settings, role, network)) is None:
            continue

        def fits(choice: Any, role: str = role) -> bool:
            return network_mismatch(model, settings, role, choice) is None

        fitting = matching_choices(role, fits, inherited=True)
        raise UserError(
            "model.network_mismatch",
            f"{role}={choices.get(role, network.__name__)} {problem}; model={choices.get('model', model.__name__)} needs "
            f"{_needed(model, settings, role)}: {', '.join(fitting)}",
        )


def network_mismatch(model: type[BaseModel], settings: Mapping[str, Any], role: str, network: Any) -> str | None:
    """Why a network cannot serve as the model's generator or discriminator, or None if it can."""
    passed = _passed_arguments(model, settings, role)
    parameters = inspect.signature(network).parameters
    for name, purpose in UNASKED.items():
        if name in parameters and name not in passed:
            return purpose
    for name, lack in LACKING.items():
        if name in passed and name not in parameters:
            return lack
    condition = parameters.get("condition_channels")
    if condition is not None and condition.default != 0 and "condition_channels" not in passed:
        return "needs the style or domain to translate to"
    if "domains" in parameters and "condition_channels" not in model.network_arguments.get("generator", ()):
        return "needs the domain of each image"
    bases, needed = inspect.getmro(network) if inspect.isclass(network) else (), model.network_types.get(role)
    if ProgressiveNetwork in bases and needed is not ProgressiveNetwork:
        return "grows progressively, which this model does not do"
    if needed is not None and needed not in bases:
        return f"is not a {needed.__name__}"
    if role == "generator" and "factor" in parameters and not model.supports_upscaling:
        return "enlarges images"
    return None


def _needed(model: type[BaseModel], settings: Mapping[str, Any], role: str) -> str:
    passed = _passed_arguments(model, settings, role)
    if "latent_dim" in passed:
        kind = "a noise-to-image generator"
    elif "n_upsample" in passed:
        kind = "a decoder of feature maps"
    elif role == "generator":
        kind = "an image-to-image generator"
    else:
        kind = "a discriminator of images"
    if (base := model.network_types.get(role)) is not None:
        return f"{kind} that is a {base.__name__}"
    if "classes" in passed:
        return f"{kind} that takes classes (model.classes is set)"
    return f"{kind} that takes a condition" if "condition_channels" in passed else kind


def _passed_arguments(model: type[BaseModel], settings: Mapping[str, Any], role: str) -> set[str]:
    """Return the arguments that the model passes to the network in addition to the arguments in the config."""
    return {*model.network_arguments.get(role, ()), *(("classes",) if settings.get("classes") else ())}


def _own_class(settings: Any) -> Any:
    """Return the class or function that a config names, or None if it is not in this package."""
    target = settings.get("_target_") if isinstance(settings, Mapping) else None
    if not isinstance(target, str) or target.split(".")[0] != HOME:
        return None
    try:
        return get_object(target)
    except Exception:  # reported when it is instantiated
        return None
