"""`stylegan-lab data preview`: a picture of what a net will see, after all that is done to pictures."""

from pathlib import Path
from typing import Any

from torch import Tensor

from stylegan_lab.cli.composed_data import composed_data
from stylegan_lab.cli.run_parser import Parser
from stylegan_lab.data.image_data import ImageData
from stylegan_lab.data.sampler import shuffled
from stylegan_lab.images.grid import grid
from stylegan_lab.images.write import write_picture
from stylegan_lab.mistake import at_least


def main(arguments: list[str]) -> int:
    parser = Parser(
        prog="stylegan-lab data preview",
        description="Draw the first training samples as a net will see them: a column each, a row for each of their pictures.",
        epilog="example: stylegan-lab data preview data=unpaired data.root=photos data.size=128 augment=strong",
    )
    parser.add_argument("--out", metavar="PICTURE", type=Path, default=Path("preview.png"), help="(preview.png)")
    parser.add_argument("--count", type=int, default=8, help="samples (8)")
    parser.add_argument("overrides", metavar="KEY=VALUE", nargs="*", help="settings, as of train")
    options = parser.parse_intermixed_args(arguments)
    at_least("--count", options.count, 1)
    data = composed_data(options.overrides)
    rows = first_samples(data, options.count)
    picture = write_picture(grid(list(rows.values())), options.out)
    print(f"data       {data.samples:,} samples an epoch")
    for note in data.notes:
        print(f"           {note}")
    print(f"picture    {picture}  (rows: {', '.join(_told(name, row) for name, row in rows.items())})")
    return 0


def first_samples(data: ImageData, count: int) -> dict[str, Tensor]:
    """The first of the first epoch, in the order of a training."""
    samples: Any = data.train_samples()
    order = shuffled(len(samples), data.seed, 0)[:count]
    batch = data.collated(samples, [(0, index) for index in order])
    return {name: values for name, values in batch.items() if values.dim() == 4}


def _told(name: str, row: Tensor) -> str:
    _, channels, height, width = row.shape
    return f"{name} {width}x{height}, {channels} channel{'s' * (channels > 1)}"
