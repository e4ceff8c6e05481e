"""A network's graph, evaluated in horizontal strips. Every norm gets its statistics from the whole image.

A strip of a layer's output is computed from only those input rows that it depends on. The statistics of a norm need all rows of
its input before any row of its output: one pass over the strips collects them. Feature maps that would be expensive to compute
again are kept on disk, all others are computed in each pass that needs them. The result differs from the result for the whole
image only by rounding, so there are no seams between strips, and nothing has to be blended.
"""

from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from typing import Any, cast

import torch
import torch.nn.functional as F
from torch import Tensor, fx, nn
from torch._subclasses import FakeTensorMode

from stylegan_lab.networks.layers.conditioning import ConditionalInstanceNorm
from stylegan_lab.networks.strips.feature_file import FeatureFile
from stylegan_lab.networks.strips.layer_rows import (
    NORMS,
    Rows,
    Scaling,
    apply_scaled,
    apply_to_rows,
    is_supported,
    multiply_adds,
)

STRIP_BYTES = 32_000_000  # of the largest feature map of a strip; some of them are in memory at once
RECOMPUTE_LIMIT = 300  # multiplications for a value; if more are needed to compute it again, it is stored
BICUBIC_MARGIN = 3
POINTWISE_FUNCTIONS = {"relu", "leaky_relu", "tanh", "sigmoid", "silu", "gelu", "clamp"}
COMBINING_FUNCTIONS = {"add", "iadd", "sub", "mul", "truediv", "cat"}


class UnsupportedNetworkError(Exception):
    """The network cannot be evaluated in strips. The message gives the reason."""


@dataclass(frozen=True)
class Moments:
    mean: Tensor  # (1, C, 1, 1)
    variance: Tensor


class _LayerTracer(fx.Tracer):
    """Traces down to the layers whose rows are known."""

    def is_leaf_module(self, m: nn.Module, module_qualified_name: str) -> bool:
        return is_supported(m) or (not list(m.children()) and super().is_leaf_module(m, module_qualified_name))


