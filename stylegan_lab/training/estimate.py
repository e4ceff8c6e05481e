"""Estimates how long a training will take, by training a few iterations whose result is discarded (`dry_run=time`)."""

import time
from copy import deepcopy
from dataclasses import replace
from pathlib import Path
from statistics import median
from tempfile import TemporaryDirectory
from typing import Any

import lightning as L
import torch
from omegaconf import open_dict

from stylegan_lab.console import format_seconds
from stylegan_lab.errors import UserError
from stylegan_lab.runs.run import Run
from stylegan_lab.training.experiment import Experiment, build_trainer
from stylegan_lab.training.hardware import world_size
from stylegan_lab.training.speed import training_hardware, training_threads

WARMUP, MEASURED = 1, 3


def estimate_duration(experiment: Experiment) -> str:
    """Train four iterations in a temporary folder, and return a line with the estimated time of the whole training.

    The estimate does not include validation, samples and evaluation. The experiment cannot be trained afterwards.
    """
    if world_size(experiment.config) > 1:
        raise UserError(
            "training.single_process_only",
            "dry_run=time measures a single process; set strategy=single to estimate the time on one device",
        )
    config, timer = deepcopy(experiment.config), IterationTimer()
    with open_dict(config):
        config.trainer.enable_progress_bar = False
    alone = replace(experiment, config=config, callbacks={"timer": timer}, loggers={})
    with TemporaryDirectory() as folder, training_hardware(config), training_threads(config, experiment.data):
        build_trainer(alone, Run(Path(folder))).fit(experiment.module, datamodule=experiment.data)
    seconds = median(timer.seconds[WARMUP:] or timer.seconds)
    total = format_seconds(seconds * experiment.iterations)
    return f"time       about {total} at {seconds:.3g} s an iteration, without validation and samples"


class IterationTimer(L.Callback):
    """Measures the time of iterations, including the loading of their batches, and stops the training after a few iterations."""

    def __init__(self) -> None:
        self.seconds: list[float] = []
        self._last = 0.0

    def on_train_start(self, *_: Any) -> None:
        self._last = time.perf_counter()

    def on_train_batch_end(self, trainer: L.Trainer, *_: Any) -> None:
        if torch.cuda.is_available():
            torch.cuda.synchronize()
        now = time.perf_counter()
        self.seconds.append(now - self._last)
        self._last = now
        trainer.should_stop = len(self.seconds) >= WARMUP + MEASURED
