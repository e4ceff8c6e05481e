"""Precision and devices: the settings in the config, and whether this machine supports them."""

import os
import secrets
import shutil
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import torch
import torch.distributed as dist
from omegaconf import DictConfig, OmegaConf

from stylegan_lab.cores import THREADS_VARIABLE, num_cores
from stylegan_lab.data.datamodule import PREFETCH_BATCHES, SHARED_MEMORY
from stylegan_lab.errors import UserError, check_at_least

STORE_KEY = "stylegan_lab/run"  # the key of the run's folder name in torchrun's store
CHECKPOINT_VARIABLE = "STYLEGAN_LAB_CHECKPOINT"  # which the first rank has verified, for the ranks that it starts
PRECISIONS = {"32": "32-true", "16": "16-mixed", "bf16": "bf16-mixed"}
SLOW_BF16 = (
    "this CPU has no bfloat16 instructions; precision=bf16 is slower than 32 here, without AVX-512 about 100 times"
)


def check_hardware(config: DictConfig) -> None:
    wanted, accelerator = str(config.precision), str(config.strategy.accelerator)
    has_gpu = torch.cuda.is_available()
    if accelerator in ("gpu", "cuda") and not has_gpu:
        raise UserError(
            "device.no_gpu", "strategy.accelerator=gpu: no GPU is visible here; use strategy=cpu, or strategy=single"
        )
    if (named := lightning_precision(wanted, accelerator)) == "16-mixed" and (accelerator == "cpu" or not has_gpu):
        raise UserError(
            "device.precision_needs_gpu", f"precision={wanted} ({named}) needs a GPU; use precision=bf16, 32 or auto"
        )
    if config.strategy.get("sync_batchnorm") is True and (accelerator == "cpu" or not has_gpu):
        raise UserError(
            "device.sync_batchnorm_needs_gpu",
            "strategy.sync_batchnorm=true: PyTorch synchronizes batch norms on GPUs only; use false, auto, "
            "or networks without batch norm (generator.norm=instance)",
        )
    check_launched_processes(config)
    devices = config.strategy.devices
    if isinstance(devices, int):
        check_at_least("strategy.devices", devices, -1 if has_gpu else 1)
    if has_gpu and accelerator != "cpu" and isinstance(devices, int) and devices > torch.cuda.device_count():
        raise UserError(
            "device.too_few_gpus",
            f"strategy.devices={devices}: only {torch.cuda.device_count()} GPUs are visible here; "
            "set at most this number, or -1 to use all of them",
        )


def training_device(config: DictConfig) -> torch.device:
    """Return the kind of device on which a training with this config, and its evaluation, run. It is the GPU if there is
    one, unless the strategy sets cpu."""
    with_gpu = torch.cuda.is_available() and str(config.strategy.accelerator) in ("auto", "gpu", "cuda")
    return torch.device("cuda" if with_gpu else "cpu")


def check_shared_memory(workers: int, batch: int, folder: Path = SHARED_MEMORY) -> None:
    """Refuse more loader workers than fit into shared memory, which is often small in containers. `batch` is the size of a
    batch in bytes."""
    need = workers * PREFETCH_BATCHES * batch
    if not folder.is_dir() or need <= (free := shutil.disk_usage(folder).free):
        return
    fitting = free // (PREFETCH_BATCHES * batch)
    raise UserError(
        "device.shared_memory_too_small",
        f"data.num_workers={workers} needs {need / 1e6:.0f} MB of shared memory, and {folder} has {free / 1e6:.0f} MB free; "
        f"use data.num_workers={fitting}, or more shared memory (docker run --shm-size=1g)",
    )


def world_size(config: DictConfig) -> int:
    """Return the number of processes. It depends only on the settings of the strategy."""
    devices, nodes = config.strategy.devices, int(config.strategy.num_nodes)
    if isinstance(devices, int) and devices > 0:
        return devices * nodes
    if isinstance(devices, list | tuple) or OmegaConf.is_list(devices):
        return len(devices) * nodes
    return max(1, torch.cuda.device_count() if config.strategy.accelerator != "cpu" else 1) * nodes


def strategy_arguments(config: DictConfig) -> dict[str, Any]:
    """Return the arguments of Lightning's Trainer that the config group `strategy` sets."""
    arguments: dict[str, Any] = OmegaConf.to_container(config.strategy, resolve=True)  # type: ignore[assignment]
    if arguments["strategy"] == "ddp_spawn":
        arguments["strategy"] = (
            "ddp"  # rank_watchdog.py starts the processes; Lightning would have to pickle everything
        )
    if arguments.get("sync_batchnorm") == "auto":
        on_gpus = torch.cuda.is_available() and arguments["accelerator"] != "cpu"
        arguments["sync_batchnorm"] = on_gpus and world_size(config) > 1
    return arguments


