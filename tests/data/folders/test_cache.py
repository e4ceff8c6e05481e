import json
import multiprocessing
import os
import pickle
import signal
import time
from pathlib import Path

import pytest
import torch
from PIL import Image

from stylegan_lab.data.folders import cache as caching
from stylegan_lab.data.folders.cache import Cache, Kept
from stylegan_lab.data.folders.reading import Reading
from stylegan_lab.images.fit import Resize, ScaleShortest
from stylegan_lab.images.unreadable import Unreadable
from stylegan_lab.mistake import Mistake
from tests.data.folders.photos import batches, data_of, photo, photos

READING = Reading(Resize(8, 8))


def kept(cache: Cache, paths: list[Path]) -> Kept:
    records = cache.ready(paths)
    return Kept(cache, [records[path] for path in paths])


def noisy(folder: Path, count: int, size: int = 24) -> list[Path]:
    folder.mkdir(exist_ok=True)
    paths = [folder / f"{number}.jpg" for number in range(count)]
    for path in paths:
        Image.effect_noise((size, size), 90).save(path)
    return paths


class Slow(Resize):
    """A machine with little power."""

    def __call__(self, pixels: torch.Tensor) -> torch.Tensor:
        time.sleep(0.05)
        return super().__call__(pixels)


class Never(Resize):
    def __call__(self, pixels: torch.Tensor) -> torch.Tensor:
        raise AssertionError("decoded again")


@pytest.mark.parametrize("workers", [0, 2])
@pytest.mark.parametrize("depth", [8, 16])
def test_kept_and_plain_pictures_are_equal_whatever_the_workers(tmp_path: Path, workers: int, depth: int) -> None:
    noisy(tmp_path / "trainA", 7), noisy(tmp_path / "trainB", 9)
    given = ["data=unpaired", f"data.root={tmp_path}", "data.load_size=20", "augment=strong", f"data.depth={depth}"]
    cached = data_of(*given, "data.cache=true", f"data.workers={workers}")
    plain = data_of(*given, "data.cache=false")
    for one, other in zip(batches(cached), batches(plain), strict=True):
        assert all(torch.equal(one[name], other[name]) for name in ("a", "b"))


def test_sizes_may_differ(tmp_path: Path) -> None:
    paths = [photo(tmp_path / "a.png", 9, (20, 16)), photo(tmp_path / "b.png", 9, (16, 40))]
    reading = Reading(ScaleShortest(8))
    pictures = kept(Cache(tmp_path / "cache", tmp_path, reading), paths)
    assert [tuple(pictures[place].shape) for place in range(2)] == [(1, 3, 8, 10), (1, 3, 20, 8)]
    assert all(torch.equal(pictures[place], reading(path)) for place, path in enumerate(paths))


