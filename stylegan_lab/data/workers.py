"""How many loader workers are worth their while."""

import os
import shutil

import torch

from stylegan_lab.data.folders.many_hands import cores
from stylegan_lab.hardware import BATCHES_AHEAD, SHARED_MEMORY

MOST_DECODING, MOST_COPYING = 8, 2


def fitting_workers(decoding: bool, batch: int) -> int:
    """For each process of a training. On a CPU the net needs the cores itself, and copying from a cache is soon done; a GPU
    is to be kept busy. Never more than the cores leave, nor than shared memory holds batches of so many bytes of."""
    gpus = torch.cuda.device_count()
    most = (MOST_DECODING if decoding else MOST_COPYING) if gpus else int(decoding)
    spare = cores() // max(1, gpus, int(os.environ.get("LOCAL_WORLD_SIZE") or 1)) - 1
    if SHARED_MEMORY.is_dir():
        spare = min(spare, shutil.disk_usage(SHARED_MEMORY).free // (BATCHES_AHEAD * max(1, gpus) * batch))
    return max(0, min(most, spare))
