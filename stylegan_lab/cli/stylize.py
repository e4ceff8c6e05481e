"""`stylegan-lab stylize`: a photo in the style of a picture, painted for itself, or by a trained arbitrary-style net."""

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import torch
import torch.nn.functional as F
from hydra import compose, initialize_config_dir
from hydra.core.global_hydra import GlobalHydra
from torch import Tensor

from stylegan_lab.checkpoint import read_checkpoint
from stylegan_lab.choice import choose
from stylegan_lab.cli.quiet import quiet
from stylegan_lab.cli.run_parser import Parser
from stylegan_lab.cli.translate import mirrored_to_fit
from stylegan_lab.conf_dir import CONF
from stylegan_lab.environment import describe_environment
from stylegan_lab.experiment import restore_module
from stylegan_lab.images.colours import with_colours_of
from stylegan_lab.images.read import read_picture
from stylegan_lab.images.write import write_picture
from stylegan_lab.instantiate import instantiate
from stylegan_lab.loggers.record import Record
from stylegan_lab.losses.perception import Perception
from stylegan_lab.mistake import Mistake, at_least
from stylegan_lab.modules.adain import AdaIN
from stylegan_lab.modules.gatys import paint
from stylegan_lab.progress import progress
from stylegan_lab.runs import find_run, new_run

LOOKS = 10  # samples of a painting on its way


def main(arguments: list[str]) -> int:
    parser = _parser()
    options = parser.parse_args(arguments)
    for name, least in (("size", 16), ("iterations", 1), ("strength", 0), ("content_weight", 0), ("style_weight", 0)):
        if (value := getattr(options, name)) is not None:
            at_least(f"--{name.replace('_', '-')}", value, least)
    _check(options)
    quiet()
    device = torch.device("cuda" if torch.cuda.is_available() else "cpu")
    content = _read(options.content, options.size, device)
    styles = [_read(path, options.size, device) for path in options.style.split(",")]
    out = by_run(options, content, styles) if options.run else painted(options, content, styles)
    if options.keep_colours:
        out = with_colours_of(out, content)
    print(write_picture(out[0].cpu(), options.out))
    return 0


def _check(options: Any) -> None:
    """What is left out, or would be passed over in silence."""
    at_least("--variation-weight", options.variation_weight, 0)
    if options.rate <= 0:
        raise Mistake(f"--rate={options.rate}: a number above 0 is expected")
    if options.run is None:
        for name, usual in (("shares", None), ("strength", 1.0)):
            if getattr(options, name) != usual:
                raise Mistake(f"--{name} is for a trained net; give --run RUN, a run of adain")


def _shares(told: str, styles: int) -> list[float]:
    try:
        shares = [float(share) for share in told.split(",")]
    except ValueError:
        raise Mistake(f"--shares {told}: numbers with commas between are expected, one for each style") from None
    if len(shares) != styles:
        raise Mistake(f"--shares {told} are {len(shares)} for {styles} styles; give one for each")
    if min(shares) < 0 or sum(shares) <= 0:
        raise Mistake(f"--shares {told}: none may be below 0, and not all 0")
    return [share / sum(shares) for share in shares]


def by_run(options: Any, content: Tensor, styles: Sequence[Tensor]) -> Tensor:
    """Through a trained net, in one pass."""
    run, checkpoint = find_run(options.run)
    module = restore_module(read_checkpoint(run.checkpoint(options.checkpoint or checkpoint)), trust=options.trust)
    if not isinstance(module, AdaIN):
        raise Mistake(
            f"--run {options.run} is a {type(module).__name__}, which knows its styles already; use translate, or a run of adain"
        )
    module.to(content.device)
    shares = _shares(options.shares, len(styles)) if options.shares else None
    height, width = content.shape[-2:]
    with torch.no_grad():
        image = module.stylize(mirrored_to_fit(module, content), styles, shares, options.strength)
    return image[..., :height, :width].clamp(-1, 1)


