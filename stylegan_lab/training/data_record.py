"""The record of the files that a run is trained on. A resumed training uses it to detect changed files.

The record holds names, sizes and modification times in seconds, because reading every image would take as long as an epoch.
A copy of the files may have other times, so different times are only mentioned.
"""

import json
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from unicodedata import normalize

from stylegan_lab.cores import num_cores
from stylegan_lab.data.datamodule import ImageDataModule
from stylegan_lab.errors import UserError
from stylegan_lab.files.atomic_write import write_text_atomic
from stylegan_lab.images.open_image import display_name
from stylegan_lab.runs.run import Run

FILE_NAME = "data_files.json"
MAX_LISTED = 5
MISSING: list[int] = []  # the stamp of a file that does not exist
FileStamps = dict[str, list[int] | None]  # size and time by name; None if the file cannot be read


def record_data_files(run: Run, data: ImageDataModule) -> None:
    if stamps := file_stamps(data):
        lines = (f"{json.dumps(name)}: {json.dumps(stamp)}" for name, stamp in stamps.items())
        write_text_atomic(run.folder / FILE_NAME, "{\n" + ",\n".join(lines) + "\n}\n")


def check_data_unchanged(run: Run, data: ImageDataModule, allow_changes: bool) -> None:
    """Refuse to resume a run if files were added or removed, or have another size. A run without a record is not checked."""
    before, now = _recorded(run), file_stamps(data)
    if before is None or allow_changes or before == now:
        return
    changes = list(_changes(before, now))
    if not changes:
        count = sum(before[name] != stamp is not None for name, stamp in now.items())
        run.log(
            f"{count:,} of {len(now):,} image files have another modification time than when the run was trained on them"
        )
        return
    listed = ", ".join(changes[:MAX_LISTED]) + (
        f" and {len(changes) - MAX_LISTED:,} more" if changes[MAX_LISTED:] else ""
    )
    raise UserError(
        "resume.data_changed",
        f"resume={run.folder}: the images are not those that the run was trained on: {listed}. Restore them, or set "
        "allow_changed_data=true to continue with the images as they are now",
    )


def file_stamps(data: ImageDataModule) -> FileStamps:
    """Return the size and modification time of each file that exists. Names are normalized to one Unicode form, because
    file systems use different forms."""
    files = sorted(data.source_files().items())
    with ThreadPoolExecutor(4 * num_cores()) as threads:
        stamps = list(threads.map(_stamp, [path for _, path in files]))
    return {_record_name(name): stamp for (name, _), stamp in zip(files, stamps, strict=True) if stamp != MISSING}


def _stamp(path: Path) -> list[int] | None:
    try:
        status = path.stat()
    except FileNotFoundError:
        return MISSING
    except OSError:  # reported when the file is read
        return None
    return [status.st_size, int(status.st_mtime)]


def _record_name(name: str) -> str:
    return display_name(normalize("NFC", name))


def _recorded(run: Run) -> FileStamps | None:
    try:
        stamps = json.loads((run.folder / FILE_NAME).read_text(encoding="utf-8"))
    except (OSError, ValueError):
        return None
    return {normalize("NFC", name): stamp for name, stamp in stamps.items()} if isinstance(stamps, dict) else None


def _changes(before: FileStamps, now: FileStamps) -> Iterator[str]:
    for name in sorted(before.keys() | now.keys()):
        if name not in now:
            yield f"{name} is missing"
        elif name not in before:
            yield f"{name} is new"
        elif (old := before[name]) and (new := now[name]) and old[0] != new[0]:
            yield f"{name} was changed"
