"""A signature is the schema: which keys a config may give to a class or function, and values of which type."""

import inspect
import types
from collections.abc import Mapping, Sequence
from typing import Any, Literal, Union, get_args, get_origin, get_type_hints

from stylegan_lab.choice import nearest
from stylegan_lab.mistake import Mistake

SIMPLE = {int: "a whole number", float: "a number", bool: "true or false", str: "a text", type(None): "null"}


def check_arguments(where: str, called: Any, given: Mapping[str, Any], complete: bool) -> None:
    """Whether `called` takes these keys and values; `complete`: whether it also needs nothing more."""
    signature = inspect.signature(called)
    open_ended = any(parameter.kind is parameter.VAR_KEYWORD for parameter in signature.parameters.values())
    name = getattr(called, "__name__", str(called))
    for key, value in given.items():
        if key not in signature.parameters and not open_ended:
            names = [parameter for parameter in signature.parameters if parameter not in ("args", "kwargs")]
            raise Mistake(
                f"{_dotted(where, key)} is no setting of {name}{nearest(key, names)}; it has: {', '.join(names)}"
            )
        check_value(_dotted(where, key), value, _hints(called).get(key, Any))
    missing = [
        key
        for key, parameter in signature.parameters.items()
        if parameter.default is parameter.empty
        and parameter.kind is parameter.POSITIONAL_OR_KEYWORD
        and key not in given
    ]
    if complete and missing:
        raise Mistake(f"{where or name} needs {', '.join(missing)} ({name} has no default for it)")


def check_value(name: str, value: Any, hint: Any) -> None:
    if _fits(value, hint):
        return
    names = [choice for choice in get_args(hint) if isinstance(choice, str)] if get_origin(hint) is Literal else []
    if names and isinstance(value, str):
        raise Mistake(f"{name}={value} is unknown{nearest(value, names)}; choices: {', '.join(names)}")
    raise Mistake(f"{name}={_shown(value)}: {_described(hint)} is expected")


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
    return not isinstance(hint, type)  # a plain value, where an object is expected


def _described(hint: Any) -> str:
    origin, arguments = get_origin(hint), get_args(hint)
    if origin in (Union, types.UnionType):
        return " or ".join(_described(each) for each in arguments)
    if origin is Literal:
        return f"one of {', '.join(map(str, arguments))}"
    if origin in (list, tuple, Sequence):
        return f"a list of {_described(arguments[0])} each" if arguments else "a list"
    return SIMPLE.get(hint, f"an object ({getattr(hint, '__name__', hint)}), described by _target_,")


def _hints(called: Any) -> dict[str, Any]:
    try:
        return get_type_hints(called.__init__ if inspect.isclass(called) else called)
    except Exception:  # annotations of others that do not resolve: nothing is known of their types
        return {}


def _dotted(where: str, key: str) -> str:
    return f"{where}.{key}" if where else key


def _shown(value: Any) -> str:
    """As a config writes it."""
    return {"None": "null", "True": "true", "False": "false"}.get(str(value), str(value))
