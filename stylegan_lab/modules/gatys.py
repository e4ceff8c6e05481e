"""Style transfer by painting (Gatys et al., 2016): one picture is optimised until a feature net sees the content of one
picture in it and the style of another. No net learns."""

from collections.abc import Callable
from typing import Literal

import torch
from torch import Tensor

from stylegan_lab.losses.perception import Perception
from stylegan_lab.losses.variation import total_variation
from stylegan_lab.mistake import Mistake

Painter = Literal["lbfgs", "adam"]
Watch = Callable[[int, Tensor, dict[str, float]], None]


def paint(
    content: Tensor,
    style: Tensor,
    perception: Perception,
    *,
    iterations: int = 300,
    content_weight: float = 1.0,
    style_weight: float = 1e5,
    variation_weight: float = 0.0,
    painter: Painter = "lbfgs",
    rate: float = 1.0,
    start: Tensor | None = None,
    watch: Watch = lambda iteration, image, losses: None,
) -> Tensor:
    """Pictures are (1, C, H, W) in [-1, 1]; painting starts from the content, or from `start`. `watch` sees each iteration."""
    image = (content if start is None else start).clone().requires_grad_()
    wanted_content, wanted_style = perception.remember(content), perception.remember(style)
    optimizer = _painter(image, painter, rate)
    losses: dict[str, Tensor] = {}

    def closure() -> Tensor:
        optimizer.zero_grad()
        seen = perception.see(image)
        losses["content"] = content_weight * perception.content(seen, wanted_content)
        losses["style"] = style_weight * perception.style(seen, wanted_style)
        if variation_weight > 0:
            losses["variation"] = variation_weight * total_variation(image)
        total = torch.stack(list(losses.values())).sum()
        total.backward()
        return total

    for iteration in range(1, iterations + 1):
        optimizer.step(closure)  # type: ignore[arg-type]
        told = {name: float(loss.detach()) for name, loss in losses.items()}
        if not all(torch.tensor(list(told.values())).isfinite()) or not bool(image.detach().isfinite().all()):
            raise Mistake(f"the picture is no longer finite at iteration {iteration}: lower --style-weight or --rate")
        watch(iteration, image.detach().clamp(-1, 1), told)
    return image.detach().clamp(-1, 1)


def _painter(image: Tensor, painter: Painter, rate: float) -> torch.optim.Optimizer:
    if painter == "lbfgs":
        return torch.optim.LBFGS([image], lr=rate, max_iter=1, history_size=50)
    return torch.optim.Adam([image], lr=0.05 * rate)
