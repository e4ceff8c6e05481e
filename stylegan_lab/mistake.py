"""A mistake of the user's: which input, what is wrong, what would be right. Shown without a traceback."""


class Mistake(Exception):
    pass


def at_least(name: str, value: float, least: float) -> None:
    if value < least:
        raise Mistake(f"{name}={value}: at least {least} is expected")
