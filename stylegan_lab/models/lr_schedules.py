"""Learning rate schedules: factors on the learning rate, as functions of the training progress from 0 to 1."""

from torch.optim.lr_scheduler import LambdaLR


class IterationLR(LambdaLR):
    """A LambdaLR whose position is set to the number of batches trained on, instead of being advanced by `step()`.

    With n_critic, the generators' optimizer may not have taken a step yet, and `step()` would warn about that.
    """

    def move_to(self, iteration: int) -> None:
        """Set the learning rates for the batch that follows after `iteration` batches."""
        self.last_epoch = iteration
        factors = [factor(iteration) for factor in self.lr_lambdas]
        self._last_lr = [rate * factor for rate, factor in zip(self.base_lrs, factors, strict=True)]
        for group, rate in zip(self.optimizer.param_groups, self._last_lr, strict=True):
            group["lr"] = rate


class ConstantLR:
    def __call__(self, progress: float) -> float:
        return 1.0


class LinearDecayLR:
    """A factor of 1 for the fraction `constant` of the training, then a linear decay to 0. The factor of the last iteration is
    still above 0."""

    def __init__(self, constant: float = 0.5) -> None:
        self.constant = constant

    def __call__(self, progress: float) -> float:
        return min(1.0, max(0.0, (1 - progress) / (1 - self.constant))) if self.constant < 1 else 1.0


class InverseTimeLR:
    """A factor of 1 / (1 + `decay` * progress). AdaIN's decay of 5e-5 per iteration corresponds to `decay` = 8 over its 160,000
    iterations."""

    def __init__(self, decay: float = 8.0) -> None:
        self.decay = decay

    def __call__(self, progress: float) -> float:
        return 1 / (1 + self.decay * progress)


class ExponentialLR:
    """Exponential decay from 1 to `final_factor` at the end of the training."""

    def __init__(self, final_factor: float = 1e-5) -> None:
        self.final_factor = final_factor

    def __call__(self, progress: float) -> float:
        return self.final_factor**progress