def painted(options: Any, content: Tensor, styles: Sequence[Tensor]) -> Tensor:
    """For itself, as a run with a record and samples."""
    if len(styles) > 1:
        raise Mistake("a painting has one style; several are mixed by a trained net (--run RUN)")
    perception = seen_through(options.features, options.weights)
    run = new_run(Path(options.runs_dir) / "stylize")
    asked = {name: str(value) if isinstance(value, Path) else value for name, value in vars(options).items()}
    run.describe(asked, [], describe_environment(1))
    record = Record(run.metrics)
    every = max(1, options.iterations // LOOKS)

    print(f"run        {run.folder}", flush=True)
    torch.manual_seed(options.seed)
    with progress("painting", options.iterations, in_bytes=False) as advance:

        def watch(iteration: int, image: Tensor, losses: dict[str, float]) -> None:
            record.log_metrics({f"loss/{name}": loss for name, loss in losses.items()}, step=iteration)
            if iteration % every == 0 or iteration == options.iterations:
                write_picture(image[0].cpu(), run.samples / f"{iteration:06d}.png")
            advance(1, ", ".join(f"{name} {loss:.4g}" for name, loss in losses.items()))

        return paint(
            content, styles[0], perception,
            iterations=options.iterations, content_weight=options.content_weight, style_weight=options.style_weight,
            variation_weight=options.variation_weight, painter=options.painter, rate=options.rate,
            start=torch.randn_like(content) * 0.1 if options.start == "noise" else None, watch=watch,
        )  # fmt: skip


def seen_through(features: str, weights: str | None) -> Perception:
    """One of the choices of `features`, with other weights if asked."""
    choose("--features", features, {path.stem: path for path in (CONF / "features").glob("*.yaml")})
    GlobalHydra.instance().clear()
    with initialize_config_dir(str(CONF), version_base="1.3"):
        config = compose("train", [f"features={features}", *([f"features.weights={weights}"] if weights else [])])
    perception: Perception = instantiate(config.features, where="features")()
    return perception


def _read(path: str | Path, size: int | None, device: torch.device) -> Tensor:
    image = read_picture(Path(path))[None].to(device)
    if size is None:
        return image
    scale = size / max(image.shape[-2:])
    return F.interpolate(image, scale_factor=scale, mode="bicubic", antialias=True).clamp(-1, 1)


def _parser() -> Parser:
    parser = Parser(
        prog="stylegan-lab stylize",
        description="Paint a photo in the style of a picture (Gatys et al., 2016), or have a trained net do it.",
        epilog="example: stylegan-lab stylize photo.jpg painting.jpg out.png --size 512 --keep-colours",
    )
    parser.add_argument("content", metavar="CONTENT", type=Path, help="the photo")
    parser.add_argument("style", metavar="STYLE", help="the picture; with --run several, with commas between")
    parser.add_argument("out", metavar="OUT", type=Path, help="the picture to write")
    parser.add_argument("--size", type=int, default=512, help="pixels of the longer side (512)")
    parser.add_argument(
        "--keep-colours", action="store_true", help="take lightness from the painting, colours from the photo"
    )
    parser.add_argument("--run", metavar="RUN", help="a run of adain that does it in one pass")
    parser.add_argument("--strength", type=float, default=1.0, help="with --run: 0 leaves the photo's own style (1)")
    parser.add_argument("--shares", metavar="A,B", help="with --run: how much of each style")
    parser.add_argument("--checkpoint", help="with --run: last (the default), best, or a path")
    parser.add_argument(
        "--trust", action="append", default=[], metavar="PACKAGE", help="may be named by the checkpoint"
    )
    parser.add_argument("--iterations", type=int, default=300)
    parser.add_argument("--painter", choices=("lbfgs", "adam"), default="lbfgs")
    parser.add_argument("--rate", type=float, default=1.0, help="of the painter, times its usual one")
    parser.add_argument("--start", choices=("content", "noise"), default="content")
    parser.add_argument("--seed", type=int, default=0, help="of the noise")
    parser.add_argument("--content-weight", type=float, default=1.0)
    parser.add_argument("--style-weight", type=float, default=1e5)
    parser.add_argument("--variation-weight", type=float, default=0.0)
    parser.add_argument("--features", default="vgg19", help="a choice of the group features (vgg19)")
    parser.add_argument("--weights", help="imagenet, random, or a file; else as the choice says")
    parser.add_argument("--runs-dir", default="runs", help="below which the painting's run is kept")
    return parser
