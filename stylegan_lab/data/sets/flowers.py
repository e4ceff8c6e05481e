"""Oxford flowers 102 (Nilsback and Zisserman, 2008): its official split, in folders of classes."""

from pathlib import Path

from stylegan_lab.data.sets.extraction import extract
from stylegan_lab.data.sets.mat import read_mat
from stylegan_lab.mistake import Mistake

SPLITS = {"train": "trnid", "val": "valid", "test": "tstid"}


def arrange(fetched: list[Path], into: Path) -> Path:
    """From the pictures, the labels and the splits."""
    archive, labels, splits = fetched
    extract(archive, into / "archive")
    classes, numbers = read_mat(labels)["labels"], read_mat(splits)
    for split, name in SPLITS.items():
        for number in numbers[name]:
            picture = into / "archive" / "jpg" / f"image_{number:05d}.jpg"
            place = into / "set" / split / f"{classes[number - 1]:03d}" / picture.name
            place.parent.mkdir(parents=True, exist_ok=True)
            try:
                picture.rename(place)
            except FileNotFoundError:
                raise Mistake(f"{archive} lacks jpg/{picture.name}; delete it and fetch it again") from None
    return into / "set"
