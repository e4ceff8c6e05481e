"""Checks that need a GPU: every variant in each precision, exact resumption, speed settings, waits for the GPU, and memory.

    python -m benchmarks.gpu_checklist                    # on a machine with a GPU, without network
    python -m benchmarks.gpu_checklist --peer CHECKOUT    # also the speed beside the reference code
    python -m benchmarks.gpu_checklist --cpu --only resume,profile   # tries the script itself without a GPU

Each check runs in a separate process. Its result or error is recorded in benchmarks/results/gpu_checklist.json.
"""

import argparse
import json
import sys
import tempfile
import warnings
from collections.abc import Callable, Sequence
from datetime import date
from pathlib import Path
from typing import Any

import lightning as L
import torch

from benchmarks.machine import describe_machine
from benchmarks.measure import RESULTS, own_process, write_results
from benchmarks.training_step import build, train
from stylegan_lab.config.compose import compose_config
from stylegan_lab.config.paths import config_choices
from stylegan_lab.runs.checkpoint import read_checkpoint
from stylegan_lab.training.train import train as train_run

NOISE_TO_IMAGE = ("experiment=smoke_generation",)
IMAGE_TO_IMAGE = ("experiment=smoke",)
# Settings of single models that the smallest trainings need besides.
NEEDS = {"adain": ("generator=adain_decoder",), "unsb": ("generator=unsb_tiny", "discriminator=unsb_tiny")}
PRECISIONS = ("32", "bf16", "16")
SPEED_SETTINGS = {
    "default": (),
    "tf32": ("tf32=true",),
    "no tf32": ("tf32=false",),
    "channels_last": ("channels_last=true",),
    "compile": ("compile=true",),
    "compile, reduce-overhead": ("compile=reduce-overhead",),
    "fused Adam": ("optimizer.fused=true",),
}
ITERATIONS = 20


def main() -> None:
    arguments = parse_arguments()
    if not torch.cuda.is_available() and not arguments.cpu:
        print("No GPU is visible here, so nothing of this list can be checked.")
        return
    results: dict[str, Any] = {"date": str(date.today()), "environment": describe_machine(), "checks": {}}
    for name, settings in planned(arguments):
        try:
            result = own_process("gpu_checklist", settings)
        except RuntimeError as error:
            result = {"error": str(error).strip().splitlines()[-1]}
        results["checks"][name] = result
        print(f"{name}: {json.dumps(result)}", flush=True)
    write_results(arguments.output, results)


def parse_arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--cpu", action="store_true", help="run on the CPU, to try the script itself")
    parser.add_argument("--only", default=None, metavar="CHECKS", help=f"of {', '.join(CHECKS)}")
    parser.add_argument("--size", type=int, default=256, help="pixels of the images that speed is measured on")
    parser.add_argument(
        "--peer", type=Path, metavar="DIR", help="a checkout of the reference code (benchmarks/peer.py)"
    )
    parser.add_argument("--output", type=Path, default=RESULTS / "gpu_checklist.json")
    return parser.parse_args()


def planned(arguments: argparse.Namespace) -> list[tuple[str, dict[str, Any]]]:
    """Return the names and settings of the checks. Each check is run as `python -m benchmarks.gpu_checklist SETTINGS`."""
    wanted = arguments.only.split(",") if arguments.only else list(CHECKS)
    sized = [f"data.size={arguments.size}"]
    plan: list[tuple[str, dict[str, Any]]] = []
    for check in wanted:
        if check == "variants":
            pairs = ((model, precision) for model in sorted(models()) for precision in PRECISIONS)
            plan += [
                (f"{check} {model} {each}", {"check": check, "model": model, "precision": each})
                for model, each in pairs
            ]
        elif check == "speed":
            for name, overrides in SPEED_SETTINGS.items():
                settings = {"check": check, "overrides": ["model=cyclegan", *sized, *available(overrides)]}
                plan += [(f"{check} {name}", settings)] if len(available(overrides)) == len(overrides) else []
            settings = {
                "check": check,
                "overrides": ["model=cyclegan", *sized, "data.batch_size=16"],
                "precision": "bf16",
                "peak": True,
            }
            plan.append((f"{check} batch 16", settings))
        elif check == "peer":
            for precision in ("32", "bf16") if arguments.peer else ():
                settings = {
                    "check": check,
                    "folder": str(arguments.peer.resolve()),
                    "size": arguments.size,
                    "precision": precision,
                }
                plan.append((f"{check} {precision}", settings))
        elif check in ("waits", "profile"):
            plan += [
                (f"{check} {model}", {"check": check, "model": model}) for model in ("cyclegan", "cut", "stylegan2")
            ]
        elif check != "two_gpus" or torch.cuda.device_count() > 1:
            plan.append((check, {"check": check}))
    return plan


