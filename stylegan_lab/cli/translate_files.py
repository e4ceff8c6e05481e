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
from stylegan_lab.images.video_reader import VIDEO_SUFFIXES, is_video

STANDARD = "-"  # standard input or output
READABLE = SUFFIXES | VIDEO_SUFFIXES
SUFFIXES_SHOWN = ", ".join(sorted(READABLE))


@dataclass(frozen=True)
class TranslationFiles:
    """An image or a video to translate: `source` is read and `target` is written. None stands for standard input or output."""

    source: Path | None
    target: Path | None
    is_video: bool = False

    @property
    def name(self) -> str:
        return "standard input" if self.source is None else str(self.source)

    @contextmanager
    def open_source(self) -> Iterator[Path]:
        """Within the context, return the path of the source. Standard input is first copied to a temporary file."""
        if self.source is not None:
            yield self.source
            return
        with tempfile.NamedTemporaryFile() as file:
            shutil.copyfileobj(sys.stdin.buffer, file)
            file.flush()
            yield Path(file.name)


def list_files(inputs: Sequence[str], target: str) -> list[TranslationFiles]:
    """Return the files to read and to write. All path errors are raised before any image is translated.

    If `target` is a folder, all results are written to it, with the subfolders of the input. If several folders are given, each
    gets a subfolder of its name. Videos keep their file names, and images become PNG files.
    """
    sources = list(chain.from_iterable(_expand(each) for each in inputs))
    is_file = Path(target).suffix.lower() in READABLE
    if target == STANDARD or is_file:
        if len(sources) > 1 or (sources[0] is not None and sources[0].is_dir()):
            shown = f"{inputs[0]} is a folder" if len(inputs) == 1 else f"{len(sources)} inputs are given"
            raise UserError("translate.output_not_a_folder", f"{shown}, so OUT must be a folder, not {target}")
        files = [_to_file(sources[0], None if target == STANDARD else Path(target))]
    else:
        folders = [source for source in sources if source is not None and source.is_dir()]
        files = [
            each
            for source in sources
            for each in _files_of(source, Path(target), keep_name=len(folders) > 1)
        ]  # fmt: skip
    _check_targets(files)
    return files


def _to_file(source: Path | None, target: Path | None) -> TranslationFiles:
    suffix = "" if target is None else target.suffix.lower()
    if source is not None and is_video(source):
        if suffix in VIDEO_SUFFIXES:
            return TranslationFiles(source, target, is_video=True)
        if source.suffix.lower() not in SUFFIXES:  # of an animated GIF, the first image is taken
            shown = ", ".join(sorted(VIDEO_SUFFIXES))
            raise UserError(
                "translate.wrong_output_type", f"{source} is a video; give OUT as a folder or a video ({shown})"
            )
    elif target is not None and suffix not in SUFFIXES:
        raise UserError(
            "translate.wrong_output_type",
            f"{source or 'standard input'} is an image; give OUT as a folder or an image, not {target}",
        )
    return TranslationFiles(source, target)


def _expand(given: str) -> list[Path | None]:
    """An input as paths: a pattern, such as photos/**/*.jpg, becomes what it matches."""
    if given == STANDARD:
        return [None]
    if Path(given).exists():
        return [Path(given)]
    if not glob.has_magic(given):
        raise UserError(
            "image.not_found",
            f"{given} does not exist; give images, videos, folders, or patterns such as 'photos/*.jpg'",
        )
    found = sorted(map(Path, glob.glob(given, recursive=True)))  # noqa: PTH207  absolute patterns too
    readable = [path for path in found if path.suffix.lower() in READABLE and path.is_file()]
    if not readable:
        raise UserError("translate.no_input_files", f"{given} matches no images or videos ({SUFFIXES_SHOWN})")
    return list(readable)


def _files_of(source: Path | None, target: Path, keep_name: bool) -> list[TranslationFiles]:
    if source is None:
        return [TranslationFiles(None, target / "stdin.png")]
    if not source.is_dir():
        return [_to_folder(source, target / source.name)]
    parent = target / source.resolve().name if keep_name else target
    inside = target.resolve() != source.resolve() and target.resolve().is_relative_to(source.resolve())
    found = image_files(source, READABLE)
    paths = [path for path in found if not (inside and path.resolve().is_relative_to(target.resolve()))]
    if not paths:
        raise UserError("translate.no_input_files", f"{source} contains no images or videos ({SUFFIXES_SHOWN})")
    return [_to_folder(path, parent / path.relative_to(source)) for path in paths]


def _to_folder(source: Path, target: Path) -> TranslationFiles:
    video = is_video(source)
    return TranslationFiles(source, target if video else target.with_suffix(".png"), video)


def _check_targets(files: Sequence[TranslationFiles]) -> None:
    sources = {each.source.resolve() for each in files if each.source is not None}
    seen: dict[Path, TranslationFiles] = {}
    for each in files:
        if each.target is None:
            continue
        place = each.target.resolve()
        if place in sources:
            raise UserError(
                "translate.output_is_input", f"{each.target} is an input, which would be overwritten; give another OUT"
            )
        if place in seen:
            raise UserError(
                "translate.outputs_collide",
                f"{seen[place].name} and {each.name} would both be written to {each.target}; rename one of them",
            )
        seen[place] = each
