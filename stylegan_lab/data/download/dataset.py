"""Downloads a published data set into the folder that its data config reads. The folder appears only when it is complete."""

import json
from pathlib import Path

from stylegan_lab.data.download.catalog import PaperDataset, RemoteFile
from stylegan_lab.data.download.extraction import partial_folder
from stylegan_lab.errors import UserError
from stylegan_lab.files.atomic_write import write_text_atomic
from stylegan_lab.files.download import cache_dir, download, file_digest
from stylegan_lab.files.file_lock import file_lock

HASHES_FILE = "sha256.json"


def download_dataset(dataset: PaperDataset, root: Path, keep_archive: bool = False) -> Path:
    """Return the folder `root`/NAME. If it does not exist yet, the data set is downloaded into it."""
    if not dataset.files:
        raise UserError("download.manual_only", f"{dataset.name} cannot be downloaded: {dataset.manual_steps}")
    target = root / dataset.name
    try:
        root.mkdir(parents=True, exist_ok=True)
        with file_lock(target):
            if not target.exists():
                _download_and_extract(dataset, target, keep_archive)
    except OSError as error:
        raise UserError(
            "download.not_writable",
            f"{error.filename or root} cannot be written: {error.strerror or error}; choose another --root",
        ) from None
    if not target.is_dir():
        raise UserError("download.not_a_folder", f"{target} is not a folder; move it away, or choose another --root")
    return target


def _download_and_extract(dataset: PaperDataset, target: Path, keep_archive: bool) -> None:
    archives = [_download_file(file, target.parent) for file in dataset.files]
    with partial_folder(target) as partial:
        arranged = dataset.arrange(archives, partial, dataset.limits)
        for file, archive in zip(dataset.files, archives, strict=True):
            if not file.expected.sha256:
                _record_hash(file.urls[0], file_digest(archive))
        arranged.replace(target)
    if not keep_archive:
        for archive in archives:
            archive.unlink()


def _download_file(file: RemoteFile, folder: Path) -> Path:
    """Download a file and verify its checksum: the published one, otherwise the one recorded at the first download."""
    target, recorded = folder / file.name, recorded_hashes().get(file.urls[0])
    if file.expected.sha256 or recorded is None:
        return download(file.urls, target, file.expected)
    try:
        return download(file.urls, target, file.expected._replace(sha256=recorded))
    except UserError as error:
        if error.code != "download.checksum_mismatch":
            raise
        raise UserError(
            "download.checksum_mismatch",
            f"{error}. The expected checksum was recorded at the first download; if the publishers have changed the file since, "
            f"remove its line from {cache_dir() / HASHES_FILE}",
        ) from None


def recorded_hashes() -> dict[str, str]:
    """Return the SHA-256 of files without a published checksum, by URL. They were recorded at the first download."""
    try:
        return dict(json.loads((cache_dir() / HASHES_FILE).read_text()))
    except (OSError, ValueError):
        return {}


def _record_hash(url: str, sha256: str) -> None:
    cache_dir().mkdir(parents=True, exist_ok=True)
    with file_lock(cache_dir() / HASHES_FILE):
        write_text_atomic(cache_dir() / HASHES_FILE, json.dumps(recorded_hashes() | {url: sha256}, indent=2))
