"""The space of a sweep: settings, and the values each may take, written as Hydra writes them after -m."""

import itertools
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from hydra.core.override_parser.overrides_parser import OverridesParser
from hydra.core.override_parser.types import ChoiceSweep, IntervalSweep, Override, RangeSweep
from hydra.errors import OverrideParseException

from stylegan_lab.mistake import Mistake

Point = dict[str, str]  # a value for each setting, as overrides write it


@dataclass(frozen=True)
class Axis:
    """A setting, with its `values`, or with an interval of numbers."""

    key: str
    written: str
    values: tuple[str, ...] = ()
    low: float = 0.0
    high: float = 0.0
    step: float | None = None  # of a range, which has values too
    log: bool = False
    whole: bool = False

    @property
    def is_number(self) -> bool:
        return not self.values or self.step is not None

    def examples(self) -> tuple[str, ...]:
        """Values that stand for all of them, to be tried out before anything is played."""
        return self.values or (self.show(self.low), self.show(self.high))

    def show(self, value: Any) -> str:
        return str(int(value)) if self.whole else f"{value:.6g}"


def parse(space: Mapping[str, Any], arguments: Sequence[str]) -> tuple[list[Axis], list[str]]:
    """The axes of a sweep, and the arguments that are none. What the command line says of a setting replaces the file's."""
    given = _parsed(arguments)
    keys = {override.get_key_element() for override in given}
    described = _parsed([f"{key}={_written(value)}" for key, value in space.items() if key not in keys])
    overrides = {override.get_key_element(): override for override in [*described, *given]}
    axes = [_axis(key, override) for key, override in overrides.items() if override.is_sweep_override()]
    return axes, [str(override.input_line) for override in overrides.values() if not override.is_sweep_override()]


def check(axes: Iterable[Axis], sampler: str) -> None:
    for axis in axes:
        told = f"{axis.key}={axis.written}"
        if axis.step is not None and not axis.values:
            raise Mistake(f"{told} holds nothing")
        if sampler == "grid" and not axis.values:
            raise Mistake(
                f"{told} has no end of values, and a grid plays them all: give a list, range(), or sweep=tpe sweep.trials=20"
            )
        if sampler == "cmaes" and not axis.is_number:
            raise Mistake(
                f"{told}: sweep.sampler=cmaes takes numbers alone, as interval() or range(); tpe takes names too"
            )
        if not axis.values and not axis.low < axis.high:
            raise Mistake(f"{told} holds nothing: its first number has to be the smaller")
        if axis.log and axis.low <= 0:
            raise Mistake(f"{told}: a logarithmic interval begins above 0")
        if len(set(axis.values)) < len(axis.values):
            raise Mistake(f"{told} has a value twice")


def grid(axes: Sequence[Axis]) -> Iterator[Point]:
    """Every combination; the last setting changes fastest."""
    for values in itertools.product(*(axis.values for axis in axes)):
        yield dict(zip((axis.key for axis in axes), values, strict=True))


def samples(axes: Sequence[Axis]) -> Iterator[Point]:
    """Points in which each value that can be named stands once, with the first of every other setting."""
    first = {axis.key: axis.examples()[0] for axis in axes}
    yield first
    for axis in axes:
        for value in axis.examples()[1:]:
            yield {**first, axis.key: value}


def key_of(override: str) -> str:
    return override.split("=")[0].lstrip("+~")


def _parsed(overrides: Sequence[str]) -> list[Override]:
    parsed = []
    for override in overrides:
        try:
            parsed += OverridesParser.create().parse_overrides([override])
        except OverrideParseException as error:
            reason = str(error).splitlines()[0]
            raise Mistake(f"{override} is not understood: {reason[0].lower()}{reason[1:]}") from None
    return parsed


def _written(value: Any) -> str:
    """A list of a YAML file is a list of values."""
    if isinstance(value, list):
        return ",".join(_written(each) for each in value)
    return {"None": "null", "True": "true", "False": "false"}.get(str(value), str(value))


def _axis(key: str, override: Override) -> Axis:
    value, written = override.value(), str(override.input_line).partition("=")[2]
    if isinstance(value, IntervalSweep):
        assert value.start is not None and value.end is not None
        whole = isinstance(value.start, int)
        return Axis(key, written, (), value.start, value.end, None, "log" in value.tags, whole)
    values = tuple(str(each) for each in override.sweep_string_iterator())
    if isinstance(value, RangeSweep) and "." not in "".join(values):
        ends = (float(values[0]), float(values[-1])) if values else (0.0, 0.0)
        return Axis(key, written, values, min(ends), max(ends), abs(value.step), False, True)
    if isinstance(value, RangeSweep):
        numbers = [float(each) for each in values] or [0.0]
        return Axis(key, written, values, min(numbers), max(numbers), abs(float(value.step)), False, False)
    assert isinstance(value, ChoiceSweep)
    return Axis(key, written, values)
