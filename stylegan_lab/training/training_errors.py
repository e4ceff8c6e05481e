"""Turns failures from outside the program into messages: missing images, killed loader workers, not enough memory."""

import re
from collections.abc import Iterator
from contextlib import contextmanager

import lightning as L
import torch
from lightning.fabric.utilities.exceptions import MisconfigurationException

from stylegan_lab.errors import UserError
from stylegan_lab.runs.run import Run
from stylegan_lab.training.experiment import Experiment
from stylegan_lab.training.rank_watchdog import describe_lost_rank


@contextmanager
def report_training_errors(experiment: Experiment, run: Run, trainer: L.Trainer) -> Iterator[None]:
    """Within the block, known failures become a UserError that says what to do and which checkpoint is kept."""
    try:
        yield
    except Exception as error:
        sentence = describe_lost_rank(error, trainer) or describe_error(error, experiment)
        if sentence is None:
            raise
        kept = run.newest()
        where = f"{kept.name} is kept" if kept else "No checkpoint was written before"
        run.log(f"stopped: {sentence}")
        raise UserError(
            f"{sentence}. {where}; correct this and repeat the command, or: stylegan-lab train resume={run.folder}"
        ) from error


def describe_error(error: Exception, experiment: Experiment) -> str | None:
    """A message for a known failure, or None for any other."""
    text, data = str(error), experiment.data
    if isinstance(error, UserError) and "in DataLoader worker process" not in text:
        return text
    if isinstance(error, MisconfigurationException | ModuleNotFoundError):  # of one of Lightning's callbacks or loggers
        return text.splitlines()[0].strip().rstrip(".")
    if isinstance(error, torch.OutOfMemoryError) or "can't allocate memory" in text:
        return (
            f"out of memory on {experiment.module.device} with batches of {data.batch_size} at {data.size} px; "
            "use precision=bf16, a smaller data.batch_size or a smaller data.size"
        )
    if died := re.search(r"DataLoader worker \(pid\(?s?\)? ([\d, ]+)\) (.*?)\.?( It is possible.*)?$", text, re.DOTALL):
        return (
            f"loader worker {died[1]} {died[2]}; the usual cause is too little memory, or too little shared memory if it "
            "says Bus error (see df -h /dev/shm; docker run --shm-size=1g). Use a smaller data.num_workers, or 0"
        )
    if "in DataLoader worker process" in text:
        message = text.strip().splitlines()[-1]
        return re.sub(r"^([\w.]+\.)?((UserError|UnreadableImageError): )?", "", message)
    if isinstance(error, OSError):
        return f"{error.filename}: {error.strerror}" if error.filename else text
    return None
