"""What breaks a training from outside, told in a sentence: pictures that are gone, dead loader workers, no memory left."""

import re
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import torch

from stylegan_lab.cli.together import lost
from stylegan_lab.mistake import Mistake


@contextmanager
def told(experiment: Any, run: Any, trainer: Any) -> Iterator[None]:
    """Errors that are not the program's own become sentences, with what to do and what is kept."""
    try:
        yield
    except Exception as error:
        sentence = lost(error, trainer) or what_happened(error, experiment)
        if sentence is None:
            raise
        kept = run.newest()
        where = f"{kept.name} is kept" if kept else "No checkpoint was written before"
        run.tell(f"stopped: {sentence}")
        raise Mistake(
            f"{sentence}. {where}; mend it and repeat the command, or: stylegan-lab train resume={run.folder}"
        ) from error


def what_happened(error: Exception, experiment: Any) -> str | None:
    """A sentence, or None for what nobody foresaw."""
    text, data = str(error), experiment.data
    if isinstance(error, Mistake) and "in DataLoader worker process" not in text:
        return text
    if isinstance(error, torch.OutOfMemoryError) or "can't allocate memory" in text:
        return (
            f"out of memory on {experiment.module.device} with batches of {data.batch_size} at {data.size} px; "
            "give precision=bf16, a smaller data.batch_size or a smaller data.size"
        )
    if died := re.search(r"DataLoader worker \(pid\(?s?\)? ([\d, ]+)\) (.*?)\.?( It is possible.*)?$", text, re.DOTALL):
        return (
            f"loader worker {died[1]} {died[2]}; it was killed, most often for want of memory, or of shared memory if it "
            "says Bus error (see df -h /dev/shm; docker run --shm-size=1g). Give a smaller data.workers, or 0"
        )
    if "in DataLoader worker process" in text:
        return _last_line(text)
    if isinstance(error, OSError):
        return f"{error.filename}: {error.strerror}" if error.filename else text
    return None


def _last_line(traceback: str) -> str:
    """What was raised in a worker, without the names of modules before it."""
    said = traceback.strip().splitlines()[-1]
    return re.sub(r"^([\w.]+\.)?((Mistake|Unreadable): )?", "", said)
