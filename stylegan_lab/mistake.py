"""A mistake of the user's: which input, what is wrong, what would be right. Shown without a traceback."""


class Mistake(Exception):
    pass


def at_least(name: str, value: float, least: float) -> None:
    if value < least:
        raise Mistake(f"{name}={value}: at least {least} is expected")


def some_weight(**weights: float) -> None:
    """A model whose every term weighs nothing learns nothing."""
    if not any(weight > 0 for weight in weights.values()):
        raise Mistake(
            f"{', '.join(f'model.{name}_weight' for name in weights)} are all 0; give one of them some weight"
        )
