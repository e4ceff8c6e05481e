"""The base class of data modules that generate their images. The number of images in each split is a setting."""

from dataclasses import KW_ONLY, dataclass

from stylegan_lab.data.datamodule import ImageDataModule
from stylegan_lab.errors import check_at_least


@dataclass(eq=False, repr=False)
class GeneratedDataModule(ImageDataModule):
    _: KW_ONLY
    size: int = 64
    channels: int = 3
    batch_size: int = 1
    num_workers: int = 0
    train_images: int = 400
    val_images: int = 16
    test_images: int = 64

    def __post_init__(self) -> None:
        super().__init__(self.size, self.channels, self.batch_size, self.num_workers)
        self.counts = {"train": self.train_images, "val": self.val_images, "test": self.test_images}
        for split, count in self.counts.items():
            check_at_least(f"data.{split}_images", count, 1)
