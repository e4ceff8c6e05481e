"""A device for tests without a GPU. Its tensors say `simulated:0` and compute on the CPU. As on a GPU, operations on tensors of
both devices raise, and random numbers come from a generator of the device. Places where the host would wait for a GPU are counted.

It is torch's PrivateUse1 backend and stays for the rest of a process, so tests run it in a process of their own.
What it cannot show: speed, memory, and which operations CUDA's autocast keeps in float32.
"""

import json
import sys
from collections import Counter
from collections.abc import Callable
from pathlib import Path
from typing import Any
from weakref import WeakValueDictionary

import torch
from torch import Tensor
from torch.utils import _pytree as pytree
from torch.utils import backend_registration
from torch.utils._python_dispatch import TorchDispatchMode, return_and_correct_aliasing

import stylegan_lab

NAME = "simulated"
IS_SUPPORTED = hasattr(backend_registration, "_setup_privateuseone_for_python_backend")
PACKAGE, TORCH = (str(Path(module.__file__).parent) + "/" for module in (stylegan_lab, torch))
# Operations whose result, or its shape, the host needs.
READS = ("_local_scalar_dense", "equal", "is_nonzero", "nonzero", "masked_select", "unique", "_unique", "bincount")
MAY_MIX = ("copy_", "_to_copy", "index.Tensor", "index_put", "_index_put_impl_")

waits: Counter[str] = Counter()  # by what waits and where, since the counter was cleared


def device() -> torch.device:
    return torch.device(NAME, 0)


