"""Checks configs against signatures: the parameters of a class or function say which keys its config may have, and the types of
their values."""

import inspect
import types
from collections.abc import Mapping, Sequence
from typing import Any, Literal, Union, get_args, get_origin, get_type_hints

from stylegan_lab.config.synonyms import synonym_error
from stylegan_lab.errors import UserError
from stylegan_lab.suggestions import did_you_mean

BUDGETS = ("iterations", "epochs", "images")  # the settings that say how long to train; one is given
SIMPLE = {int: "a whole number", float: "a number", bool: "true or false", str: "text", type(None): "null"}


def check_arguments(where: str, called: Any, given: Mapping[str, Any], complete: bool) -> None:
    """Refuse keys and values that `called` does not accept. If `complete`, refuse missing required keys too."""
    signature = inspect.signature(called)
    open_ended = any(parameter.kind is parameter.VAR_KEYWORD for parameter in signature.parameters.values())
    name = getattr(called, "__name__", str(called))
    for key, value in given.items():
        setting = (f"{where}.{key}" if where else key).replace("model.optimizer.", "optimizer.")
        if key not in signature.parameters and not open_ended:
            if error := synonym_error(setting.removeprefix("model.")):
                raise error
            names = [parameter for parameter in signature.parameters if parameter not in ("args", "kwargs")]
            raise UserError(
                "config.unknown_setting",
                f"{setting} is not a setting of {name}{did_you_mean(key, names)}; it has: {', '.join(names)}",
            )
        check_setting_type(setting, value, _hints(called).get(key, Any))
    required = [
        key
        for key, parameter in signature.parameters.items()
        if parameter.default is parameter.empty and parameter.kind is parameter.POSITIONAL_OR_KEYWORD
    ]
    missing = [key for key in required if key not in given]
    if complete and missing:
        raise UserError(
            "config.missing_setting",
            f"{where or name} needs {', '.join(missing)}; give a value, because {name} has no default",
        )


def check_setting_type(name: str, value: Any, hint: Any) -> None:
    if _fits(value, hint):
        return
    names = [choice for choice in get_args(hint) if isinstance(choice, str)] if get_origin(hint) is Literal else []
    if names and isinstance(value, str):
        raise UserError(
            "config.unknown_choice",
            f"{name}={value} is unknown{did_you_mean(value, names)}; choices: {', '.join(names)}",
        )
    shown = {"None": "null", "True": "true", "False": "false"}.get(str(value), str(value))  # as YAML writes it
    raise UserError("config.wrong_type", f"{name}={shown}: give {_described(hint).rstrip(',')}")


def _fits(value: Any, hint: Any) -> bool:
    origin, arguments = get_origin(hint), get_args(hint)
    if origin in (Union, types.UnionType):
        return any(_fits(value, each) for each in arguments)
    if origin is Literal:
        return value in arguments
    if hint in SIMPLE:
        return isinstance(value, (int, float) if hint is float else hint) and (
            hint is bool or not isinstance(value, bool)
        )
    if origin in (list, tuple, Sequence):
        each = arguments[0] if arguments else Any
        return isinstance(value, list | tuple) and all(_fits(element, each) for element in value)
    if hint is Any or not isinstance(value, bool | int | float | str):
        return True
    return not isinstance(hint, type)  # a plain value does not fit where an object is expected


def _described(hint: Any) -> str:
    origin, arguments = get_origin(hint), get_args(hint)
    if origin in (Union, types.UnionType):
        plain = [each for each in arguments if each in SIMPLE]  # a plain value was given where one of these may be
        return " or ".join(_described(each) for each in plain or arguments)
    if origin is Literal:
        return f"one of {', '.join(map(str, arguments))}"
    if origin in (list, tuple, Sequence):
        return f"a list in which each element is {_described(arguments[0])}" if arguments else "a list"
    return SIMPLE.get(hint, f"an object ({getattr(hint, '__name__', hint)}), described by _target_,")


def _hints(called: Any) -> dict[str, Any]:
    try:
        return get_type_hints(called.__init__ if inspect.isclass(called) else called)
    except Exception:  # annotations of other packages may not resolve; their types are not checked then
        return {}
