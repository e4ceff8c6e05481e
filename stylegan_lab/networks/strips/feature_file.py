"""Feature maps that are kept on disk and read by rows, so that they do not have to fit into memory."""

import tempfile

import numpy as np
import torch
from torch import Tensor

from stylegan_lab.errors import UserError


class FeatureFile:
    """A feature map (1, C, H, W) of float32 in a temporary file, which is deleted with this object."""

    def __init__(self) -> None:
        self._file = tempfile.TemporaryFile(buffering=0)  # noqa: SIM115, it lives as long as this object
        self._row_shape: tuple[int, int] = (0, 0)

    def append(self, rows: Tensor) -> None:
        self._row_shape = rows.shape[1], rows.shape[3]
        content = rows[0].transpose(0, 1).float().cpu().contiguous().numpy().data.cast("B")
        try:
            while content:
                content = content[self._file.write(content) :]
        except OSError as error:
            raise UserError(
                "device.temporary_space_full",
                f"{tempfile.gettempdir()} has no room for the feature maps of this image ({error.strerror}); set "
                "TMPDIR=FOLDER to a folder on a larger disk",
            ) from error

    def read(self, first: int, last: int) -> Tensor:
        values = np.empty((last - first, *self._row_shape), dtype=np.float32)
        self._file.seek(first * values[0].nbytes)
        content = values.data.cast("B")
        while content:
            count = self._file.readinto(content)
            if not count:
                raise EOFError("a feature map on disk is shorter than it was")
            content = content[count:]
        return torch.from_numpy(values).transpose(0, 1)[None].contiguous()

    def close(self) -> None:
        self._file.close()
