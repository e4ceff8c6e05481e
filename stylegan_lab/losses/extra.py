"""Extra losses: named loss functions that a config adds to the losses of a model's generator, without a subclass of the model."""

import inspect
from collections.abc import Callable, Mapping, Sequence

from torch import Tensor, nn

from stylegan_lab.errors import UserError
from stylegan_lab.losses.losses import Losses, Output

ExtraLoss = Callable[..., Tensor]
"""A function or module that returns a weighted scalar. It is given those of `fake`, `input` and `real` that it names:
the generator's images, the images they were made from, and real images of the target domain (with pairs, the truth)."""


class ExtraLosses(nn.Module):
    """Computes the losses of the setting `model.extra_losses`. Losses that are nn.Modules move to the device with the model and
    are not trained.

    Args:
        losses: The loss functions by name. Entries that are None are skipped.
        available: Which of the images `fake`, `input` and `real` the model can pass to a loss.
    """

    def __init__(self, losses: Mapping[str, ExtraLoss | None], available: Sequence[str]) -> None:
        super().__init__()
        self.losses = {name: loss for name, loss in losses.items() if loss is not None}
        self._arguments = {name: _arguments(name, loss, available) for name, loss in self.losses.items()}
        self.networks = nn.ModuleDict({name: each for name, each in self.losses.items() if isinstance(each, nn.Module)})
        self.requires_grad_(False)

    def forward(self, outputs: Mapping[str, Output]) -> Losses:
        """Compute each loss on each output. The loss `X` on the output `a_fake` is named `a_X`; on the output `fake` it is named
        `X`."""
        computed = {}
        for output_name, output in outputs.items():
            for name, loss in self.losses.items():
                value = loss(**{key: getattr(output, key) for key in self._arguments[name]})
                if not isinstance(value, Tensor) or value.dim() > 0:
                    found = f"a tensor of {tuple(value.shape)}" if isinstance(value, Tensor) else type(value).__name__
                    raise UserError(
                        "loss.not_a_scalar",
                        f"model.extra_losses.{name} returned {found}; return a scalar tensor, such as a mean",
                    )
                computed[output_name.removesuffix("fake") + name] = value
        return Losses(computed)


def _arguments(name: str, loss: ExtraLoss, available: Sequence[str]) -> list[str]:
    """The images to pass to a loss, checked against what it takes and what the model has."""
    parameters = inspect.signature(loss.forward if isinstance(loss, nn.Module) else loss).parameters
    required = [key for key, each in parameters.items() if each.default is each.empty and each.kind not in OPTIONAL]
    missing = [key for key in required if key not in available]
    if missing or "fake" not in parameters:
        problem = f"has the unknown arguments {', '.join(missing)}" if missing else "has no argument fake"
        raise UserError(
            "loss.unknown_argument",
            f"model.extra_losses.{name} {problem}; it must have the argument fake, and all required arguments must be "
            f"images of this model: {', '.join(available)}",
        )
    return [key for key in available if key in parameters]


OPTIONAL = (inspect.Parameter.VAR_POSITIONAL, inspect.Parameter.VAR_KEYWORD)
