"""The file formats of `stylegan-lab export`. Each file is written, read again, and its outputs are compared with the model's."""

import json
import logging
import tempfile
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from itertools import chain
from pathlib import Path
from typing import Any

import safetensors.torch
import torch
from torch import Tensor

from stylegan_lab.errors import UserError
from stylegan_lab.export.exportable import Exportable, Inputs
from stylegan_lab.training.loaded_model import load

Compute = Callable[[Inputs], Tensor]
TOLERANCE = 1e-3  # of the outputs, which are in [-1, 1]; rounding alone is below 1e-4


def export_safetensors(exported: Exportable, path: Path) -> Compute:
    """Write the weights that are used after training, and the config that describes how to build the networks. Returns a function
    that computes outputs with the written file."""
    model = exported.model
    weights = {name: value.contiguous() for name, value in model.used_weights().items()}
    safetensors.torch.save_file(weights, path, metadata=dict(exported.metadata))
    again = load(path, trust=list(model.config.trust))
    again.module.style_seed = model.module.style_seed
    if "direction" not in exported.metadata:
        return lambda inputs: again.module(*inputs)
    direction = exported.metadata["direction"]
    return lambda inputs: torch.cat([again.module.translate(each, direction) for each in inputs[0].split(1)])


def export_pt2(exported: Exportable, path: Path) -> Compute:
    """Write a program of torch.export, which `torch.export.load` can read without this package. Returns a function that computes
    outputs with the written file."""
    program = trace(exported)
    about = dict(exported.metadata)
    if "min_size" in about:
        about["min_size"] = str(max(int(about["min_size"]), 2 * int(about["multiple_of"])))
    torch.export.save(program, path, extra_files={"metadata.json": json.dumps(about)})
    loaded = torch.export.load(path).module()
    return lambda inputs: loaded(*inputs)


def export_onnx(exported: Exportable, path: Path) -> Compute:
    require("onnxscript", "onnxruntime", extra="export")
    for name in (
        "torch.onnx",
        "onnxscript",
    ):  # they warn that torchvision is not installed, and of what they do not optimize
        logging.getLogger(name).setLevel(logging.ERROR)
    program = torch.onnx.export(
        trace(exported), exported.examples[0], dynamo=True, verbose=False,
        input_names=list(exported.input_names), output_names=[exported.output_name],
    )  # fmt: skip
    assert program is not None
    for node in program.model.graph.all_nodes():
        node.metadata_props.clear()  # where in the code of this machine it comes from
    program.model.metadata_props.update(exported.metadata)
    program.save(str(path))
    from stylegan_lab.export.onnx_translator import open_session

    session = open_session(path)

    def compute(inputs: Inputs) -> Tensor:
        named = {name: value.cpu().numpy() for name, value in zip(exported.input_names, inputs, strict=True)}
        return torch.from_numpy(session.run(None, named)[0])

    return compute


FORMATS: dict[str, Callable[[Exportable, Path], Compute]] = {
    "safetensors": export_safetensors,
    "onnx": export_onnx,
    "pt2": export_pt2,
}


def export_file(exported: Exportable, kind: str, target: Path) -> float:
    """Write a file in one of the formats, atomically. Returns the maximum absolute difference between its outputs and those of the
    model in float32."""
    with _partial_file(target) as partial:
        compute = FORMATS[kind](exported, partial)
        examples = [*exported.examples]
        if exported.smallest is not None and kind != "pt2":
            examples.append(exported.smallest)
        difference = max_difference(exported, compute, examples)
        if not difference <= TOLERANCE:
            raise UserError(
                "export.outputs_differ",
                f"{target} is not written, because its outputs differ from the model's by {difference:.2g}; "
                "choose another format (--to)",
            )
    return difference


@torch.no_grad()
def max_difference(exported: Exportable, compute: Compute, examples: Sequence[Inputs]) -> float:
    """Return the maximum absolute difference between the outputs of an export and the outputs of the model."""
    pairs = [(compute(inputs), exported.reference(*inputs)) for inputs in examples]
    return max(float((found.cpu() - expected.cpu()).abs().max()) for found, expected in pairs)


def trace(exported: Exportable) -> Any:
    """Return the model as a graph of torch operations, for inputs of any size."""
    if exported.module is None:
        raise UserError(
            "export.several_steps",
            f"{exported.model.description}, which runs its network several times with new random numbers, so it cannot be exported "
            "as one graph; use --to safetensors or --to hub, which keep its weights",
        )
    try:
        with torch.no_grad():
            program = torch.export.export(
                exported.module.eval(),
                tuple(exported.examples[0]),
                dynamic_shapes=dict(exported.dynamic_shapes),
                strict=False,
            )
    except Exception as error:  # tracing raises many kinds of errors
        reason = str(error).strip().splitlines()[0]
        raise UserError(
            "export.no_graph",
            f"{exported.metadata['model']} cannot be exported as a graph: {reason}; use --to safetensors to keep its weights",
        ) from error
    graphs = (each for each in program.graph_module.modules() if isinstance(each, torch.fx.GraphModule))
    for node in chain.from_iterable(each.graph.nodes for each in graphs):
        node.meta.pop("stack_trace", None)  # where in the code of this machine it comes from
    return program


def require(*modules: str, extra: str) -> None:
    """Refuse an export before it starts if a package of the extra `extra` is not installed."""
    for name in modules:
        try:
            __import__(name)
        except ImportError:
            raise UserError(
                "export.package_missing",
                f"this export needs {name}, which is not installed; run pip install 'stylegan_lab[{extra}]'",
            ) from None


@contextmanager
def _partial_file(target: Path) -> Iterator[Path]:
    """A file in a temporary folder beside the target, which replaces it when the block succeeds."""
    try:
        target.parent.mkdir(parents=True, exist_ok=True)
        with tempfile.TemporaryDirectory(prefix=f".{target.name}.", dir=target.parent) as folder:
            partial = Path(folder) / target.name
            yield partial
            for each in sorted(Path(folder).iterdir(), key=lambda path: path == partial):  # weights beside it first
                each.replace(target.with_name(each.name))
    except OSError as error:
        raise UserError(
            "export.not_writable", f"{target} cannot be written: {error.strerror or error}; give another OUT"
        ) from error