def test_what_has_not_changed_is_not_decoded_again(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    paths = noisy(tmp_path / "photos", 5)
    before = kept(Cache(tmp_path / "cache", tmp_path, READING), paths)
    decoded: list[Path] = []
    plainly = Reading.__call__
    monkeypatch.setattr(Reading, "__call__", lambda self, path: decoded.append(path) or plainly(self, path))
    new = photo(tmp_path / "photos" / "new.png")
    after = kept(Cache(tmp_path / "cache", tmp_path, READING), [*paths, new])
    assert decoded == [new]
    assert all(torch.equal(before[place], after[place]) for place in range(5))


def test_a_changed_file_never_gives_old_pixels(tmp_path: Path) -> None:
    """Not even if its size and the time of its change say that nothing happened, or if all is over in a moment."""
    path = tmp_path / "photos" / "a.bmp"
    for level in range(10, 20):
        times = path.stat() if path.exists() else None
        photo(path, level)
        if times is not None:
            os.utime(path, ns=(times.st_atime_ns, times.st_mtime_ns))
        assert kept(Cache(tmp_path / "cache", tmp_path, READING), [path])[0][0, 0, 4, 4] == level


def test_other_readings_have_other_pixels() -> None:
    readings = [READING, Reading(Resize(8, 9)), Reading(ScaleShortest(8)), Reading(Resize(8, 8), channels=1),
                Reading(Resize(8, 8), depth=16), Reading(Resize(8, 8), background="black"), Reading(Resize(8, 8), halves=1),
                Reading(Resize(8, 8), halves=-1), Reading(Never(8, 8))]  # fmt: skip
    assert len({reading.fingerprint() for reading in readings}) == len(readings)
    assert Reading(Resize(8, 8)).fingerprint() == READING.fingerprint()


def prepare(folder: Path) -> None:
    Cache(folder / "cache", folder, Reading(Slow(8, 8))).ready(sorted((folder / "photos").glob("*.jpg")))


def start(folder: Path) -> multiprocessing.process.BaseProcess:
    process = multiprocessing.get_context("forkserver").Process(target=prepare, args=(folder,))
    process.start()
    return process


def test_who_is_killed_while_building_leaves_nothing_wrong(tmp_path: Path) -> None:
    paths = sorted(noisy(tmp_path / "photos", 60))
    process = start(tmp_path)
    deadline = time.monotonic() + 60
    while not any(file.stat().st_size for file in (tmp_path / "cache").glob("*/*.pixels")):
        assert time.monotonic() < deadline
        time.sleep(0.02)
    assert process.pid is not None
    os.kill(process.pid, signal.SIGKILL)
    process.join()
    (left,) = (tmp_path / "cache").glob("*/*.pixels")
    reading = Reading(Slow(8, 8))
    pictures = kept(Cache(tmp_path / "cache", tmp_path, reading), paths)
    assert all(torch.equal(pictures[place], Reading(Resize(8, 8))(path)) for place, path in enumerate(paths))
    assert not left.exists() and len(list(left.parent.glob("*.pixels"))) == 1


def test_several_that_build_at_once_decode_once(tmp_path: Path) -> None:
    paths = sorted(noisy(tmp_path / "photos", 12))
    processes = [start(tmp_path) for _ in range(3)]
    for process in processes:
        process.join(60)
    assert [process.exitcode for process in processes] == [0, 0, 0]
    assert len(list((tmp_path / "cache").glob("*/*.pixels"))) == 1
    pictures = kept(Cache(tmp_path / "cache", tmp_path, Reading(Slow(8, 8))), paths)
    assert torch.equal(pictures[3], READING(paths[3]))


def test_what_was_done_when_the_index_was_last_written_is_kept(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    paths = noisy(tmp_path / "photos", 20)
    monkeypatch.setattr(caching, "INDEX_EVERY", 0.0)
    cache, plainly = Cache(tmp_path / "cache", tmp_path, READING), Reading.__call__

    def interrupted(self: Reading, path: Path) -> torch.Tensor:
        if path == paths[-1]:
            raise KeyboardInterrupt
        return plainly(self, path)

    monkeypatch.setattr(Reading, "__call__", interrupted)
    with pytest.raises(KeyboardInterrupt):
        cache.ready(paths)
    assert 0 < len(cache.missing(paths)) < 20
    monkeypatch.setattr(Reading, "__call__", plainly)
    assert torch.equal(kept(cache, paths)[0], READING(paths[0]))


def test_a_damaged_index_is_written_anew(tmp_path: Path) -> None:
    paths = noisy(tmp_path / "photos", 2)
    cache = Cache(tmp_path / "cache", tmp_path, READING)
    cache.ready(paths)
    (cache.folder / "index.json").write_text('{"half')
    assert torch.equal(kept(cache, paths)[1], READING(paths[1]))
    assert len(json.loads((cache.folder / "index.json").read_text())) == 2


def test_bad_files_are_known_by_their_reason(tmp_path: Path) -> None:
    good, bad = photo(tmp_path / "a.png"), tmp_path / "b.png"
    bad.write_bytes(good.read_bytes()[:60])
    cache = Cache(tmp_path / "cache", tmp_path, READING)
    for _ in range(2):  # from decoding, and from the index
        records = cache.ready([good, bad, tmp_path / "gone.png"])
        assert records[good].bad is None
        assert "cannot be read" in str(records[bad].bad)
        assert records[tmp_path / "gone.png"].bad == "does not exist"


def test_pictures_travel_to_other_processes_without_their_pixels(tmp_path: Path) -> None:
    pictures = kept(Cache(tmp_path / "cache", tmp_path, READING), noisy(tmp_path / "photos", 3))
    seen = pictures[1].clone()
    sent = pickle.dumps(pictures)
    assert len(sent) < 2000 and torch.equal(pickle.loads(sent)[1], seen)


def test_an_emptied_cache_is_done_without(tmp_path: Path) -> None:
    data = data_of("data=flat", f"data.root={photos(tmp_path / 'photos', 8)}", "data.cache=true")
    samples = data.train_samples()
    for file in (tmp_path / "cache").glob("*/*"):
        file.unlink()
    assert samples[0, 0]["image"].shape == (3, 16, 16)  # type: ignore[index]


def test_a_cache_that_would_be_too_large_is_left_out(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("stylegan_lab.data.folders.folder_data.room", lambda folder: 1000)
    data = data_of("data=flat", f"data.root={photos(tmp_path / 'photos', 8)}")
    assert batches(data) and not (tmp_path / "cache").exists()
    assert any("no cache" in note for note in data.notes)


def test_a_cache_that_cannot_be_written_is_told_of(tmp_path: Path) -> None:
    (tmp_path / "file").touch()
    given = ["data=flat", f"data.root={photos(tmp_path / 'photos', 8)}", f"data.cache_dir={tmp_path / 'file'}"]
    with pytest.raises(Mistake, match=r"data.cache_dir=.*file cannot be written"):
        _ = data_of(*given, "data.cache=true").samples
    data = data_of(*given)
    assert data.samples == 6 and any("no cache" in note for note in data.notes)


def test_a_missing_file_is_unreadable(tmp_path: Path) -> None:
    with pytest.raises(Unreadable, match="does not exist"):
        READING(tmp_path / "gone.png")
