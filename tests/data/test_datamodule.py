"""What holds for all data modules."""

from typing import Any

import pytest

from stylegan_lab.data.datamodule import ImageDataModule
from stylegan_lab.images.batch import PairedBatch, UnpairedBatch


class MaskedBatch(UnpairedBatch):
    mask: Any


@pytest.mark.parametrize("paired", [False, True])
def test_further_keys_do_not_make_pairs_of_unpaired_images(paired: bool) -> None:
    data = ImageDataModule(size=32, channels=3, batch_size=1, num_workers=0)  # type: ignore[abstract]
    data.batch_type, data.has_true_pairs = MaskedBatch, paired
    assert data.serves(MaskedBatch) and data.serves(UnpairedBatch) and data.serves(PairedBatch) == paired
