"""A paper's data set, from its makers' server to a folder that a data config reads: whole, or not there at all."""

import json
import shutil
from pathlib import Path

from stylegan_lab.alone import alone
from stylegan_lab.data.sets.catalogue import File, PaperSet
from stylegan_lab.fetch import Unreachable, cache_folder, digest, fetched
from stylegan_lab.mistake import Mistake
from stylegan_lab.whole import write_text

SEEN = "sha256.json"


def download(paper_set: PaperSet, root: Path, keep_archive: bool = False) -> Path:
    """`root`/NAME, made if it is not there yet."""
    if not paper_set.files:
        raise Mistake(f"{paper_set.name} cannot be downloaded: {paper_set.instead}")
    target = root / paper_set.name
    try:
        root.mkdir(parents=True, exist_ok=True)
        with alone(target):
            if not target.exists():
                _make(paper_set, target, keep_archive)
    except OSError as error:
        raise Mistake(f"{error.filename or root} cannot be written: {error.strerror or error}") from None
    if not target.is_dir():
        raise Mistake(f"{target} is not a folder; move it away, or give another --root")
    return target


def _make(paper_set: PaperSet, target: Path, keep_archive: bool) -> None:
    archives = [_fetched(file, target.parent) for file in paper_set.files]
    unpacking = target.with_name(f".{target.name}.unpacking")
    shutil.rmtree(unpacking, ignore_errors=True)  # of a process that was killed
    try:
        unpacking.mkdir()
        made = paper_set.arrange(archives, unpacking)
        for file, archive in zip(paper_set.files, archives, strict=True):
            if not file.expected.sha256:
                _remember(file.urls[0], digest(archive))
        made.replace(target)
    finally:
        shutil.rmtree(unpacking, ignore_errors=True)
    if not keep_archive:
        for archive in archives:
            archive.unlink()


def _fetched(file: File, folder: Path) -> Path:
    """The same file as ever: as it is published, else as it was when it was first seen here."""
    place, first = folder / file.name, seen().get(file.urls[0])
    if file.expected.sha256 or first is None:
        return fetched(file.urls, place, file.expected)
    try:
        return fetched(file.urls, place, file.expected._replace(sha256=first))
    except Unreachable:
        raise
    except Mistake as mistake:
        raise Mistake(
            f"{mistake}. Expected is what came when it was first fetched here; if its makers have changed it since, "
            f"take its line out of {cache_folder() / SEEN}"
        ) from None


def seen() -> dict[str, str]:
    """SHA-256 by address, of files that nobody publishes one of, as each was when it was first fetched."""
    try:
        return dict(json.loads((cache_folder() / SEEN).read_text()))
    except (OSError, ValueError):
        return {}


def _remember(url: str, sha256: str) -> None:
    cache_folder().mkdir(parents=True, exist_ok=True)
    with alone(cache_folder() / SEEN):
        write_text(cache_folder() / SEEN, json.dumps(seen() | {url: sha256}, indent=2))
