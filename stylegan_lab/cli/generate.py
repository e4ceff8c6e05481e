"""`stylegan-lab generate`: pictures from noise with a run: a grid, a film, or a folder of them."""

import math
from collections.abc import Iterator, Sequence
from pathlib import Path

import torch
import torch.nn.functional as F
from torch import Tensor

from stylegan_lab.checkpoint import read_checkpoint
from stylegan_lab.choice import choose
from stylegan_lab.cli.quiet import quiet
from stylegan_lab.cli.run_parser import run_parser
from stylegan_lab.experiment import restore_module
from stylegan_lab.images.film import FILMS, write_film
from stylegan_lab.images.grid import grid
from stylegan_lab.images.read import SUFFIXES
from stylegan_lab.images.write import write_picture
from stylegan_lab.mistake import Mistake, at_least
from stylegan_lab.modules.generative import GenerativeModule
from stylegan_lab.runs import find_run

AT_ONCE = 16
PICTURES = 64
STOPS = 8  # of a film
FRAMES = 30  # from a picture to the next
PER_SECOND = 20


def main(arguments: list[str]) -> int:
    parser = run_parser(
        "generate",
        "Make pictures from noise with a trained run. OUT: .png is a grid, .gif and .mp4 a film, else a folder of pictures.",
        "runs/dcgan/20260101-120000-ab12 digits.png --n 64",
    )
    parser.add_argument("target", metavar="OUT", type=Path, help="a picture for a grid, a film, or a folder")
    parser.add_argument("--n", type=int, help=f"how many pictures ({PICTURES}; of a film {STOPS})")
    parser.add_argument(
        "--class", dest="label", metavar="CLASS", help="of a run with classes: which, by name or number"
    )
    parser.add_argument("--seed", type=int, default=0, help="other pictures; one picture is told by seed and number")
    parser.add_argument(
        "--truncation", type=float, help="below 1: nearer to the average picture, cleaner, less diverse"
    )
    parser.add_argument("--mix", action="store_true", help="coarse features of each picture with fine ones of the next")
    parser.add_argument(
        "--interpolate",
        metavar="FRAMES",
        type=int,
        help=f"so many frames from each picture to the next; of a film {FRAMES}, if not given",
    )
    options = parser.parse_args(arguments)
    suffix = options.target.suffix.lower()
    if options.n is None:
        options.n = STOPS if suffix in FILMS else PICTURES
    at_least("--n", options.n, 1)
    at_least("--seed", options.seed, 0)
    if options.interpolate is not None:
        at_least("--interpolate", options.interpolate, 1)
        at_least("--interpolate goes from a picture to the next: --n", options.n, 2)
    quiet()
    run, checkpoint = find_run(options.run)
    module = restore_module(
        read_checkpoint(run.checkpoint(options.checkpoint or checkpoint)), options.raw, options.trust
    )
    if not isinstance(module, GenerativeModule):
        raise Mistake(
            f"{options.run} is a {type(module).__name__}, which needs a picture to begin with: stylegan-lab translate"
        )
    module.to(torch.device("cuda" if torch.cuda.is_available() else "cpu"))
    make = Maker(module, options.label, options.seed, options.truncation, options.mix)
    if suffix in FILMS or options.interpolate is not None:
        frames = make.between(options.n, options.interpolate or FRAMES)
        if suffix in FILMS:
            print(write_film(frames, options.target, PER_SECOND))
            return 0
        pictures = frames
    else:
        pictures = make.pictures(options.n)
    if suffix in SUFFIXES:
        print(write_picture(grid(make.rows(torch.stack(list(pictures)))), options.target))
        return 0
    names = [f"{number:06d}.png" for number in range(options.n * (options.interpolate or 1))]
    check_alone(options.target, names)
    for name, picture in zip(names, pictures, strict=True):
        write_picture(picture, options.target / name)
    print(options.target)
    return 0


def check_alone(folder: Path, names: Sequence[str]) -> None:
    """Pictures of another command in the same folder would be taken for those of this one."""
    others = sorted({path.name for path in folder.glob("*.png")} - set(names)) if folder.is_dir() else []
    if others:
        raise Mistake(
            f"{folder} holds other pictures ({others[0]}{' and more' if len(others) > 1 else ''}); give a new folder"
        )


class Maker:
    """Picture number i is told by the seed and i alone, whatever is made beside it. Classes take turns, if none is asked for."""

    def __init__(
        self,
        module: GenerativeModule,
        label: str | None = None,
        seed: int = 0,
        truncation: float | None = None,
        mix: bool = False,
    ) -> None:
        self.module, self.seed, self.truncation, self.mix = module, seed, truncation, mix
        self.label = None if label is None else _number(module, label)

    def pictures(self, count: int) -> Iterator[Tensor]:
        for numbers in torch.arange(count).split(AT_ONCE):
            latents = self.module.numbered_latents(self.seed, int(numbers[0]), len(numbers) + 1)
            yield from self._made(latents[:-1], latents[1:], self._labels(numbers))

    def between(self, count: int, frames: int) -> Iterator[Tensor]:
        """A walk from each picture to the next and from the last to the first; a class stays until the next is reached."""
        latents = self.module.numbered_latents(self.seed, 0, count)
        labels = self._labels(torch.arange(count))
        for place in range(count):
            one, other, beyond = (latents[(place + ahead) % count] for ahead in range(3))
            for steps in torch.arange(frames).split(AT_ONCE):
                shares = (steps / frames).tolist()
                way, others = (
                    torch.stack([slerp(start, end, share) for share in shares])
                    for start, end in ((one, other), (other, beyond))
                )
                yield from self._made(way, others, None if labels is None else labels[place].expand(len(steps)))

    def rows(self, pictures: Tensor) -> list[Tensor]:
        """About a square; or a column for each class, if all are shown."""
        classes = len(self.module.classes)
        columns = classes if self.label is None and 1 < classes <= len(pictures) else math.ceil(len(pictures) ** 0.5)
        return list(pictures.split(columns))

    def _labels(self, numbers: Tensor) -> Tensor | None:
        if not self.module.classes:
            return None
        labels = numbers % len(self.module.classes) if self.label is None else torch.full_like(numbers, self.label)
        return labels.to(self.module.device)

    @torch.no_grad()
    def _made(self, latents: Tensor, others: Tensor, labels: Tensor | None) -> Tensor:
        """Each picture is mixed with the next, if it is."""
        if self.mix:
            return self.module.mix(latents, others, labels, self.truncation).float().cpu()
        return self.module.generate(latents, labels, self.truncation).float().cpu()


def slerp(one: Tensor, other: Tensor, share: float) -> Tensor:
    """Along the arc between two latents, where a straight line would pass through lengths that are never drawn (White, 2016)."""
    angle = torch.acos(F.cosine_similarity(one, other, dim=0).clamp(-1, 1))
    if angle.sin() < 1e-4:
        return torch.lerp(one, other, share)
    return (torch.sin((1 - share) * angle) * one + torch.sin(share * angle) * other) / torch.sin(angle)


def _number(module: GenerativeModule, label: str) -> int:
    names = module.classes
    if not names:
        raise Mistake(
            f"--class {label}: this run makes pictures without classes; train model=cgan, or give model.classes"
        )
    if label not in names and label.isdecimal() and int(label) < len(names):
        return int(label)
    return choose("--class", label, {name: number for number, name in enumerate(names)})
