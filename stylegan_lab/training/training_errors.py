"""Turns failures with external causes into messages: missing images, killed loader workers, and too little memory."""

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
    """Within the block, a known failure is raised as a UserError that says what to do and which checkpoint is kept."""
    try:
        yield
    except Exception as error:
        lost = describe_lost_rank(error, trainer)
        known = UserError("training.rank_lost", lost) if lost else known_error(error, experiment)
        if known is None:
            raise
        kept = run.newest()
        where = f"{kept.name} is kept" if kept else "No checkpoint was written before"
        run.log(f"stopped: {known}")
        raise UserError(
            known.code,
            f"{known}. {where}; correct this and repeat the command, or: stylegan-lab train resume={run.folder}",
        ) from error


def known_error(error: Exception, experiment: Experiment) -> UserError | None:
    """Convert a known failure to an error with a code and a message. Return None for any other error."""
    text, data = str(error), experiment.data
    if "in DataLoader worker process" in text:
        return _error_of_worker(text)
    if isinstance(error, UserError):
        return error
    if isinstance(error, MisconfigurationException | ModuleNotFoundError):  # of one of Lightning's callbacks or loggers
        return UserError("training.lightning_error", text.splitlines()[0].strip().rstrip("."))
    if isinstance(error, torch.OutOfMemoryError) or "can't allocate memory" in text:
        return UserError(
            "device.out_of_memory",
            f"out of memory on {experiment.module.device} with batches of {data.batch_size} at {data.size} px; "
            "use precision=bf16, a smaller data.batch_size or a smaller data.size",
        )
    if died := re.search(r"DataLoader worker \(pid\(?s?\)? ([\d, ]+)\) (.*?)\.?( It is possible.*)?$", text, re.DOTALL):
        return UserError(
            "data.worker_failed",
            f"data loader worker {died[1]} {died[2]}; the usual cause is too little memory, or too little shared memory if it "
            "says Bus error (check with df -h /dev/shm, raise with docker run --shm-size=1g). Set a smaller data.num_workers, or 0",
        )
    if isinstance(error, OSError):
        return UserError("training.file_error", f"{error.filename}: {error.strerror}" if error.filename else text)
    return None


def _error_of_worker(text: str) -> UserError:
    """Return the last error in the traceback that a loader worker sent. The code of a UserError is in a line below the
    message of the error."""
    *_, message = lines = text.strip().splitlines()
    code = "data.loading_failed"
    if noted := re.fullmatch(r"\[(\w+\.\w+)\]", message):
        code, message = noted[1], lines[-2]
    return UserError(code, re.sub(r"^([\w.]+\.)?((UserError|UnreadableImageError): )?", "", message))
