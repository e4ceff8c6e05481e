"""`stylegan-lab translate`: a picture or a folder of them through a run, at their own size."""

import sys
from argparse import Namespace
from pathlib import Path

import torch
import torch.nn.functional as F
from omegaconf import DictConfig
from torch import Tensor

from stylegan_lab.checkpoint import read_checkpoint
from stylegan_lab.choice import choose
from stylegan_lab.cli.quiet import quiet
from stylegan_lab.cli.run_parser import run_parser
from stylegan_lab.experiment import config_of, restore_module
from stylegan_lab.images.read import SUFFIXES, picture_files, read_picture
from stylegan_lab.images.unreadable import Unreadable
from stylegan_lab.images.write import write_picture
from stylegan_lab.mistake import Mistake, at_least
from stylegan_lab.modules.among_domains import AmongDomains
from stylegan_lab.modules.generative import GenerativeModule
from stylegan_lab.modules.module import Module
from stylegan_lab.modules.stargan2 import StarGAN2
from stylegan_lab.runs import find_run

HALVES = ("left", "right")


def main(arguments: list[str]) -> int:
    parser = run_parser(
        "translate",
        "Translate a picture, or every picture below a folder, with a trained run.",
        "runs/demo/20260101-120000-ab12 photos/ prints/ --size 256",
    )
    parser.add_argument("source", metavar="IN", type=Path, help="a picture, or a folder")
    parser.add_argument("target", metavar="OUT", type=Path, help="a picture to write, or a folder")
    parser.add_argument("--direction", help="a2b (source to target, the default) or b2a")
    parser.add_argument("--to", metavar="DOMAIN", help="of a run with many domains: the one to go to")
    parser.add_argument(
        "--reference",
        metavar="PICTURE",
        type=Path,
        help="of runs of stargan2 and adain: a picture that shows the style",
    )
    parser.add_argument("--seed", type=int, help="of a run of stargan2: another style, where no reference shows one")
    parser.add_argument("--half", choices=HALVES, help="of pictures that show a pair side by side: translate this half")
    parser.add_argument("--size", type=int, help="first scale the shorter side to so many pixels")
    options = parser.parse_args(arguments)
    if options.size is not None:
        at_least("--size", options.size, 1)
    quiet()
    run, checkpoint = find_run(options.run)
    works = list(pairs_of_paths(options.source, options.target))
    reference = None if options.reference is None else read_picture(options.reference)
    contents = read_checkpoint(run.checkpoint(options.checkpoint or checkpoint))
    module = restore_module(contents, options.raw, options.trust)
    if isinstance(module, GenerativeModule):
        raise Mistake(
            f"{options.run} is a {type(module).__name__}, which makes pictures of its own: stylegan-lab generate"
        )
    direction = _direction(module, options)
    half = source_half(config_of(contents, options.trust).data, direction)
    if isinstance(module, AmongDomains) and options.to is None:
        others = ", ".join(name for name in module.domains if name != module.usual[direction])
        print(f"to {module.usual[direction]}; --to goes elsewhere: {others}", file=sys.stderr)
    if options.seed is not None:
        if not isinstance(module, StarGAN2):
            raise Mistake(
                f"--seed is for runs of stargan2, which draw styles; {options.run} is a {type(module).__name__}"
            )
        module.style_seed = options.seed
    module.to(torch.device("cuda" if torch.cuda.is_available() else "cpu"))
    bad: list[str] = []
    for source, target in works:
        try:
            picture = read_picture(source)
        except Unreadable as unreadable:  # the others need not wait for it
            bad.append(str(unreadable))
            continue
        if options.half is not None:
            if not is_pair(picture):
                print(
                    f"{source} is not twice as wide as high; its {options.half} half is taken all the same",
                    file=sys.stderr,
                )
            picture = half_of(picture, options.half)
        elif half is not None and is_pair(picture):
            print(f"{source} is twice as wide as high; if it shows a pair: --half {half}", file=sys.stderr)
            half = None  # once is enough
        write_picture(translate(module, picture, direction, options.size, reference), target)
        print(target)
    if bad:
        others = f"\n{len(works) - len(bad)} of {len(works)} are translated" if len(works) > 1 else ""
        raise Mistake("\n".join(bad) + others)
    return 0


