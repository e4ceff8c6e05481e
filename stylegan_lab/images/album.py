"""An album: more pictures than fit into memory, in a file that is gone when the album is, looked at some at a time."""

import tempfile
from collections.abc import Iterable, Iterator
from typing import Any, Protocol

import numpy as np
import torch
from torch import Tensor

from stylegan_lab.mistake import Mistake


class Pictures(Protocol):
    """(N, C, H, W) in [0, 1], such as a tensor; `[:]` has all of them in memory."""

    @property
    def shape(self) -> torch.Size: ...

    def __len__(self) -> int: ...

    def __getitem__(self, which: Any, /) -> Tensor: ...

    def split(self, size: int, /) -> Iterable[Tensor]: ...


class Album:
    """Of batches of pictures in [0, 1], of which it keeps 8 bits, as a saved picture would."""

    def __init__(self, batches: Iterable[Tensor]) -> None:
        with tempfile.TemporaryFile() as file:
            count, shape = 0, torch.Size()
            try:
                for batch in batches:
                    file.write((batch * 255).round().to(torch.uint8).cpu().contiguous().numpy().data)
                    count, shape = count + len(batch), batch.shape[1:]
                file.flush()
            except OSError as error:
                raise Mistake(
                    f"{count} pictures are in {tempfile.gettempdir()}, and there is no room for more ({error.strerror}); give "
                    "TMPDIR=FOLDER, on a larger disk"
                ) from error
            self._pixels = np.memmap(file, np.uint8, "r", shape=(count, *shape))

    @property
    def shape(self) -> torch.Size:
        return torch.Size(self._pixels.shape)

    def __len__(self) -> int:
        return len(self._pixels)

    def __getitem__(self, which: slice | Tensor) -> Tensor:
        place = which.numpy() if isinstance(which, Tensor) else which
        return torch.from_numpy(np.array(self._pixels[place])).float() / 255

    def split(self, size: int) -> Iterator[Tensor]:
        return (self[start : start + size] for start in range(0, len(self), size))