def models() -> list[str]:
    return [name for name in config_choices("model") if name != "gatys"]


def available(overrides: Sequence[str]) -> list[str]:
    """Return the overrides whose top-level key exists in the config of this version."""
    config = compose_config()
    return [each for each in overrides if each.split("=")[0].split(".")[0] in config]


def smallest(model: str) -> list[str]:
    """Return the overrides of the smallest training of a model."""
    base = NOISE_TO_IMAGE if "latents" in compose_config([f"model={model}"]).model else IMAGE_TO_IMAGE
    return [*base, f"model={model}", *NEEDS.get(model, ())]


class Recorder(L.Callback):
    """Records whether the losses of each iteration are finite, and the smallest gradient scale in float16."""

    def __init__(self) -> None:
        self.finite, self.scale = list[bool](), float("inf")

    def on_train_batch_end(self, trainer: L.Trainer, pl_module: Any, *_: Any) -> None:
        self.finite.append(all(bool(torch.isfinite(each).all()) for each in pl_module.latest_losses.values()))
        scaler = getattr(trainer.precision_plugin, "scaler", None)
        self.scale = min(self.scale, scaler.get_scale()) if scaler is not None else self.scale


def variants(model: str, precision: str) -> dict[str, Any]:
    """Train twenty iterations, and check that the losses are finite and that the gradient scale of float16 is at least 1."""
    recorder = Recorder()
    train(build([*smallest(model), f"precision={precision}"], ITERATIONS), recorder)
    scale = recorder.scale if recorder.scale != float("inf") else None
    return {"iterations": len(recorder.finite), "finite": sum(recorder.finite), "smallest_scale": scale}


def resume() -> dict[str, Any]:
    """Check that four iterations, and two iterations followed by a resume and two more, give bit-for-bit the same weights."""
    settings = ["experiment=smoke", "deterministic=true", "logger=none", "evaluate=false", "iterations=4"]
    settings += ["callbacks.checkpointing.every=2", "callbacks.checkpointing.keep=null"]
    with tempfile.TemporaryDirectory() as folder:
        whole = train_run(*settings, f"output_dir={folder}/whole")
        parts = train_run(*settings, f"output_dir={folder}/parts")
        resumed = train_run(f"resume={parts.checkpoint('000002')}")
        states = [read_checkpoint(run.checkpoint("last"))["state_dict"] for run in (whole, resumed)]
    return {"bit_exact": all(torch.equal(value, states[1][name]) for name, value in states[0].items())}


def two_gpus() -> dict[str, Any]:
    """Train twenty iterations on two GPUs."""
    with tempfile.TemporaryDirectory() as folder:
        settings = [
            "experiment=smoke",
            "logger=none",
            f"iterations={ITERATIONS}",
            "strategy=ddp_spawn",
            "strategy.devices=2",
        ]
        state = train_run(*settings, f"output_dir={folder}/run").state
    return {"status": state.status if state else None}


