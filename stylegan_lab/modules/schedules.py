"""Learning rate schedules: functions of the share of the budget that is spent."""


class Constant:
    def __call__(self, spent: float) -> float:
        return 1.0


class LinearDecay:
    """Full until `constant` of the budget is spent, then straight to 0, which only the budget's end would reach."""

    def __init__(self, constant: float = 0.5) -> None:
        self.constant = constant

    def __call__(self, spent: float) -> float:
        return min(1.0, max(0.0, (1 - spent) / (1 - self.constant))) if self.constant < 1 else 1.0


class InverseTime:
    """1 / (1 + decay * spent): AdaIN's 5e-5 an iteration is 8 over its 160,000."""

    def __init__(self, decay: float = 8.0) -> None:
        self.decay = decay

    def __call__(self, spent: float) -> float:
        return 1 / (1 + self.decay * spent)


class Exponential:
    """By the same factor each time, down to `last` at the budget's end."""

    def __init__(self, last: float = 1e-5) -> None:
        self.last = last

    def __call__(self, spent: float) -> float:
        return self.last**spent
