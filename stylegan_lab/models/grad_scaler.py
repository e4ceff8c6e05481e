"""Loss scaling in float16 for several optimizers, each of which may step more than once in an iteration."""

from typing import Any

import torch
from torch import Tensor
from torch.amp.grad_scaler import OptState


class GradScaler(torch.amp.GradScaler):
    """Uses the same scale for all gradients of an iteration. The scale is updated once per iteration, by `end_iteration`.

    torch's scaler is updated after each optimizer step. Gradients of another player that were computed before the update would
    then be divided by a different scale than the one they were multiplied by.
    """

    def __init__(self, device: str = "cuda", **settings: Any) -> None:
        super().__init__(device, **settings)
        self._found_inf: list[Tensor] = []

    def unscale_(self, optimizer: torch.optim.Optimizer) -> None:
        """Unscale the gradients. A second call before the optimizer step does nothing: Lightning makes one just before the step."""
        if self._per_optimizer_states[id(optimizer)]["stage"] is not OptState.UNSCALED:
            super().unscale_(optimizer)

    def step(self, optimizer: torch.optim.Optimizer, *args: Any, **kwargs: Any) -> float | None:
        """Take the optimizer step, unless a gradient is infinite or NaN. An optimizer may take several steps in an iteration."""
        result = super().step(optimizer, *args, **kwargs)
        self._found_inf += self._per_optimizer_states.pop(id(optimizer))["found_inf_per_device"].values()
        return result

    def update(self, new_scale: float | Tensor | None = None) -> None:
        """Do nothing. Lightning calls this after each step, but the scale has to stay the same until `end_iteration`."""

    def end_iteration(self) -> None:
        """Lower the scale if any gradient of the iteration was infinite or NaN; raise it after many iterations without such
        gradients."""
        if self._found_inf:
            total = torch.stack(self._found_inf).sum()
            self._per_optimizer_states[id(self)]["found_inf_per_device"] = {total.device: total}
            super().update()
            self._found_inf = []
