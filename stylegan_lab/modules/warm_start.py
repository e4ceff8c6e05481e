"""A warm start: nets that begin with the weights of others, which may be of another variant or match only in part."""

from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any

from torch import Tensor, nn

from stylegan_lab.checkpoint import read_checkpoint
from stylegan_lab.manifest import Manifest
from stylegan_lab.mistake import Mistake

State = Mapping[str, Tensor]


def warm_start(nets: Mapping[str, nn.Module], init_from: str) -> list[str]:
    """Fill each net from the net of a run, or of a checkpoint, that fits it best; says what matched and what did not.
    Of two that fit as well, as a CycleGAN's, the one of the target domain `b` is taken."""
    path = Path(init_from)
    if path.is_dir():
        path = Manifest.of(path / "checkpoints").named("last") or path
    if not path.is_file():
        raise Mistake(f"model.init_from={init_from} is neither a run with a checkpoint nor a checkpoint (.ckpt)")
    offered = dict(_nets_of(read_checkpoint(path)))
    told = [_fill(name, net, offered) for name, net in nets.items()]
    if all(matched == 0 for matched, _ in told):
        raise Mistake(
            f"model.init_from={init_from}: nothing in it fits {' or '.join(nets)}; it holds {', '.join(offered)}"
        )
    return [sentence for _, sentence in told]


def _fill(name: str, net: nn.Module, offered: Mapping[str, State]) -> tuple[int, str]:
    mine = net.state_dict()

    def fitting(state: State) -> dict[str, Tensor]:
        return {key: value for key, value in state.items() if key in mine and mine[key].shape == value.shape}

    best = max(
        offered, key=lambda other: (len(fitting(offered[other])), other == name, other.endswith("_b")), default=""
    )
    found = fitting(offered[best]) if best else {}
    net.load_state_dict({**mine, **found})
    left = [key for key in mine if key not in found]
    rest = f"; not: {', '.join(left[:3])}{f' and {len(left) - 3} more' if len(left) > 3 else ''}" if left else ""
    return len(found), f"{name}: {len(found)} of {len(mine)} tensors from {best or 'nothing'}{rest}"


def _nets_of(contents: dict[str, Any]) -> Iterable[tuple[str, State]]:
    """Averages first, which are what a run is used with; then nets as trained."""
    averages = contents.get("ema", {})
    yield from averages.items()
    names = dict.fromkeys(key.split(".")[0] for key in contents["state_dict"])
    for name in names:
        if name not in averages:
            state = {
                key.removeprefix(f"{name}."): value
                for key, value in contents["state_dict"].items()
                if key.startswith(f"{name}.")
            }
            yield name, state