class StripNetwork:
    """A network in evaluation mode, prepared for images (1, C, H, W) of one size.

    Args:
        batch_statistics: The batch norms that use the statistics of the image instead of running statistics.
        dropouts: The dropouts that are active. They draw the same random numbers as for the whole image, from seed 0.
    """

    def __init__(
        self,
        network: nn.Module,
        input_shape: tuple[int, int, int],
        batch_statistics: frozenset[nn.Module] = frozenset(),
        dropouts: frozenset[nn.Module] = frozenset(),
    ) -> None:
        self.network, self.layers = network, dict(network.named_modules())
        self.batch_statistics, self.dropouts = batch_statistics, dropouts
        self.nodes = self._trace()
        self.values = self._shapes((1, *input_shape))
        for node in self.nodes:
            self._check(node)
        self.output: fx.Node = self.nodes[-1].args[0]  # type: ignore[assignment]
        self.stored = self._choose_stored()
        self.files: dict[fx.Node, FeatureFile] = {}
        self.moments: dict[fx.Node, Moments] = {}

    @property
    def output_shape(self) -> torch.Size:
        return self.values[self.output].shape

    @torch.no_grad()
    def apply(
        self, read_input: Callable[[int, int], Tensor], on_strip: Callable[[int], None] | None = None
    ) -> Iterator[Tensor]:
        """Yield the strips of the output, from top to bottom.

        Args:
            read_input: Returns the input rows from a start to an end index, (1, C, rows, W).
            on_strip: Called after each strip, with the total number of strips.
        """
        self.read_input = read_input
        passes = [node for node in self.nodes if node in self.stored or self._needs_moments_of(node)]
        last_use = self._last_uses([*passes, self.output])
        total = sum(len(self._strips(node)) for node in [*passes, self.output])
        self.finish_strip = (lambda: on_strip(total)) if on_strip else lambda: None
        try:
            with torch.random.fork_rng([self._device] if self._device.type == "cuda" else []):
                torch.manual_seed(0)
                for index, node in enumerate(passes):
                    self._run_pass(node)
                    for done in [each for each in self.files if last_use.get(each, index) <= index]:
                        self.files.pop(done).close()
            for rows in self._strips(self.output):
                yield self._rows(self.output, *rows)
                self.finish_strip()
        finally:
            for file in self.files.values():
                file.close()
            self.files, self.moments = {}, {}

    def _run_pass(self, node: fx.Node) -> None:
        """Compute all rows of a node: to store them, for the statistics of the norms that follow, or both."""
        moments = RunningMoments() if self._needs_moments_of(node) else None
        file = FeatureFile() if node in self.stored else None
        for first, last in self._strips(node):
            rows = self._rows(node, first, last)
            if file is not None:
                file.append(rows)
            if moments is not None:
                moments.add(rows)
            self.finish_strip()
        if file is not None:
            self.files[node] = file
        if moments is not None:
            self.moments[node] = moments.result()

    def _rows(self, node: fx.Node, first: int, last: int) -> Tensor:
        if node in self.files:
            return self.files[node].read(first, last).to(self._device)
        if node.op == "placeholder":
            return self.read_input(first, last).to(self._device)
        if node.op == "call_module":
            return self._layer_rows(node, first, last)
        return self._function_rows(node, first, last)

    def _layer_rows(self, node: fx.Node, first: int, last: int) -> Tensor:
        layer, source = self._layer(node), _source(node)
        assert layer is not None
        if not self._is_map(source):
            return layer(self._value(source))
        if self._needs_moments(layer):
            scale, shift = self._affine(layer, node)
            moments = self.moments[source]
            factor = (moments.variance + getattr(layer, "eps", 1e-5)).rsqrt()
            factor = factor if scale is None else factor * scale
            offset = -moments.mean * factor if shift is None else shift - moments.mean * factor
            return torch.addcmul(offset, self._rows(source, first, last), factor)
        if layer in self.dropouts:
            return F.dropout(self._rows(source, first, last), layer.p, training=True)  # type: ignore[arg-type]
        return apply_to_rows(layer, (first, last), self._height(source), lambda *rows: self._rows(source, *rows))

    def _affine(self, layer: Any, node: fx.Node) -> tuple[Tensor | None, Tensor | None]:
        if isinstance(layer, ConditionalInstanceNorm):
            scale, shift = layer.affine(self._value(node.args[1]))[:, :, None, None].chunk(2, dim=1)
            return 1 + scale, shift
        if getattr(layer, "weight", None) is None:
            return None, None
        return layer.weight[None, :, None, None], layer.bias[None, :, None, None]

    def _function_rows(self, node: fx.Node, first: int, last: int) -> Tensor:
        name, function = _name(node), cast(Callable[..., Tensor], node.target)
        if name == "getitem":
            channels, rows, columns = _slices(self._plain(node.args[1]), 4)[1:]
            start = range(*rows.indices(self._height(_source(node)))).start
            return self._rows(_source(node), first + start, last + start)[:, channels, :, columns]
        if name == "interpolate":
            factor, source = self._upscaling(node), _source(node)
            scaling = Scaling(up=factor, margin=BICUBIC_MARGIN)

            def resize(x: Tensor) -> Tensor:
                return F.interpolate(x, scale_factor=factor, mode=str(node.kwargs["mode"]))

            read = lambda *rows: self._rows(source, *rows)  # noqa: E731
            return apply_scaled(resize, scaling, (first, last), self._height(source), read)

        def given(each: fx.Node) -> Any:
            return self._rows(each, first, last) if self._is_map(each) else self._value(each)

        arguments, keywords = fx.map_arg((node.args, dict(node.kwargs)), given)
        if node.op == "call_method":
            return getattr(arguments[0], str(node.target))(*arguments[1:], **keywords)
        return function(*arguments, **keywords)

    def _value(self, node: Any) -> Any:
        """The value of what is not a map: a number, or a condition that is the same for all pixels."""
        if not isinstance(node, fx.Node) or not isinstance(self.values[node], Tensor):
            return self.values[node] if isinstance(node, fx.Node) else node
        if node.op == "get_attr":
            return self.network.get_parameter(str(node.target))
        if _name(node) == "getitem" and self._is_map(_source(node)):
            return self._rows(_source(node), 0, 1)[self._plain(node.args[1])]
        if node.op == "call_module":
            return self.layers[str(node.target)](self._value(_source(node)))
        arguments, keywords = fx.map_arg((node.args, dict(node.kwargs)), self._value)
        return node.target(*arguments, **keywords)  # type: ignore[operator]

    def _plain(self, argument: Any) -> Any:
        return fx.map_arg(argument, self._value)

    # What is known before the evaluation.

    def _trace(self) -> list[fx.Node]:
        try:
            return list(_LayerTracer().trace(self.network).nodes)
        except Exception as error:  # tracing raises many kinds of errors
            raise UnsupportedNetworkError(f"it cannot be traced: {str(error).splitlines()[0]}") from error

    def _shapes(self, input_shape: tuple[int, ...]) -> dict[fx.Node, Any]:
        """The value of each node, as a tensor without content, for an image of this size."""
        values: dict[fx.Node, Any] = {}

        class Recorder(fx.Interpreter):
            def run_node(self, n: fx.Node) -> Any:
                values[n] = super().run_node(n)
                return values[n]

        module = fx.GraphModule(self.network, self.nodes[0].graph)
        try:
            with FakeTensorMode(allow_non_fake_inputs=True), torch.no_grad():
                Recorder(module).run(torch.empty(input_shape, device=self._device))
        except Exception as error:
            raise UnsupportedNetworkError(f"it cannot be applied: {str(error).splitlines()[0]}") from error
        return values

    def _check(self, node: fx.Node) -> None:
        if node.op in ("placeholder", "output", "get_attr") or not isinstance(self.values[node], Tensor):
            return
        name = _name(node)
        if node.op == "call_module":
            layer = self._layer(node)
            if layer is None or not is_supported(layer):
                raise UnsupportedNetworkError(f"its layer {type(layer).__name__} is not supported")
        elif name == "getitem":
            if self._is_map(node):
                _slices(self._plain(node.args[1]), 4)
        elif name == "interpolate":
            others = set(node.kwargs) - {"size", "scale_factor", "mode"}
            if self._upscaling(node) < 1 or any(node.kwargs[key] for key in others):
                raise UnsupportedNetworkError("it interpolates in a way that is not supported")
        elif self._is_map(node):
            supported = name in POINTWISE_FUNCTIONS | COMBINING_FUNCTIONS
            heights = {self._height(each) for each in node.all_input_nodes if self._is_map(each)}
            if not supported or heights != {self._height(node)}:
                raise UnsupportedNetworkError(f"its operation {name} is not supported")

    def _choose_stored(self) -> set[fx.Node]:
        """The nodes that norms or several nodes take, if computing them again is too expensive."""
        stored: set[fx.Node] = set()
        costs: dict[fx.Node, float] = {}  # multiplications, if nothing is stored but what `stored` has
        for node in self.nodes:
            if not self._is_map(node):
                continue
            layer, count = self._layer(node), self.values[node].numel()
            inputs = sum(costs.get(each, 0) for each in node.all_input_nodes)
            costs[node] = inputs + count * (1 if layer is None else multiply_adds(layer))
            candidate = len(node.users) > 1 or self._needs_moments_of(node)
            is_dropout = layer in self.dropouts
            if node.op != "placeholder" and (is_dropout or (candidate and costs[node] > RECOMPUTE_LIMIT * count)):
                stored.add(node)
                costs[node] = 0
        return stored

    def _last_uses(self, passes: list[fx.Node]) -> Mapping[fx.Node, int]:
        """The last pass that reads each stored map."""
        return {source: index for index, node in enumerate(passes) for source in self._reads(node)}

    def _reads(self, node: fx.Node) -> set[fx.Node]:
        found = set[fx.Node]()
        remaining, seen = list(node.all_input_nodes), set[fx.Node]()
        while remaining:
            each = remaining.pop()
            if each in self.stored:
                found.add(each)
            elif each not in seen:
                seen.add(each)
                remaining.extend(each.all_input_nodes)
        return found | ({node} & self.stored)

    def _strips(self, node: fx.Node) -> list[Rows]:
        """Strips of a node's rows, of a height at which no map on the way from what is stored exceeds STRIP_BYTES.

        Active dropout is applied to the whole map, so that it draws the numbers that it draws for the whole image."""
        height, row_bytes = self._height(node), 1.0
        if self._layer(node) in self.dropouts:
            return [(0, height)]
        remaining, seen = [node], {node}
        while remaining:
            each = remaining.pop()
            if self._is_map(each):
                row_bytes = max(row_bytes, 4 * self.values[each].numel() / height)
            if each is node or each not in self.stored:
                new = [source for source in each.all_input_nodes if source not in seen]
                seen.update(new)
                remaining.extend(new)
        rows = max(4, int(STRIP_BYTES / row_bytes))
        return [(first, min(first + rows, height)) for first in range(0, height, rows)]

    def _upscaling(self, node: fx.Node) -> int:
        """The whole factor by which an interpolation enlarges, or 0."""
        (height, width), (rows, columns) = self.values[_source(node)].shape[2:], self.values[node].shape[2:]
        return rows // height if rows * width == columns * height and rows % height == 0 else 0

    def _needs_moments_of(self, node: fx.Node) -> bool:
        return any(
            self._needs_moments(layer) and _source(user) is node
            for user in node.users
            if user.op == "call_module" and (layer := self._layer(user)) is not None and self._is_map(node)
        )

    def _needs_moments(self, layer: nn.Module) -> bool:
        if isinstance(layer, nn.BatchNorm2d):
            return layer in self.batch_statistics
        return isinstance(layer, NORMS)

    def _layer(self, node: fx.Node) -> nn.Module | None:
        return self.layers[str(node.target)] if node.op == "call_module" else None

    def _is_map(self, node: Any) -> bool:
        value = self.values.get(node)
        return isinstance(value, Tensor) and value.dim() == 4

    def _height(self, node: fx.Node) -> int:
        return int(self.values[node].shape[2])

    @property
    def _device(self) -> torch.device:
        return next((each.device for each in self.network.parameters()), torch.device("cpu"))


