"""Warm start: initializes networks with the weights of another run. That run may be of another model, and its networks may match
only in part."""

from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any

from torch import Tensor, nn

from stylegan_lab.errors import UserError
from stylegan_lab.runs.checkpoint import read_checkpoint
from stylegan_lab.runs.checkpoint_index import CheckpointIndex

StateMapping = Mapping[str, Tensor]


def warm_start(networks: Mapping[str, nn.Module], init_from: str) -> list[str]:
    """Load the weights of the best matching network of a run or checkpoint into each network. Returns a sentence for each
    network.

    If two networks of the checkpoint match equally well, as CycleGAN's do, the one of the target domain `b` is used.
    """
    path = Path(init_from)
    if path.is_dir():
        path = CheckpointIndex.read(path / "checkpoints").path_of("last") or path
    if not path.is_file():
        raise UserError(
            "checkpoint.not_found",
            f"model.init_from={init_from} is neither a run with a checkpoint nor a checkpoint; give one of these",
        )
    sources = dict(_networks_of(read_checkpoint(path)))
    results = [_load_best_match(name, network, sources) for name, network in networks.items()]
    if all(matched == 0 for matched, _ in results):
        raise UserError(
            "model.init_from_mismatch",
            f"model.init_from={init_from}: none of its networks ({', '.join(sources)}) has tensors that fit "
            f"{' or '.join(networks)}; choose another run or checkpoint, or set the generator= that it was trained with",
        )
    return [sentence for _, sentence in results]


def _load_best_match(name: str, network: nn.Module, sources: Mapping[str, StateMapping]) -> tuple[int, str]:
    own = network.state_dict()

    def matching(state: StateMapping) -> dict[str, Tensor]:
        return {key: value for key, value in state.items() if key in own and own[key].shape == value.shape}

    best = max(
        sources, key=lambda other: (len(matching(sources[other])), other == name, other.endswith("_b")), default=""
    )
    matched = matching(sources[best]) if best else {}
    network.load_state_dict({**own, **matched})
    missing = [key for key in own if key not in matched]
    more = f" and {len(missing) - 3} more" if len(missing) > 3 else ""
    rest = f"; not: {', '.join(missing[:3])}{more}" if missing else ""
    return len(matched), f"{name}: {len(matched)} of {len(own)} tensors from {best or 'nothing'}{rest}"


def _networks_of(contents: dict[str, Any]) -> Iterable[tuple[str, StateMapping]]:
    """Return the networks of a checkpoint: the EMA networks, then those that have no EMA."""
    ema = contents.get("ema", {})
    yield from ema.items()
    names = dict.fromkeys(key.split(".")[0] for key in contents["state_dict"])
    for name in names:
        if name not in ema:
            state = {
                key.removeprefix(f"{name}."): value
                for key, value in contents["state_dict"].items()
                if key.startswith(f"{name}.")
            }
            yield name, state