class SimulatedTensor(Tensor):
    """A tensor of the device, around one of the host."""

    host: Tensor
    __torch_function__ = torch._C._disabled_torch_function_impl

    @staticmethod
    def __new__(cls, host: Tensor, requires_grad: bool = False) -> "SimulatedTensor":
        made = Tensor._make_wrapper_subclass(
            cls, host.size(), strides=host.stride(), storage_offset=host.storage_offset(), dtype=host.dtype,
            device=device(), requires_grad=requires_grad,
        )  # fmt: skip
        made.host = host
        return made

    @classmethod
    def __torch_dispatch__(cls, function: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
        return run_on_device(function, args, kwargs or {})

    @property
    def data(self) -> Tensor:  # type: ignore[override]
        return SimulatedTensor(self.host.detach())

    @data.setter
    def data(self, other: "SimulatedTensor") -> None:
        self.host = other.host

    def tolist(self) -> Any:
        count_wait("tolist")
        return self.host.tolist()

    def __reduce_ex__(self, protocol: Any) -> Any:
        count_wait("pickle")
        return self.host.__reduce_ex__(protocol)


class SimulatedGenerator(torch.Generator):
    """A generator of the device or of the host."""

    def __new__(cls, on: Any = "cpu", device: Any = None) -> "SimulatedGenerator":
        made = super().__new__(cls)
        made.on = torch.device(on if device is None else device)
        if made.on.type == NAME:
            of_device[made._cdata] = made
        return made

    @property
    def device(self) -> torch.device:  # type: ignore[override]
        return self.on


of_device = WeakValueDictionary[
    int, SimulatedGenerator
]()  # by what torch keeps of a generator, which it wraps anew for each mode


class Mode(TorchDispatchMode):
    """Sends what makes tensors on the device, or has arguments there, to `run_on_device`."""

    def __torch_dispatch__(self, function: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
        kwargs = kwargs or {}
        has_tensors = any(isinstance(each, SimulatedTensor) for each in pytree.arg_tree_leaves(*args, **kwargs))
        return (run_on_device if has_tensors or is_there(kwargs.get("device")) else call)(function, args, kwargs)


def call(function: Any, args: Any, kwargs: Any) -> Any:
    return function(*args, **kwargs)


def is_there(where: Any) -> bool:
    return where is not None and torch.device(where).type == NAME


def run_on_device(function: Any, args: Any, kwargs: Any) -> Any:
    """Compute an operation on the host's tensors, after the checks that a GPU would make."""
    name, target = str(function).removeprefix("aten."), kwargs.get("device")
    check_devices(name, args, kwargs)
    count_waits_of(name, args, kwargs)
    on_host = {**pytree.tree_map(to_host, kwargs), **({} if target is None else {"device": "cpu"})}
    if torch.Tag.nondeterministic_seeded in function.tags:
        out = draw(function, pytree.tree_map(to_host, args), on_host)
    else:
        out = function(*pytree.tree_map(to_host, args), **on_host)
    if target is not None and not is_there(target):
        return out
    if name.startswith("copy_") and not isinstance(args[0], SimulatedTensor):
        return args[0]
    out = pytree.tree_map(lambda each: SimulatedTensor(each) if type(each) is Tensor else each, out)
    return return_and_correct_aliasing(function, args, kwargs, out)


def to_host(value: Any) -> Any:
    return value.host if isinstance(value, SimulatedTensor) else value


def check_devices(name: str, args: Any, kwargs: Any) -> None:
    tensors = [each for each in pytree.arg_tree_leaves(*args, **kwargs) if isinstance(each, Tensor)]
    min_dim = (
        0 if name.startswith(("cat", "stack")) else 1
    )  # a scalar of the host may stand beside tensors of the device
    of_host = [each for each in tensors if not isinstance(each, SimulatedTensor) and each.dim() >= min_dim]
    if of_host and len(of_host) < len(tensors) and not name.startswith(MAY_MIX):
        raise RuntimeError(f"Expected all tensors to be on the same device ({name})")
    generator = kwargs.get("generator")
    if generator is not None and generator._cdata not in of_device:
        raise RuntimeError(f"Expected a generator of the device, but found one of {generator.device} ({name})")


def draw(function: Any, args: Any, kwargs: Any) -> Any:
    """Draw from the device's generator, or from the one that is given."""
    if kwargs.get("generator") is not None:
        return function(*args, **kwargs)
    before = torch.get_rng_state()
    torch.set_rng_state(Backend.rng_state)
    try:
        return function(*args, **kwargs)
    finally:
        Backend.rng_state = torch.get_rng_state()
        torch.set_rng_state(before)


def count_waits_of(name: str, args: Any, kwargs: Any) -> None:
    if name.startswith(READS):
        count_wait(name)
    elif name.startswith("_to_copy") and kwargs.get("device") is not None:
        count_transfer(args[0], is_there(kwargs["device"]), kwargs.get("non_blocking"))
    elif name.startswith("copy_"):
        count_transfer(args[1], isinstance(args[0], SimulatedTensor), args[2] if len(args) > 2 else False)
    elif name.startswith(("index.Tensor", "index_put", "_index_put_impl_")):
        for index in args[1]:
            if index is not None and not isinstance(index, SimulatedTensor) and index.dim() > 0:
                count_wait("index of the host")
            elif index is not None and index.dtype in (torch.bool, torch.uint8):
                count_wait("boolean index")


def count_transfer(source: Tensor, to_device: bool, non_blocking: Any) -> None:
    """A copy to the host waits even if it is not blocking, since its result is read there."""
    if isinstance(source, SimulatedTensor) != to_device and not (to_device and (non_blocking or source.dim() == 0)):
        count_wait("copy to the device" if to_device else "copy to the host")


def count_wait(what: str) -> None:
    """Count a wait at the innermost line of the package, or of any code but torch's."""
    frames, frame = list[Any](), sys._getframe(1)
    while frame is not None:
        frames.append(frame)
        frame = frame.f_back
    others = [each for each in frames if not each.f_code.co_filename.startswith((TORCH, __file__, "<"))]
    places = [each for each in others if each.f_code.co_filename.startswith(PACKAGE)] or others or frames[-1:]
    waits[f"{what} at {places[0].f_code.co_filename.removeprefix(PACKAGE)}:{places[0].f_lineno}"] += 1


class Backend:
    """The device's module, `torch.simulated`."""

    rng_state = torch.Generator().get_state()

    @staticmethod
    def is_available() -> bool:
        return True

    is_initialized = is_available

    @staticmethod
    def current_device() -> int:
        return 0

    @staticmethod
    def device_count() -> int:
        return 1

    @staticmethod
    def _is_in_bad_fork() -> bool:
        return False

    @staticmethod
    def get_amp_supported_dtype() -> list[torch.dtype]:
        return [torch.bfloat16, torch.float16]

    @classmethod
    def manual_seed_all(cls, seed: int) -> None:
        cls.rng_state = torch.Generator().manual_seed(seed).get_state()

    manual_seed = manual_seed_all

    @classmethod
    def get_rng_state(cls, device: Any = 0) -> Tensor:
        return cls.rng_state

    @classmethod
    def set_rng_state(cls, state: Tensor, device: Any = 0) -> None:
        cls.rng_state = state


def install() -> torch.device:
    """Add the device to torch, for the rest of this process."""
    backend_registration._setup_privateuseone_for_python_backend(NAME, backend_module=Backend)
    torch.__future__.set_swap_module_params_on_conversion(True)
    torch.Generator = SimulatedGenerator  # type: ignore[misc]
    torch.tensor, torch.as_tensor = make_and_move(torch.tensor), make_and_move(torch.as_tensor)
    Mode().__enter__()
    return device()


def make_and_move(make: Callable[..., Tensor]) -> Callable[..., Tensor]:
    """torch.tensor, which moves what it makes where no mode sees it."""

    def made_there(data: Any, *, device: Any = None, **named: Any) -> Tensor:
        return make(data, **named).to(device) if is_there(device) else make(data, device=device, **named)

    return made_there


def train_on_it(waits_file: str = "waits.json") -> None:
    """Let `stylegan-lab train` use the device, for its metrics too. The waits of each iteration are written to a file."""
    import lightning as L
    from lightning.pytorch.accelerators import CPUAccelerator

    from stylegan_lab.evaluation import feature_extractors, perceptual_metrics
    from stylegan_lab.training import evaluate, fit, loaded_model

    class SimulatedAccelerator(CPUAccelerator):
        def setup_device(self, device: torch.device) -> None:
            pass

    class ClearWaits(L.Callback):
        def on_train_batch_start(self, *_: Any) -> None:
            waits.clear()

    class WriteWaits(L.Callback):
        def on_train_batch_end(self, trainer: L.Trainer, pl_module: Any, *_: Any) -> None:
            by_iteration[pl_module.iteration] = dict(waits)
            Path(waits_file).write_text(json.dumps(by_iteration))

    def build_trainer(*args: Any) -> L.Trainer:
        trainer = original(*args)
        trainer.strategy.accelerator, trainer.strategy._root_device = SimulatedAccelerator(), there
        trainer.callbacks = [ClearWaits(), *trainer.callbacks, WriteWaits()]
        return trainer

    there, original, by_iteration = install(), fit.build_trainer, dict[int, dict[str, int]]()
    fit.build_trainer = build_trainer
    evaluate.default_device = loaded_model.default_device = lambda: there
    for module in (feature_extractors, perceptual_metrics):
        module.rgb_on_device = lambda images: feature_extractors_rgb(images).to(there)
    feature_extractors_rgb = lambda images: images[:, : 3 if images.shape[1] >= 3 else 1].expand(-1, 3, -1, -1)  # noqa: E731
