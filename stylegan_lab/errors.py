"""Errors that a user can correct: the message names the input, what is wrong and what to do. Shown without a traceback."""


class UserError(Exception):
    pass


def check_at_least(name: str, value: float | None, minimum: float) -> None:
    if value is not None and value < minimum:
        raise UserError(f"{name}={value}: at least {minimum} is expected")


def check_minimums(group: str, **settings: tuple[float, float]) -> None:
    """Check settings of a group, each given as its value and its minimum."""
    for name, (value, minimum) in settings.items():
        check_at_least(f"{group}.{name}", value, minimum)


def any_positive_weight_error(**weights: float) -> None:
    """Refuse a model whose loss weights are all 0, which would learn nothing."""
    if not any(weight > 0 for weight in weights.values()):
        names = ", ".join(f"model.{name}_weight" for name in weights)
        raise UserError(f"{names} are all 0; set at least one of them to a positive value")