class RunningMoments:
    """Accumulates the mean and variance of the channels over strips, merged in float64 (Chan et al., 1979)."""

    def __init__(self) -> None:
        self.count, self.mean, self.squares = 0, torch.zeros(()), torch.zeros(())

    def add(self, rows: Tensor) -> None:
        variance, mean = torch.var_mean(rows.float(), dim=(2, 3), keepdim=True, correction=0)
        count, variance, mean = rows.shape[2] * rows.shape[3], variance.double(), mean.double()
        total = self.count + count
        difference = mean - self.mean
        self.mean = self.mean + difference * (count / total)
        self.squares = self.squares + variance * count + difference.square() * (self.count * count / total)
        self.count = total

    def result(self) -> Moments:
        return Moments(self.mean.float(), (self.squares / self.count).float())


def _source(node: fx.Node) -> fx.Node:
    source = node.args[0]
    if not isinstance(source, fx.Node):
        raise UnsupportedNetworkError(f"its operation {_name(node)} is not supported")
    return source


def _name(node: fx.Node) -> str:
    return str(node.target) if isinstance(node.target, str) else getattr(node.target, "__name__", "")


def _slices(index: Any, dimensions: int) -> list[slice]:
    """An index as one slice for each dimension."""
    given = list(index) if isinstance(index, tuple) else [index]
    if Ellipsis in given:
        at = given.index(Ellipsis)
        given[at : at + 1] = [slice(None)] * (dimensions - len(given) + 1)
    slices = given + [slice(None)] * (dimensions - len(given))
    if not all(isinstance(each, slice) and each.step in (None, 1) for each in slices):
        raise UnsupportedNetworkError("it indexes its feature maps in a way that is not supported")
    return slices
