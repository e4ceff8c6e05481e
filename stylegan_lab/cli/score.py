"""`stylegan-lab score`: how alike two folders of pictures are, with no run. Every number is written with its protocol."""

import hashlib
from argparse import Namespace
from collections import Counter
from collections.abc import Callable, Iterator, Mapping
from functools import cached_property, partial
from inspect import signature
from pathlib import Path
from typing import Any

import torch
from torch import Tensor

from stylegan_lab.better import SIGNS
from stylegan_lab.choice import choose
from stylegan_lab.cli.handing_over import check_place, write_file
from stylegan_lab.cli.run_parser import Parser
from stylegan_lab.comparison.as_json import as_json
from stylegan_lab.data.folders.listing import pictures_below, same_name
from stylegan_lab.data.folders.reading import size_of
from stylegan_lab.evaluation.crowd import Crowd
from stylegan_lab.evaluation.crowd_metrics import COMPARISONS, crowd_metrics
from stylegan_lab.evaluation.embedding import FILTERS, Embedding
from stylegan_lab.evaluation.embeddings import EMBEDDINGS
from stylegan_lab.evaluation.metrics import METRICS, Metric, check_enough
from stylegan_lab.evaluation.perceived import LPIPS, STYLE, lpips, style_distance
from stylegan_lab.fetch import digest
from stylegan_lab.images.convert import to_unit
from stylegan_lab.images.read import read_picture
from stylegan_lab.images.scale import scaled
from stylegan_lab.images.unreadable import Unreadable, shown
from stylegan_lab.mistake import Mistake, at_least

PLAIN = {name: metric for name, metric in METRICS.items() if metric.against != "input"}
SEEN: dict[str, Callable[..., dict[str, Metric]]] = {
    **{f"lpips_{net}": partial(lpips, net) for net in LPIPS},
    **{f"style_{net}": partial(style_distance, net) for net in STYLE},
}
TRUTHS = [*(name for name, metric in PLAIN.items() if metric.against == "truth"), "lpips_..."]
TOLD = 3  # of the files that cannot be read


def main(arguments: list[str]) -> int:
    parser = _parser()
    options = parser.parse_args(arguments)
    at_least("--batch-size", options.batch_size, 1)
    if options.size is not None:
        at_least("--size", options.size, 8)
    if options.json is not None:
        check_place("--json", options.json)
    metrics = _metrics(options)
    real, fake = (Folder(folder, options.size, options.batch_size) for folder in (options.real, options.fake))
    if paired := [name for name, metric in metrics.items() if metric.against == "truth"]:
        fake.as_mates_of(real, paired[0])
    width, height = _common_size(real, fake)
    for name, metric in metrics.items():
        try:
            check_enough(name, metric, min(width, height), len(real.paths), len(fake.paths))
        except Mistake as mistake:
            raise Mistake(f"{mistake}; --metrics chooses others") from None
    scores = {name: _score(metric, fake, real) for name, metric in metrics.items()}
    document = {
        "schema": 1,
        "real": {"folder": str(real.folder), "n": len(real.paths), "sha256": real.content},
        "fake": {"folder": str(fake.folder), "n": len(fake.paths), "sha256": fake.content},
        "size": f"{width}x{height}",
        "metrics": scores,
        "protocol": {name: metric.protocol for name, metric in metrics.items()},
    }
    print(_table(document, metrics))
    if options.json is not None:
        write_file("--json", options.json, as_json(document, indent=2) + "\n")
    return 0


class Folder:
    """The pictures below a folder, as tensors in [0, 1], some at a time; scaled to `size` if there is one."""

    def __init__(self, folder: Path, size: int | None, batch_size: int) -> None:
        self.folder, self.size, self.batch_size = folder, size, batch_size
        self.paths = pictures_below(folder)
        if not self.paths:
            raise Mistake(f"{shown(folder)} holds no pictures")

    @cached_property
    def sizes(self) -> Counter[tuple[int, int]]:
        """How many there are of each (width, height)."""
        seen: Counter[tuple[int, int]] = Counter()
        bad = []
        for path in self.paths:
            try:
                seen[size_of(path)] += 1
            except Unreadable as unreadable:
                bad.append(str(unreadable))
        if bad:
            others = f"\nand {len(bad) - TOLD} others" if len(bad) > TOLD else ""
            raise Mistake("\n".join(bad[:TOLD]) + others + "\na score of the rest would be of another set; remove them")
        return seen

    @cached_property
    def content(self) -> str:
        """The hash of all that is in the files."""
        return hashlib.sha256("".join(digest(path) for path in self.paths).encode()).hexdigest()

    def as_mates_of(self, other: "Folder", why: str) -> None:
        """In the order of the other folder's pictures, each beside that of its name."""
        mine = {self._name(path): path for path in self.paths}
        names = [other._name(path) for path in other.paths]
        if missing := sorted(set(names) ^ mine.keys()):
            raise Mistake(
                f"{why} compares pictures of one name, and {shown(missing[0])} is in only one of {shown(other.folder)} and "
                f"{shown(self.folder)}" + (f", like {len(missing) - 1} others" if len(missing) > 1 else "")
            )
        self.paths = [mine[name] for name in names]

    def _name(self, path: Path) -> str:
        return same_name(path.relative_to(self.folder).with_suffix("").as_posix())

    def batches(self) -> Iterator[Tensor]:
        for start in range(0, len(self.paths), self.batch_size):
            yield torch.stack([self._picture(path) for path in self.paths[start : start + self.batch_size]])

    def crowd(self, embedding: Embedding) -> Crowd:
        return embedding.kept(f"{self.content} {self.size}", lambda: embedding.over(self.batches()))

    @cached_property
    def images(self) -> Tensor:
        return torch.cat(list(self.batches()))

    def _picture(self, path: Path) -> Tensor:
        picture = read_picture(path)
        return to_unit(picture if self.size is None else scaled(picture, self.size, self.size))


