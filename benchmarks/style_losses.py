"""Compare the losses of a trained style network with those of an image that is optimized for the same losses.

    python benchmarks/style_losses.py RUN CONTENT.jpg STYLE.jpg --size 256 --iterations 200

Johnson et al. (2016) and Huang & Belongie (2017) make the same comparison: how many iterations of L-BFGS the method of
Gatys et al. (2016) needs to reach the loss that the network reaches in one pass. RUN is a run of johnson or adain. The
losses and their weights are taken from the run, but both methods use the content loss of Gatys et al., which is the
distance to the features of the content image.
"""

from argparse import ArgumentParser
from pathlib import Path

import torch
import torch.nn.functional as F
from torch import Tensor

from stylegan_lab.console import format_table
from stylegan_lab.errors import UserError
from stylegan_lab.images.image_io import read_image
from stylegan_lab.models.stylization.adain import AdaIN
from stylegan_lab.models.stylization.gatys import optimize_image
from stylegan_lab.models.stylization.johnson import Johnson
from stylegan_lab.training.loaded_model import load


def main() -> None:
    parser = ArgumentParser()
    parser.add_argument("run")
    parser.add_argument("content", type=Path)
    parser.add_argument("style", type=Path)
    parser.add_argument("--size", type=int, default=256, help="pixels of the longer side of both images")
    parser.add_argument("--iterations", type=int, default=200)
    options = parser.parse_args()
    model = load(options.run).module
    if not isinstance(model, Johnson | AdaIN):
        raise UserError(
            "stylize.wrong_run", f"{options.run} is a {type(model).__name__}; give a run of johnson or adain"
        )
    content, style = (read(path, options.size) for path in (options.content, options.style))
    perception, weights = model.perceptual_loss, (model.content_weight, model.style_weight)
    targets = perception.target_features(content), perception.target_features(style)

    def losses(image: Tensor) -> tuple[float, float]:
        features = perception.target_features(image)
        found = perception.content(features, targets[0]), perception.style(features, targets[1])
        return weights[0] * float(found[0]), weights[1] * float(found[1])

    rows, totals = [["image", "content", "style", "total"]], []

    def add(name: str, image: Tensor) -> float:
        values = losses(image)
        rows.append([name, *(f"{value:.4g}" for value in (*values, sum(values)))])
        return sum(values)

    with torch.no_grad():
        styled = model.stylize(content, [style]) if isinstance(model, AdaIN) else model.translate(content)
    add("content image", content)
    reached = add(type(model).__name__, styled.clamp(-1, 1))
    shown = {round(options.iterations * share) for share in (0.05, 0.1, 0.25, 0.5, 1)}

    def record(iteration: int, image: Tensor, _: dict[str, float]) -> None:
        totals.append(add(f"L-BFGS, iteration {iteration}", image) if iteration in shown else sum(losses(image)))

    optimize_image(
        content, style, perception, iterations=options.iterations, content_weight=weights[0], style_weight=weights[1],
        on_iteration=record,
    )  # fmt: skip
    print("\n".join(format_table(rows)))
    equal = next((str(number) for number, total in enumerate(totals, start=1) if total <= reached), "none")
    print(f"first iteration with a total not above that of the network: {equal}")


def read(path: Path, size: int) -> Tensor:
    """Read an image as (1, C, H, W) and resize its sides to multiples of 16, which the networks of johnson and adain need."""
    image = read_image(path)[None]
    scale = size / max(image.shape[-2:])
    height, width = (max(1, round(side * scale / 16)) * 16 for side in image.shape[-2:])
    return F.interpolate(image, (height, width), mode="bicubic", antialias=True).clamp(-1, 1)


if __name__ == "__main__":
    main()
