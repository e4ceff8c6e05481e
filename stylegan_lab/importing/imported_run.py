"""Creates a run from imported generators: a config, a checkpoint at iteration 0, and a record of the source file."""

import json
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from hydra.errors import HydraException
from omegaconf import DictConfig
from omegaconf.errors import OmegaConfBaseException
from torch import nn

import stylegan_lab.data.resolvers  # noqa: F401  so that configs can be resolved
from stylegan_lab.config.compose import compose_config
from stylegan_lab.config.hydra_errors import to_user_error
from stylegan_lab.config.instantiate import config_to_record
from stylegan_lab.config.overrides import to_hydra_override
from stylegan_lab.errors import UserError
from stylegan_lab.files.atomic_write import write_text_atomic
from stylegan_lab.files.download import file_digest
from stylegan_lab.importing.imported import ImportedGenerator
from stylegan_lab.models.base import BaseModel
from stylegan_lab.runs.checkpoint import write_checkpoint
from stylegan_lab.runs.checkpoint_index import CheckpointIndex
from stylegan_lab.runs.environment import describe_environment
from stylegan_lab.runs.run import IMPORT_RECORD, Run, new_run
from stylegan_lab.runs.state import RunState
from stylegan_lab.training.checks import check_values
from stylegan_lab.training.experiment import build_module

RUNS = Path("runs/imported")
BOTH_DIRECTIONS = ("a_to_b", "b_to_a")


def create_run(
    generators: Sequence[ImportedGenerator],
    sources: Sequence[Mapping[str, Any]],
    output: Path | None,
    settings: Sequence[str] = (),
) -> Run:
    """Create a run from one generator, or from two for both directions. `sources` are stored in the run, and `settings` override
    its config."""
    overrides = config_overrides(generators, settings)
    config = _compose(overrides)
    module = build_module(config)
    assert isinstance(module, BaseModel), "models of this package are"
    for name, generator in zip(_networks(module, len(generators)), generators, strict=True):
        _load(getattr(module, name), generator)
    if output is not None and (output / "config.yaml").exists():
        raise UserError("run.already_exists", f"--output {output} already is a run; give another folder")
    run = new_run(RUNS) if output is None else Run(output)
    run.create()
    with run.lock():
        _write(run, module, config, overrides)
        record = {"schema": 1, "sources": [dict(source) for source in sources], **_described(generators[0])}
        write_text_atomic(run.folder / IMPORT_RECORD, json.dumps(record, indent=2) + "\n")
    return run


def source_of(path: Path, network: str) -> dict[str, Any]:
    """Describe an imported file and the name of the network in it, for the record of the run."""
    return {"file": path.name, "network": network, "bytes": path.stat().st_size, "sha256": file_digest(path)}


def config_overrides(generators: Sequence[ImportedGenerator], settings: Sequence[str] = ()) -> list[str]:
    """Return the overrides that describe the run. The user's `settings` come last, so that they take precedence."""
    first = generators[0]
    model = first.model if len(generators) == 1 else "cyclegan"
    own = [each for each in first.overrides if model == first.model or not each.startswith("model.")]
    values = {name: json.dumps(value) if isinstance(value, list) else value for name, value in first.settings.items()}
    return [
        f"model={model}",
        f"generator={first.generator}",
        *(f"++generator.{name}={value}" for name, value in values.items()),
        *own,
        "logger=none",
        *map(to_hydra_override, settings),
    ]


def _compose(overrides: Sequence[str]) -> DictConfig:
    try:
        config = compose_config(overrides)
        check_values(config)
    except (HydraException, OmegaConfBaseException) as error:
        raise to_user_error(error, overrides) from error
    return config


def _networks(module: BaseModel, count: int) -> Sequence[str]:
    """The names of the networks that get the generators, the one of direction a2b first."""
    networks = BOTH_DIRECTIONS if hasattr(module, BOTH_DIRECTIONS[0]) else ("generator",)
    if not all(hasattr(module, name) for name in networks[:count]) or count > len(networks):
        raise UserError(
            "import.model_mismatch",
            f"model={type(module).__name__} has no generator for these weights; choose another model",
        )
    return networks[:count]


def _load(network: nn.Module, generator: ImportedGenerator) -> None:
    own, found = network.state_dict(), generator.weights
    differing = [
        f"{name}: {tuple(found[name].shape) if name in found else 'missing'} instead of {tuple(tensor.shape)}"
        for name, tensor in own.items()
        if name not in found or found[name].shape != tensor.shape
    ]
    differing += [f"{name}: not in this network" for name in found if name not in own]
    if differing:
        more = f" and {len(differing) - 3} more" if len(differing) > 3 else ""
        listed = "; ".join(differing[:3])
        raise UserError(
            "import.generator_mismatch",
            f"{generator.architecture} does not fit {type(network).__name__}: {listed}{more}. Choose a model "
            "or generator settings that fit",
        )
    network.load_state_dict(found)


def _write(run: Run, module: BaseModel, config: DictConfig, overrides: list[str]) -> None:
    recorded = config_to_record(config)
    path = run.checkpoints / "000000.ckpt"
    write_checkpoint({"config": recorded, "state_dict": module.state_dict(), "iteration": 0}, path)
    CheckpointIndex.read(run.checkpoints).link_and_prune(path, is_best=False, keep=None)
    RunState("finished", 0, 0).write(run.folder)
    run.record_config(recorded, overrides, describe_environment(world_size=1))


def _described(generator: ImportedGenerator) -> dict[str, Any]:
    return {"architecture": generator.architecture, **dict(generator.facts), "notes": list(generator.notes)}
