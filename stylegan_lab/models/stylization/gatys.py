"""Style transfer by optimization (Gatys et al., 2016): an image is optimized until its features have the content of one image
and the style of another. No network is trained."""

from collections.abc import Callable
from typing import Literal

import torch
from torch import Tensor

from stylegan_lab.errors import UserError
from stylegan_lab.losses.perceptual import PerceptualLoss, total_variation

ImageOptimizer = Literal["lbfgs", "adam"]
ProgressCallback = Callable[[int, Tensor, dict[str, float]], None]


def optimize_image(
    content: Tensor,
    style: Tensor,
    perceptual_loss: PerceptualLoss,
    *,
    iterations: int = 300,
    content_weight: float = 1.0,
    style_weight: float = 3e3,
    tv_weight: float = 0.0,
    optimizer: ImageOptimizer = "lbfgs",
    lr: float = 1.0,
    start: Tensor | None = None,
    on_iteration: ProgressCallback = lambda iteration, image, losses: None,
) -> Tensor:
    """Optimize an image, starting from the content image or from `start`. Images are (1, C, H, W) in [-1, 1].

    `on_iteration` gets the iteration, the image and the losses. `lr` multiplies the usual learning rate of the optimizer.
    """
    image = (content if start is None else start).clone().requires_grad_()
    target_content = perceptual_loss.target_features(content)
    target_style = perceptual_loss.target_features(style)
    image_optimizer = _image_optimizer(image, optimizer, lr)
    losses: dict[str, Tensor] = {}

    def closure() -> Tensor:
        image_optimizer.zero_grad()
        features = perceptual_loss.features(image)
        losses["content"] = content_weight * perceptual_loss.content(features, target_content)
        losses["style"] = style_weight * perceptual_loss.style(features, target_style)
        if tv_weight > 0:
            losses["tv"] = tv_weight * total_variation(image)
        total = torch.stack(list(losses.values())).sum()
        total.backward()
        return total

    for iteration in range(1, iterations + 1):
        image_optimizer.step(closure)  # type: ignore[arg-type]
        values = {name: float(loss.detach()) for name, loss in losses.items()}
        if not all(torch.tensor(list(values.values())).isfinite()) or not bool(image.detach().isfinite().all()):
            raise UserError(
                "stylize.not_finite",
                f"the image is no longer finite at iteration {iteration}; lower --style-weight or --lr-mult",
            )
        on_iteration(iteration, image.detach().clamp(-1, 1), values)
    return image.detach().clamp(-1, 1)


def _image_optimizer(image: Tensor, name: ImageOptimizer, lr: float) -> torch.optim.Optimizer:
    if name == "lbfgs":
        return torch.optim.LBFGS([image], lr=lr, max_iter=1, history_size=50)
    return torch.optim.Adam([image], lr=0.05 * lr)
