"""Errors that a user can correct: the message names the input, what is wrong and what to do. They are shown without a traceback."""

from collections.abc import Sequence

SECRET_LENGTH = 6  # a shorter value of the environment, such as a number, may stand in a message for other reasons

_environment_values: dict[str, str] = {}  # that a config has read, with the interpolation that reads each


class UserError(Exception):
    """An error with a stable code, such as `data.no_pairs`, and a message. docs/error-codes.md lists the codes.

    Values that the config reads from environment variables are replaced in the message by their interpolation, because messages
    are logged.
    """

    def __init__(self, code: str, message: str) -> None:
        super().__init__(code, hide_environment(message))
        self.code = code
        self.__notes__ = [f"[{code}]"]  # shown below the message in tracebacks, which loader workers send as text

    def __str__(self) -> str:
        return str(self.args[1])

    def with_code(self) -> str:
        return f"{self} [{self.code}]"


def remember_environment_value(value: str, interpolation: str) -> None:
    _environment_values[value] = interpolation


def hide_environment(text: str) -> str:
    """Replace values that the config has read from environment variables by the interpolations that read them."""
    if text in _environment_values:
        return _environment_values[text]
    for value in sorted(_environment_values, key=len, reverse=True):
        if len(value) >= SECRET_LENGTH:
            text = text.replace(value, _environment_values[value])
    return text


def join_errors(errors: Sequence[UserError], code: str) -> UserError:
    """Combine several errors into one, whose message has the messages and codes of all. A single error is returned unchanged."""
    if len(errors) == 1:
        return errors[0]
    return UserError(code, "\n".join(error.with_code() for error in errors))


def check_at_least(name: str, value: float | None, minimum: float, code: str = "config.too_small") -> None:
    """Refuse a value below the minimum. `name` is a setting of the config, or an argument of a command; for an argument, pass
    another `code`."""
    if value is not None and value < minimum:
        raise UserError(code, f"{name}={value}: at least {minimum} is expected")


def check_minimums(group: str, **settings: tuple[float, float]) -> None:
    """Check settings of a group, each given as its value and its minimum."""
    for name, (value, minimum) in settings.items():
        check_at_least(f"{group}.{name}", value, minimum)


def any_positive_weight_error(**weights: float) -> None:
    """Refuse a model whose loss weights are all 0, which would learn nothing."""
    if not any(weight > 0 for weight in weights.values()):
        names = ", ".join(f"model.{name}_weight" for name in weights)
        raise UserError("model.no_positive_weight", f"{names} are all 0; set at least one of them to a positive value")