def source_half(data: DictConfig, direction: str) -> str | None:
    """Where what is translated stands in the pictures of a training, if they show pairs side by side."""
    if "sides" not in data or data.get("a") is not None:
        return None
    return HALVES[(data.sides == "BA") != (direction == "b2a")]


def half_of(picture: Tensor, half: str) -> Tensor:
    middle = max(1, picture.shape[-1] // 2)
    return picture[..., :middle] if half == "left" else picture[..., -middle:]


def is_pair(picture: Tensor) -> bool:
    return picture.shape[-1] == 2 * picture.shape[-2]


def _direction(module: Module, options: Namespace) -> str:
    """A direction, or a domain by its name."""
    domains: list[str] = getattr(module, "domains", [])
    can = f"this run translates {' and '.join(module.directions)}"
    if options.to is None:
        direction: str = options.direction or "a2b"
        if direction not in module.directions:
            raise Mistake(f"--direction {direction}: {can}" + (f"; or --to {', '.join(domains)}" if domains else ""))
        return direction
    if options.direction is not None:
        raise Mistake(
            f"--to {options.to} and --direction {options.direction} are two answers to one question; give one"
        )
    if not domains:
        raise Mistake(f"--to is for runs with many domains; {can} (--direction)")
    return choose("--to", options.to, {name: name for name in domains})


@torch.no_grad()
def translate(
    module: Module,
    image: Tensor,
    direction: str = "a2b",
    size: int | None = None,
    reference: Tensor | None = None,
) -> Tensor:
    """One image (C, H, W) of any size; what the net cannot divide is mirrored at the edge and cut off again."""
    batch = image[None].to(module.device)
    if size is not None:
        scale = size / min(batch.shape[-2:])
        batch = F.interpolate(batch, scale_factor=scale, mode="bicubic", antialias=True).clamp(-1, 1)
    height, width = batch.shape[-2:]
    fitting = mirrored_to_fit(module, batch)
    if reference is None:
        translated = module.translate(fitting, direction)
    else:
        translated = module.translate_like(fitting, reference[None].to(module.device), direction)
    times = translated.shape[-1] // fitting.shape[-1]  # above 1 where the net makes pictures larger
    return translated[0, :, : height * times, : width * times]


def mirrored_to_fit(module: Module, batch: Tensor) -> Tensor:
    """Grown to the right and below to what every net that is used can divide."""
    nets = [net for name, net in module.named_children() if name in module.averaged and hasattr(net, "multiple_of")]
    multiple = max(int(net.multiple_of) for net in nets)  # type: ignore[arg-type]
    least = max(int(net.at_least) for net in nets)  # type: ignore[arg-type]
    height, width = (max(least, -(-length // multiple) * multiple) for length in batch.shape[-2:])
    return _mirrored(batch, height, width)


def _mirrored(batch: Tensor, height: int, width: int) -> Tensor:
    """Grown to the right and below; mirrored where there is enough to mirror, else repeated."""
    down, right = height - batch.shape[-2], width - batch.shape[-1]
    mode = "reflect" if down < batch.shape[-2] and right < batch.shape[-1] else "replicate"
    return F.pad(batch, (0, right, 0, down), mode=mode)


def pairs_of_paths(source: Path, target: Path) -> list[tuple[Path, Path]]:
    """What is read and what is written, subfolders kept; mistakes are found before any work is done."""
    if source.is_file():
        out = target if target.suffix.lower() in SUFFIXES else target / f"{source.stem}.png"
        if out.resolve() == source.resolve():
            raise Mistake(f"{out} is the picture itself, which its translation would replace; give another OUT")
        return [(source, out)]
    if not source.is_dir():
        raise Mistake(f"{source} does not exist; give a picture or a folder of pictures")
    if target.suffix.lower() in SUFFIXES:
        raise Mistake(f"{source} is a folder, so {target} must be one too")
    works = [(path, (target / path.relative_to(source)).with_suffix(".png")) for path in picture_files(source)]
    if not works:
        raise Mistake(f"{source} holds no pictures ({', '.join(sorted(SUFFIXES))})")
    if any(path.resolve() == out.resolve() for path, out in works):
        raise Mistake(
            f"{target} is where {source} is: translations would take the place of the pictures; give another folder"
        )
    if len({out for _, out in works}) < len(works):
        raise Mistake(f"{source} holds pictures that differ only by suffix; they would be written to one file")
    return works
