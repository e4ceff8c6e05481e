"""Learning rate schedules: factors on the learning rate, as functions of the training progress from 0 to 1."""

from torch.optim.lr_scheduler import LambdaLR


class IterationLR(LambdaLR):
    """A LambdaLR that is moved to an iteration, which counts batches, and not by steps of its optimizer.

    `step()` warns about an optimizer that has not taken a step yet, and with n_critic the generators' has not.
    """

    def move_to(self, iteration: int) -> None:
        """Set the learning rates of the batch after `iteration` batches."""
        self.last_epoch = iteration
        factors = [factor(iteration) for factor in self.lr_lambdas]
        self._last_lr = [rate * factor for rate, factor in zip(self.base_lrs, factors, strict=True)]
        for group, rate in zip(self.optimizer.param_groups, self._last_lr, strict=True):
            group["lr"] = rate


class ConstantLR:
    def __call__(self, progress: float) -> float:
        return 1.0


class LinearDecayLR:
    """1 for the first `constant` of the training, then linear to 0. The last iteration still has a rate above 0."""

    def __init__(self, constant: float = 0.5) -> None:
        self.constant = constant

    def __call__(self, progress: float) -> float:
        return min(1.0, max(0.0, (1 - progress) / (1 - self.constant))) if self.constant < 1 else 1.0


class InverseTimeLR:
    """1 / (1 + decay * progress). AdaIN's decay of 5e-5 per iteration is 8 over its 160,000 iterations."""

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