class WaitCounter(L.Callback):
    """Records each time that the host waits for the GPU, in one iteration in which nothing is logged."""

    def __init__(self, iteration: int) -> None:
        self.iteration, self.waits, self._caught = iteration, list[str](), warnings.catch_warnings(record=True)

    def on_train_batch_start(self, trainer: L.Trainer, pl_module: Any, *_: Any) -> None:
        if pl_module.iteration + 1 == self.iteration:  # counted up after this hook
            self._found = self._caught.__enter__()
            warnings.simplefilter("always")
            torch.cuda.set_sync_debug_mode("warn")
        elif pl_module.iteration == self.iteration:
            torch.cuda.set_sync_debug_mode("default")
            self._caught.__exit__(None, None, None)
            self.waits = [f"{Path(each.filename).name}:{each.lineno}" for each in self._found or ()]


def waits(model: str) -> dict[str, Any]:
    """Count how often the host waits for the GPU in an iteration, and list the lines of code that wait."""
    if not torch.cuda.is_available():
        return {"skipped": "no GPU"}
    counter = WaitCounter(5)
    train(build(smallest(model), 7), counter)
    return {"waits": len(counter.waits), "lines": sorted(set(counter.waits))}


def dropout() -> dict[str, Any]:
    """Check that dropout masks differ between two seeds, and are equal in two trainings with the same seed."""
    masks = [first_mask(seed) for seed in (0, 1, 0)]
    return {"seeds_differ": not torch.equal(masks[0], masks[1]), "one_seed_agrees": torch.equal(masks[0], masks[2])}


def first_mask(seed: int) -> torch.Tensor:
    """Return the mask that dropout draws on the device at the first iteration of a training."""
    experiment = build(["experiment=smoke", "model=pix2pix", f"seed={seed}"], 1)
    device = "cuda" if torch.cuda.is_available() else "cpu"
    masks: list[torch.Tensor] = []

    class FirstMask(L.Callback):
        def on_train_batch_start(self, *_: Any) -> None:
            masks.append(torch.nn.functional.dropout(torch.ones(1000, device=device)).cpu())

    train(experiment, FirstMask())
    return masks[0]


def speed(overrides: Sequence[str], precision: str = "32", peak: bool = False) -> dict[str, Any]:
    """Measure the speed and memory of a training step. With `peak`, its FLOP/s are also given as a share of the FLOP/s of a
    convolution."""
    found = own_process(
        "training_step", {"overrides": [*overrides], "precision": precision, "warmup": 3, "steps": ITERATIONS}
    )
    if peak:
        best = own_process("machine", {"precision": precision})
        found["share_of_convolution_peak"] = found["flops"] / found["seconds"] / best["convolution_flops"]
    return found


def peer(folder: str, size: int, precision: str) -> dict[str, Any]:
    """Compare the training step of CycleGAN in the reference code and in this package, with batch size 1."""
    settings = {"precision": precision, "steps": ITERATIONS}
    theirs = own_process("peer", {"folder": folder, "model": "cyclegan", "size": size, **settings})
    ours = own_process("training_step", {"overrides": ["model=cyclegan", f"data.size={size}"], "warmup": 3, **settings})
    return {"reference": theirs, "ours": ours, "speed": theirs["seconds"] / ours["seconds"]}


def profile(model: str) -> dict[str, Any]:
    """Return the operators that take the most time in a training step."""
    return own_process("profile_step", {"overrides": smallest(model), "warmup": 3, "rows": 10})


CHECKS: dict[str, Callable[..., dict[str, Any]]] = {
    "variants": variants, "resume": resume, "two_gpus": two_gpus, "waits": waits, "dropout": dropout, "speed": speed, "peer": peer,
    "profile": profile,
}  # fmt: skip


def run_check(check: str, **settings: Any) -> dict[str, Any]:
    return CHECKS[check](**settings)


if __name__ == "__main__":
    if len(sys.argv) == 2 and sys.argv[1].startswith("{"):
        print("\n" + json.dumps(run_check(**json.loads(sys.argv[1]))))
    else:
        main()
