"""The files that `stylegan-lab translate` reads and writes: files, folders, patterns, standard input and output."""

import glob
import shutil
import sys
import tempfile
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from itertools import chain
from pathlib import Path

from stylegan_lab.errors import UserError
from stylegan_lab.images.image_io import image_files
from stylegan_lab.images.open_image import SUFFIXES

STANDARD = "-"  # standard input or output


@dataclass(frozen=True)
class TranslationFiles:
    """An image to read and the file to write. None is standard input and output."""

    source: Path | None
    target: Path | None

    @property
    def name(self) -> str:
        return "standard input" if self.source is None else str(self.source)

    @contextmanager
    def open_source(self) -> Iterator[Path]:
        """The path of the image. Standard input is copied to a temporary file."""
        if self.source is not None:
            yield self.source
            return
        with tempfile.NamedTemporaryFile() as file:
            shutil.copyfileobj(sys.stdin.buffer, file)
            file.flush()
            yield Path(file.name)


def list_files(inputs: Sequence[str], target: str) -> list[TranslationFiles]:
    """What to read and to write. All path errors are found before any image is translated.

    A file or the images of a folder go to the folder `target`, with the subfolders of the input. Several folders keep their names.
    """
    sources = list(chain.from_iterable(_expand(each) for each in inputs))
    is_file = Path(target).suffix.lower() in SUFFIXES
    if target == STANDARD or is_file:
        if len(sources) > 1 or (sources[0] is not None and sources[0].is_dir()):
            shown = f"{inputs[0]} is a folder" if len(inputs) == 1 else f"{len(sources)} inputs are given"
            raise UserError(f"{shown}, so {target} must be a folder too")
        files = [TranslationFiles(sources[0], None if target == STANDARD else Path(target))]
    else:
        folders = [source for source in sources if source is not None and source.is_dir()]
        files = [
            each
            for source in sources
            for each in _files_of(source, Path(target), keep_name=len(folders) > 1)
        ]  # fmt: skip
    _check_targets(files)
    return files


def _expand(given: str) -> list[Path | None]:
    """An input as paths: a pattern, such as photos/**/*.jpg, becomes what it matches."""
    if given == STANDARD:
        return [None]
    if Path(given).exists():
        return [Path(given)]
    if not glob.has_magic(given):
        raise UserError(f"{given} does not exist; give images, folders of images, or patterns such as 'photos/*.jpg'")
    found = sorted(map(Path, glob.glob(given, recursive=True)))  # noqa: PTH207  absolute patterns too
    images = [path for path in found if path.suffix.lower() in SUFFIXES and path.is_file()]
    if not images:
        raise UserError(f"{given} matches no images ({', '.join(sorted(SUFFIXES))})")
    return list(images)


def _files_of(source: Path | None, target: Path, keep_name: bool) -> list[TranslationFiles]:
    if source is None:
        return [TranslationFiles(None, target / "stdin.png")]
    if not source.is_dir():
        return [TranslationFiles(source, target / f"{source.stem}.png")]
    parent = target / source.resolve().name if keep_name else target
    inside = target.resolve() != source.resolve() and target.resolve().is_relative_to(source.resolve())
    images = [path for path in image_files(source) if not (inside and path.resolve().is_relative_to(target.resolve()))]
    if not images:
        raise UserError(f"{source} holds no images ({', '.join(sorted(SUFFIXES))})")
    return [TranslationFiles(path, (parent / path.relative_to(source)).with_suffix(".png")) for path in images]


def _check_targets(files: Sequence[TranslationFiles]) -> None:
    sources = {each.source.resolve() for each in files if each.source is not None}
    seen: dict[Path, TranslationFiles] = {}
    for each in files:
        if each.target is None:
            continue
        place = each.target.resolve()
        if place in sources:
            raise UserError(f"{each.target} is an input, which would be overwritten; give another OUT")
        if place in seen:
            raise UserError(
                f"{seen[place].name} and {each.name} would both be written to {each.target}; rename one of them"
            )
        seen[place] = each
