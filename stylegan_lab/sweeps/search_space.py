"""The search space of a sweep: config keys and the values each may take, written in Hydra's sweep syntax."""

import itertools
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from hydra.core.override_parser.overrides_parser import OverridesParser
from hydra.core.override_parser.types import ChoiceSweep, IntervalSweep, Override, RangeSweep
from hydra.errors import OverrideParseException

from stylegan_lab.errors import UserError

Point = dict[str, str]  # one value for each key, in the syntax of an override


@dataclass(frozen=True)
class SearchAxis:
    """One config key of the search space, with a list of `values` or an interval from `low` to `high`."""

    key: str
    text: str  # the right-hand side of the override
    values: tuple[str, ...] = ()
    low: float = 0.0
    high: float = 0.0
    step: float | None = None  # only set for range(), which has values as well
    log: bool = False
    is_integer: bool = False

    @property
    def is_number(self) -> bool:
        return not self.values or self.step is not None

    def examples(self) -> tuple[str, ...]:
        """Return all listed values, or both ends of an interval. The config is composed with each of them before the first
        trial starts."""
        return self.values or (self.format(self.low), self.format(self.high))

    def format(self, value: Any) -> str:
        if isinstance(value, str):
            return value
        return str(int(value)) if self.is_integer else f"{value:.6g}"


def parse(params: Mapping[str, Any], arguments: Sequence[str]) -> tuple[list[SearchAxis], list[str]]:
    """Return the axes of a sweep and the remaining overrides. The command line replaces the values that the config file has
    for the same key."""
    from_command_line = _parse_overrides(arguments)
    keys = {override.get_key_element() for override in from_command_line}
    from_file = _parse_overrides([f"{key}={_format_value(value)}" for key, value in params.items() if key not in keys])
    overrides = {override.get_key_element(): override for override in [*from_file, *from_command_line]}
    axes = [_axis(key, override) for key, override in overrides.items() if override.is_sweep_override()]
    return axes, [str(override.input_line) for override in overrides.values() if not override.is_sweep_override()]


def check_axes(axes: Iterable[SearchAxis], sampler: str) -> None:
    for axis in axes:
        override = f"{axis.key}={axis.text}"
        if axis.step is not None and not axis.values:
            raise UserError("sweep.empty_range", f"{override} has no values; check the limits and the step")
        if sampler == "grid" and not axis.values:
            raise UserError(
                "sweep.interval_in_grid",
                f"{override}: a grid cannot enumerate an interval; give a list or range(), "
                "or search it with sweep=search sweep.n_trials=20",
            )
        if sampler == "cmaes" and not axis.is_number:
            raise UserError(
                "sweep.cmaes_needs_numbers",
                f"{override}: sweep.sampler=cmaes needs numbers, given by interval() or range(); "
                "sweep.sampler=tpe accepts lists as well",
            )
        if not axis.values and not axis.low < axis.high:
            raise UserError("sweep.empty_range", f"{override} has no values; give the lower limit first")
        if axis.log and axis.low <= 0:
            raise UserError(
                "sweep.log_bound_not_positive", f"{override}: the lower bound of a logarithmic interval must be above 0"
            )
        if len(set(axis.values)) < len(axis.values):
            raise UserError("sweep.repeated_value", f"{override} lists a value twice; remove one of the two")


def grid_points(axes: Sequence[SearchAxis]) -> Iterator[Point]:
    """Yield every combination of the values. The last key varies fastest."""
    for values in itertools.product(*(axis.values for axis in axes)):
        yield dict(zip((axis.key for axis in axes), values, strict=True))


def one_at_a_time_points(axes: Sequence[SearchAxis]) -> Iterator[Point]:
    """Yield points that contain every example value once, combined with the first value of all other keys."""
    first = {axis.key: axis.examples()[0] for axis in axes}
    yield first
    for axis in axes:
        for value in axis.examples()[1:]:
            yield {**first, axis.key: value}


def override_key(override: str) -> str:
    return override.split("=")[0].lstrip("+~")


def _parse_overrides(overrides: Sequence[str]) -> list[Override]:
    parsed = []
    for override in overrides:
        try:
            parsed += OverridesParser.create().parse_overrides([override])
        except OverrideParseException as error:
            reason = str(error).splitlines()[0]
            raise UserError(
                "config.override_syntax", f"{override} cannot be parsed: {reason[0].lower()}{reason[1:]}"
            ) from None
    return parsed


def _format_value(value: Any) -> str:
    """Format a value of a YAML file as an override. A list becomes a choice sweep of Hydra."""
    if isinstance(value, list):
        return ",".join(_format_value(each) for each in value)
    return {"None": "null", "True": "true", "False": "false"}.get(str(value), str(value))


def _axis(key: str, override: Override) -> SearchAxis:
    value, text = override.value(), str(override.input_line).partition("=")[2]
    if isinstance(value, IntervalSweep):
        assert value.start is not None and value.end is not None
        is_integer = isinstance(value.start, int)
        return SearchAxis(key, text, (), value.start, value.end, None, "log" in value.tags, is_integer)
    values = tuple(str(each) for each in override.sweep_string_iterator())
    if isinstance(value, RangeSweep):
        numbers, is_integer = [float(each) for each in values] or [0.0], "." not in "".join(values)
        return SearchAxis(key, text, values, min(numbers), max(numbers), abs(float(value.step)), False, is_integer)
    assert isinstance(value, ChoiceSweep)
    return SearchAxis(key, text, values)
