"""The record of the files that a run is trained on, by which a resumed training notices that they changed.

Names, sizes and modification times in seconds: reading every image would take as long as an epoch.
"""

import json
from collections.abc import Iterator, Mapping
from contextlib import suppress

from stylegan_lab.data.datamodule import ImageDataModule
from stylegan_lab.errors import UserError
from stylegan_lab.files.atomic_write import write_text_atomic
from stylegan_lab.images.open_image import display_name
from stylegan_lab.runs.run import Run

FILE_NAME = "data_files.json"
MAX_LISTED = 5
FileStamps = dict[str, list[int]]  # size and time by name


def record_data_files(run: Run, data: ImageDataModule) -> None:
    if stamps := file_stamps(data):
        lines = (f"{json.dumps(name)}: {json.dumps(stamp)}" for name, stamp in stamps.items())
        write_text_atomic(run.folder / FILE_NAME, "{\n" + ",\n".join(lines) + "\n}\n")


def check_data_unchanged(run: Run, data: ImageDataModule, allow_changes: bool) -> None:
    """Refuse to resume a run whose files were added, removed or replaced. A run without a record is not checked."""
    before, now = _recorded(run), file_stamps(data)
    if before is None or allow_changes or before == now:
        return
    changes = list(_changes(before, now))
    listed = ", ".join(changes[:MAX_LISTED]) + (
        f" and {len(changes) - MAX_LISTED:,} more" if changes[MAX_LISTED:] else ""
    )
    raise UserError(
        f"resume={run.folder}: the images are not those that the run was trained on: {listed}. Restore them, or set "
        "allow_changed_data=true to continue with the images as they are now"
    )


def file_stamps(data: ImageDataModule) -> FileStamps:
    stamps = {}
    for name, path in sorted(data.source_files().items()):
        with suppress(OSError):  # reported when the file is read
            status = path.stat()
            stamps[display_name(name)] = [status.st_size, int(status.st_mtime)]
    return stamps


def _recorded(run: Run) -> FileStamps | None:
    try:
        stamps = json.loads((run.folder / FILE_NAME).read_text(encoding="utf-8"))
    except (OSError, ValueError):
        return None
    return stamps if isinstance(stamps, dict) else None


def _changes(before: Mapping[str, list[int]], now: Mapping[str, list[int]]) -> Iterator[str]:
    for name in sorted(before.keys() | now.keys()):
        if name not in now:
            yield f"{name} is missing"
        elif name not in before:
            yield f"{name} is new"
        elif before[name] != now[name]:
            yield f"{name} was changed"