def _score(metric: Metric, fake: Folder, real: Folder) -> float:
    if metric.sees is None:
        return metric(fake.images, real.images)
    return metric.measure(fake.crowd(metric.sees), real.crowd(metric.sees))


def _metrics(options: Namespace) -> dict[str, Metric]:
    """Of features, unless they are built in and need none."""
    build = choose("--features", options.features, EMBEDDINGS)
    names = list(COMPARISONS) if options.metrics is None else options.metrics.split(",")
    weights = {} if options.weights is None else {"weights": options.weights}
    metrics = {name: PLAIN[name] for name in names if name in PLAIN}
    for name in names:
        metrics |= SEEN[name](**weights) if name in SEEN else {}
    if compared := [name for name in names if name not in PLAIN and name not in SEEN]:
        if weights and "weights" not in signature(build).parameters:
            raise Mistake(f"--weights {options.weights}: features of {options.features} are made without any")
        resize = choose("--resize", options.resize, dict.fromkeys(FILTERS, options.resize))
        metrics |= crowd_metrics(build(resize=resize, **weights), compared)
    return metrics


def _common_size(real: Folder, fake: Folder) -> tuple[int, int]:
    """Width and height. Pictures of several sizes are compared only when it is said at which."""
    sizes = real.sizes + fake.sizes
    if real.size is not None:
        return real.size, real.size
    if len(sizes) > 1:
        told = ", ".join(f"{width}x{height}" for (width, height), _ in sizes.most_common(TOLD))
        raise Mistake(
            f"{shown(real.folder)} and {shown(fake.folder)} hold pictures of {len(sizes)} sizes ({told}"
            f"{', ...' if len(sizes) > TOLD else ''}), and what is scaled differs from what is not; give --size N, to "
            "which all are scaled first"
        )
    (size,) = sizes
    return size


def _table(document: dict[str, Any], metrics: Mapping[str, Metric]) -> str:
    first = max(map(len, metrics)) + 4
    lines = [
        f"{name} {SIGNS[metric.better]}".ljust(first) + f"{document['metrics'][name]:.5g}"
        for name, metric in metrics.items()
    ]
    seen = {metric.sees.protocol: None for metric in metrics.values() if metric.sees is not None}
    counts = f"{document['fake']['n']} pictures against {document['real']['n']} real ones, {document['size']}"
    return "\n".join([*lines, counts, *(f"features: {each}" for each in seen)])


def _parser() -> Parser:
    parser = Parser(
        prog="stylegan-lab score",
        description="How alike two folders of pictures are. Numbers are named after the features that see the pictures, and "
        "compare only with numbers of the same features, counts and size.",
        epilog="example: stylegan-lab score photos/ translations/ --features squeezenet --metrics fid,kid",
    )
    parser.add_argument("real", metavar="REAL", type=Path, help="a folder of real pictures")
    parser.add_argument("fake", metavar="FAKE", type=Path, help="a folder of those to be judged")
    parser.add_argument(
        "--features", default="untrained", help=f"{', '.join(EMBEDDINGS)}; untrained (the default) needs no download"
    )
    parser.add_argument("--weights", metavar="FILE", help="the features' weights, where they are not to be fetched")
    parser.add_argument(
        "--metrics",
        metavar="A,B",
        help=f"of {', '.join([*COMPARISONS, 'is', *PLAIN, *SEEN])}; the default is the first six. Those held "
        f"against a truth ({', '.join(TRUTHS)}) take pictures of the same names in both folders",
    )
    parser.add_argument("--size", metavar="N", type=int, help="scale every picture to NxN first")
    parser.add_argument(
        "--resize", default="clean", help=f"to the features' own size: {', or '.join(FILTERS.values())}"
    )
    parser.add_argument("--batch-size", metavar="N", type=int, default=32, help="pictures at a time")
    parser.add_argument("--json", metavar="OUT", type=Path, help="write the scores with all that belongs to them")
    return parser
