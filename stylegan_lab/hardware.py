"""What a config asks of the hardware: precision, devices, and whether they are there."""

import os
import secrets
import shutil
import time
from pathlib import Path
from typing import Any

import torch
import torch.distributed as dist
from omegaconf import DictConfig, OmegaConf

from stylegan_lab.mistake import Mistake, at_least

SHARED_MEMORY = Path("/dev/shm")
AGREED = "stylegan_lab/run"  # what torchrun's processes ask its store for
BATCHES_AHEAD = 2  # of each loader worker
PRECISIONS = {"32": "32-true", "16": "16-mixed", "bf16": "bf16-mixed"}


def check_hardware(config: DictConfig) -> None:
    wanted, accelerator = str(config.precision), str(config.strategy.accelerator)
    has_gpu = torch.cuda.is_available()
    if accelerator in ("gpu", "cuda") and not has_gpu:
        raise Mistake("strategy.accelerator=gpu: no GPU is visible here; use strategy=cpu, or strategy=single")
    if (named := precision(wanted, accelerator)) == "16-mixed" and (accelerator == "cpu" or not has_gpu):
        raise Mistake(f"precision={wanted} ({named}) needs a GPU; use precision=bf16, 32 or auto")
    if config.strategy.get("sync_batchnorm") is True and (accelerator == "cpu" or not has_gpu):
        raise Mistake(
            "strategy.sync_batchnorm=true: PyTorch synchronizes batch norms on GPUs only; use false, auto, "
            "or nets without batch norm (translator.norm=instance)"
        )
    check_started(config)
    devices = config.strategy.devices
    if isinstance(devices, int):
        at_least("strategy.devices", devices, -1 if has_gpu else 1)
    if has_gpu and accelerator != "cpu" and isinstance(devices, int) and devices > torch.cuda.device_count():
        raise Mistake(f"strategy.devices={devices}: {torch.cuda.device_count()} GPUs are visible here")


def check_shared_memory(workers: int, batch: int, folder: Path = SHARED_MEMORY) -> None:
    """Loader workers hand batches of so many bytes over in shared memory, which containers are often short of."""
    need = workers * BATCHES_AHEAD * batch
    if not folder.is_dir() or need <= (free := shutil.disk_usage(folder).free):
        return
    fitting = free // (BATCHES_AHEAD * batch)
    raise Mistake(
        f"data.workers={workers} need {need / 1e6:.0f} MB of shared memory, and {folder} has {free / 1e6:.0f} MB free; "
        f"give data.workers={fitting}, or more of it (docker run --shm-size=1g)"
    )


def number_of_ranks(config: DictConfig) -> int:
    """How many processes will play, from the strategy's numbers alone."""
    devices, nodes = config.strategy.devices, int(config.strategy.num_nodes)
    if isinstance(devices, int) and devices > 0:
        return devices * nodes
    if isinstance(devices, list | tuple) or OmegaConf.is_list(devices):
        return len(devices) * nodes
    return max(1, torch.cuda.device_count() if config.strategy.accelerator != "cpu" else 1) * nodes


def strategy_arguments(config: DictConfig) -> dict[str, Any]:
    """What the strategy tells Lightning."""
    arguments: dict[str, Any] = OmegaConf.to_container(config.strategy, resolve=True)  # type: ignore[assignment]
    if (
        arguments["strategy"] == "ddp_spawn"
    ):  # whose processes we start ourselves: Lightning's would have to pickle everything
        arguments["strategy"] = "ddp"
    if arguments.get("sync_batchnorm") == "auto":
        on_gpus = torch.cuda.is_available() and arguments["accelerator"] != "cpu"
        arguments["sync_batchnorm"] = on_gpus and number_of_ranks(config) > 1
    return arguments


def is_first() -> bool:
    """Whether this process speaks for a training, said by the environment before its processes know each other."""
    return not any(int(os.environ.get(name) or 0) for name in ("RANK", "NODE_RANK", "LOCAL_RANK", "SLURM_PROCID"))


def agreed_folder(parent: Path) -> Path | None:
    """One folder for all processes of a job, which each compose their config alone; again the same when the job is started
    anew. None: nobody but this training starts processes."""
    if (job := os.environ.get("SLURM_JOB_ID")) and (step := os.environ.get("SLURM_STEP_ID")):
        return parent / f"slurm-{job}{f'-{step}' if step != '0' else ''}"
    if "TORCHELASTIC_RUN_ID" not in os.environ:
        return None
    if os.environ.get("TORCHELASTIC_USE_AGENT_STORE") != "True":
        raise Mistake("torchrun's processes cannot agree on a run's folder; give output_dir=FOLDER")
    store = dist.TCPStore(os.environ["MASTER_ADDR"], int(os.environ["MASTER_PORT"]), is_master=False)  # type: ignore[attr-defined]
    if is_first() and not store.check([AGREED]):
        store.set(AGREED, f"{time.strftime('%Y%m%d-%H%M%S')}-{secrets.token_hex(2)}")
    return parent / store.get(AGREED).decode()


def check_started(config: DictConfig) -> None:
    """Whether srun or torchrun started as many processes as the strategy counts on."""
    by, name = ("torchrun", "WORLD_SIZE") if "TORCHELASTIC_RUN_ID" in os.environ else ("srun", "SLURM_NTASKS")
    if by == "srun" and "SLURM_STEP_ID" not in os.environ:
        return
    started, wanted = int(os.environ.get(name, 1)), number_of_ranks(config)
    if started != wanted:
        raise Mistake(
            f"{by} started {started} processes, and strategy.devices x strategy.num_nodes is {wanted}; "
            "give strategy=cluster with strategy.devices=PROCESSES_PER_NODE and strategy.num_nodes=NODES"
        )


def precision(wanted: str, accelerator: str) -> str:
    """Lightning's name for a precision; `auto` takes bf16 where the hardware multiplies in it."""
    if wanted == "auto":
        return "bf16-mixed" if _has_bf16(accelerator) else "32-true"
    if wanted not in PRECISIONS:
        raise Mistake(f"precision={wanted} is unknown; choices: auto, {', '.join(PRECISIONS)}")
    return PRECISIONS[wanted]


def _has_bf16(accelerator: str) -> bool:
    if accelerator != "cpu" and torch.cuda.is_available():
        return bool(torch.cuda.is_bf16_supported(including_emulation=False))
    features: dict[str, bool] = getattr(torch.cpu, "get_capabilities", dict)()  # asked of newer versions only
    return bool(features.get("avx512_bf16") or features.get("amx_bf16") or features.get("bf16"))
