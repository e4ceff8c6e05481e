"""`stylegan-lab stylize`: apply the style of one image to another, by optimizing the image or with a trained AdaIN run."""

from argparse import Namespace
from collections.abc import Sequence
from pathlib import Path

import torch
import torch.nn.functional as F
from torch import Tensor

from stylegan_lab.config.compose import compose_config
from stylegan_lab.config.instantiate import instantiate
from stylegan_lab.config.paths import config_choices
from stylegan_lab.console import report_progress
from stylegan_lab.errors import UserError
from stylegan_lab.images.color import transfer_color
from stylegan_lab.images.image_io import read_image, write_image
from stylegan_lab.loggers.jsonl_logger import JSONLLogger
from stylegan_lab.losses.perceptual import PerceptualLoss
from stylegan_lab.models.stylization.adain import AdaIN
from stylegan_lab.models.stylization.gatys import optimize_image
from stylegan_lab.runs.environment import describe_environment
from stylegan_lab.runs.run import new_run
from stylegan_lab.suggestions import lookup
from stylegan_lab.training.experiment import default_device
from stylegan_lab.training.image_translator import pad_to_multiple
from stylegan_lab.training.loaded_model import load

NUM_SAMPLES = 10  # written while the image is optimized


def main(options: Namespace) -> int:
    content = _read(options.content, options.size)
    styles = [_read(path, options.size) for path in options.style.split(",")]
    stylize = stylize_with_run if options.run else stylize_by_optimization
    out = stylize(options, content, styles)
    if options.preserve_color:
        out = transfer_color(out, content)
    print(write_image(out[0].cpu(), options.out))
    return 0


def stylize_with_run(options: Namespace, content: Tensor, styles: Sequence[Tensor]) -> Tensor:
    module = load(options.run, options.checkpoint, trust=options.trust).module
    if not isinstance(module, AdaIN):
        raise UserError(
            "stylize.fixed_style_model",
            f"--run {options.run} is a {type(module).__name__}, which was trained for fixed styles; use stylegan-lab "
            f"translate, or give a run of model=adain",
        )
    given = options.interpolation_weights
    weights = None if given is None else _interpolation_weights(given, len(styles))
    height, width = content.shape[-2:]
    with torch.no_grad():
        image = module.stylize(pad_to_multiple(module, content), styles, weights, options.alpha)
    return image[..., :height, :width].clamp(-1, 1)


def _interpolation_weights(argument: str, num_styles: int) -> list[float]:
    """Parse one weight for each style and normalize their sum to 1."""
    flag = f"--interpolation-weights {argument}"
    try:
        weights = [float(weight) for weight in argument.split(",")]
    except ValueError:
        raise UserError("cli.not_a_number", f"{flag}: give one number for each style, separated by commas") from None
    if len(weights) != num_styles:
        raise UserError(
            "stylize.wrong_weight_count",
            f"{flag}: {len(weights)} weights for {num_styles} styles; give one for each style",
        )
    if min(weights) < 0 or sum(weights) <= 0:
        raise UserError(
            "stylize.invalid_weights", f"{flag}: weights must not be negative, and at least one must be above 0"
        )
    return [weight / sum(weights) for weight in weights]


def stylize_by_optimization(options: Namespace, content: Tensor, styles: Sequence[Tensor]) -> Tensor:
    """Optimize the image, and record losses and intermediate samples in a run folder."""
    if len(styles) > 1:
        raise UserError(
            "stylize.run_needed",
            "several style images need a trained network; give --run RUN (a run of model=adain), or only one "
            "style image",
        )
    perception = build_perceptual_loss(options)
    run = new_run(Path(options.runs_dir) / "stylize")
    config = {name: str(value) if isinstance(value, Path) else value for name, value in vars(options).items()}
    run.record_config(config, [], describe_environment(1))
    logger = JSONLLogger(run.metrics)
    sample_every = max(1, options.iterations // NUM_SAMPLES)

    print(f"run        {run.folder}", flush=True)
    for note in perception.notes():
        run.log(note)
    torch.manual_seed(options.seed)
    with report_progress("optimizing", options.iterations, in_bytes=False) as advance:

        def log_iteration(iteration: int, image: Tensor, losses: dict[str, float]) -> None:
            logger.log_metrics({f"loss/{name}": loss for name, loss in losses.items()}, step=iteration)
            if iteration % sample_every == 0 or iteration == options.iterations:
                write_image(image[0].cpu(), run.samples / f"{iteration:06d}.png")
            advance(1, ", ".join(f"{name} {loss:.4g}" for name, loss in losses.items()))

        return optimize_image(
            content, styles[0], perception,
            iterations=options.iterations, content_weight=options.content_weight, style_weight=options.style_weight,
            tv_weight=options.tv_weight, optimizer=options.optimizer, lr=options.lr_mult,
            start=torch.randn_like(content) * 0.1 if options.init == "noise" else None, on_iteration=log_iteration,
        )  # fmt: skip


def build_perceptual_loss(options: Namespace) -> PerceptualLoss:
    """Build the perceptual loss of --features, a choice of the config group `features`. Options can replace its weights and
    layers."""
    lookup("--features", options.features, config_choices("features"), "cli.unknown_choice")
    features = compose_config([f"features={options.features}"]).features
    if options.weights:
        features.weights = options.weights  # not as an override: Hydra would parse the path
    for name, argument in (("content", options.content_layers), ("style", options.style_layers)):
        if argument:  # layers that are not named become null
            key = "layers" if name == "content" and "layers" in features else name  # of LPIPS
            features[key] = {**dict.fromkeys(features[key]), **_layer_weights(f"--{name}-layers {argument}", argument)}
    perception: PerceptualLoss = instantiate(features, where="features")()
    return perception


def _layer_weights(flag: str, argument: str) -> dict[str, float]:
    """Parse `relu1_1=2,relu2_1`: layers with their weights, which are 1 if not given."""
    weights = {}
    for item in argument.split(","):
        layer, separator, weight = item.partition("=")
        try:
            weights[layer.strip()] = float(weight) if separator else 1.0
        except ValueError:
            raise UserError(
                "cli.not_a_number", f"{flag}: the weight of {layer} is not a number; write LAYER or LAYER=WEIGHT"
            ) from None
    return weights


def _read(path: str | Path, size: int) -> Tensor:
    """Read an image and scale its longer side to `size`."""
    image = read_image(Path(path))[None].to(default_device())
    scale = size / max(image.shape[-2:])
    return F.interpolate(image, scale_factor=scale, mode="bicubic", antialias=True).clamp(-1, 1)
