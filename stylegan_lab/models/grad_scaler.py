"""Loss scaling in float16 for several optimizers, each of which may step more than once in an iteration."""

from typing import Any

import torch
from torch import Tensor
from torch.amp.grad_scaler import OptState


class GradScaler(torch.amp.GradScaler):
    """All gradients of an iteration have the same scale, which is updated once, by `end_iteration`.

    torch's scaler is updated after each step: gradients of another player, computed before, would be divided by a scale that
    they were not multiplied with.
    """

    def __init__(self, device: str = "cuda", **settings: Any) -> None:
        super().__init__(device, **settings)
        self._found_inf: list[Tensor] = []

    def unscale_(self, optimizer: torch.optim.Optimizer) -> None:
        """Unscale the gradients, but only once for each step: Lightning calls this again just before the step."""
        if self._per_optimizer_states[id(optimizer)]["stage"] is not OptState.UNSCALED:
            super().unscale_(optimizer)

    def step(self, optimizer: torch.optim.Optimizer, *args: Any, **kwargs: Any) -> float | None:
        """Take the optimizer step, unless a gradient is infinite or NaN. An optimizer may take several steps in an iteration."""
        result = super().step(optimizer, *args, **kwargs)
        self._found_inf += self._per_optimizer_states.pop(id(optimizer))["found_inf_per_device"].values()
        return result

    def update(self, new_scale: float | Tensor | None = None) -> None:
        """Lightning calls this after each step; the scale stays the same until `end_iteration`."""

    def end_iteration(self) -> None:
        """Lower the scale if any gradient of the iteration was infinite or NaN; raise it after many that were not."""
        if self._found_inf:
            total = torch.stack(self._found_inf).sum()
            self._per_optimizer_states[id(self)]["found_inf_per_device"] = {total.device: total}
            super().update()
            self._found_inf = []