def is_rank_zero() -> bool:
    """Whether this process is the first rank according to its environment variables. Works before the process group exists."""
    return not any(int(os.environ.get(name) or 0) for name in ("RANK", "NODE_RANK", "LOCAL_RANK", "SLURM_PROCID"))


def has_launched_ranks() -> bool:
    """Whether this process is a rank that a launcher, or another process of this program, has started."""
    return any(name in os.environ for name in ("LOCAL_RANK", "SLURM_STEP_ID"))


def shared_run_folder(parent: Path) -> Path | None:
    """Return one run folder for all processes of a job, each of which composes its own config. A restarted job gets the
    same folder.

    None if neither srun nor torchrun started this process.
    """
    if (job := os.environ.get("SLURM_JOB_ID")) and (step := os.environ.get("SLURM_STEP_ID")):
        return parent / f"slurm-{job}{f'-{step}' if step != '0' else ''}"
    if "TORCHELASTIC_RUN_ID" not in os.environ:
        return None
    if (store := _torchrun_store()) is None:
        raise UserError(
            "cluster.no_common_store",
            "the processes that torchrun started cannot agree on a name for the run's folder; set output_dir=FOLDER",
        )
    if is_rank_zero() and not store.check([STORE_KEY]):
        store.set(STORE_KEY, f"{time.strftime('%Y%m%d-%H%M%S')}-{secrets.token_hex(2)}")
    return parent / store.get(STORE_KEY).decode()


def chosen_by_first_rank(choose: Callable[[], Path | None]) -> Path | None:
    """Return the checkpoint that the first rank chooses. Only one rank should choose, because choosing reads the whole
    file, and this happens before the process group exists.

    Ranks that this training starts read the choice from an environment variable, and ranks that torchrun starts read it
    from torchrun's store. Ranks that srun starts share no store at this point, so each of them chooses for itself.
    """
    if CHECKPOINT_VARIABLE not in os.environ:
        store = _torchrun_store() if "TORCHELASTIC_RUN_ID" in os.environ else None
        key = f"{STORE_KEY}/checkpoint/{os.environ.get('TORCHELASTIC_RESTART_COUNT', 0)}"
        if store is None or is_rank_zero():
            os.environ[CHECKPOINT_VARIABLE] = str(choose() or "")
        if store is not None and is_rank_zero():
            store.set(key, os.environ[CHECKPOINT_VARIABLE])
        elif store is not None:
            os.environ[CHECKPOINT_VARIABLE] = store.get(key).decode()
    return Path(os.environ[CHECKPOINT_VARIABLE]) if os.environ[CHECKPOINT_VARIABLE] else None


def _torchrun_store() -> Any:
    if os.environ.get("TORCHELASTIC_USE_AGENT_STORE") != "True":
        return None
    return dist.TCPStore(os.environ["MASTER_ADDR"], int(os.environ["MASTER_PORT"]), is_master=False)  # type: ignore[attr-defined]


def check_launched_processes(config: DictConfig) -> None:
    """Refuse a strategy whose number of processes differs from the number of processes that srun or torchrun started."""
    by, name = ("torchrun", "WORLD_SIZE") if "TORCHELASTIC_RUN_ID" in os.environ else ("srun", "SLURM_NTASKS")
    if by == "srun" and "SLURM_STEP_ID" not in os.environ:
        return
    started, wanted = int(os.environ.get(name, 1)), world_size(config)
    if started != wanted:
        raise UserError(
            "cluster.wrong_process_count",
            f"{by} started {started} processes, but strategy.devices x strategy.num_nodes is {wanted}; "
            "set strategy=cluster strategy.devices=PROCESSES_PER_NODE and strategy.num_nodes=NODES",
        )


def limit_threads() -> None:
    """Limit torch's threads to the cores of this process. By default, torch ignores the CPU quota of a container."""
    if THREADS_VARIABLE not in os.environ and num_cores() < torch.get_num_threads():
        torch.set_num_threads(num_cores())


def lightning_precision(wanted: str, accelerator: str) -> str:
    """Return Lightning's name for a precision. `auto` means bf16 if the hardware supports it, and otherwise float32."""
    if wanted == "auto":
        return "bf16-mixed" if supports_bf16(accelerator) else "32-true"
    if wanted not in PRECISIONS:
        raise UserError(
            "config.unknown_choice", f"precision={wanted} is unknown; choices: auto, {', '.join(PRECISIONS)}"
        )
    return PRECISIONS[wanted]


def supports_bf16(accelerator: str) -> bool:
    """Whether the hardware itself computes in bfloat16. PyTorch accepts it everywhere, and emulates it slowly."""
    if accelerator != "cpu" and torch.cuda.is_available():
        return bool(torch.cuda.is_bf16_supported(including_emulation=False))
    features: dict[str, bool] = getattr(torch.cpu, "get_capabilities", dict)()  # newer versions of torch have it
    return bool(features.get("avx512_bf16") or features.get("amx_bf16") or features.get("bf16"))
