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
from stylegan_lab.data.folders.cache import CachedImages, DecodedCache
from stylegan_lab.data.folders.reading import ImageReading
from stylegan_lab.images.transforms.resize import Resize, ScaleShortest
from tests.data.folders.photos import batches, data_of, photo, photos
from tests.refusals import refused

READING = ImageReading(Resize(8, 8))


def cached_images(cache: DecodedCache, paths: list[Path]) -> CachedImages:
    records = cache.ensure_decoded(paths)
    return CachedImages(cache, [records[path] for path in paths])


def noise_images(folder: Path, count: int, size: int = 24) -> list[Path]:
    folder.mkdir(exist_ok=True)
    paths = [folder / f"{number}.jpg" for number in range(count)]
    for path in paths:
        Image.effect_noise((size, size), 90).save(path)
    return paths


class SlowResize(Resize):
    """Slow decoding, to interrupt it."""

    def __call__(self, pixels: torch.Tensor) -> torch.Tensor:
        time.sleep(0.05)
        return super().__call__(pixels)


class FailingResize(Resize):
    def __call__(self, pixels: torch.Tensor) -> torch.Tensor:
        raise AssertionError("decoded again")


@pytest.mark.parametrize("num_workers", [0, 2])
@pytest.mark.parametrize("bit_depth", [8, 16])
def test_cached_and_decoded_images_are_equal_with_and_without_workers(
    tmp_path: Path, num_workers: int, bit_depth: int
) -> None:
    noise_images(tmp_path / "trainA", 7), noise_images(tmp_path / "trainB", 9)
    given = [
        "data=unpaired",
        f"data.root={tmp_path}",
        "data.load_size=20",
        "augment=strong",
        f"data.bit_depth={bit_depth}",
    ]
    cached = data_of(*given, "data.cache=true", f"data.num_workers={num_workers}")
    plain = data_of(*given, "data.cache=false")
    for one, other in zip(batches(cached), batches(plain), strict=True):
        assert all(torch.equal(one[name], other[name]) for name in ("a", "b"))


def test_images_of_different_sizes_are_cached(tmp_path: Path) -> None:
    paths = [photo(tmp_path / "a.png", 9, (20, 16)), photo(tmp_path / "b.png", 9, (16, 40))]
    reading = ImageReading(ScaleShortest(8))
    images = cached_images(DecodedCache(tmp_path / "cache", tmp_path, reading), paths)
    assert [tuple(images[index].shape) for index in range(2)] == [(1, 3, 8, 10), (1, 3, 20, 8)]
    assert all(torch.equal(images[index], reading(path)) for index, path in enumerate(paths))


def test_unchanged_images_are_not_decoded_again(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    paths = noise_images(tmp_path / "photos", 5)
    before = cached_images(DecodedCache(tmp_path / "cache", tmp_path, READING), paths)
    decoded: list[Path] = []
    original = ImageReading.__call__
    monkeypatch.setattr(ImageReading, "__call__", lambda self, path: decoded.append(path) or original(self, path))
    new = photo(tmp_path / "photos" / "new.png")
    after = cached_images(DecodedCache(tmp_path / "cache", tmp_path, READING), [*paths, new])
    assert decoded == [new]
    assert all(torch.equal(before[index], after[index]) for index in range(5))


def test_a_changed_file_never_gives_old_pixels(tmp_path: Path) -> None:
    """Even if its size and modification time are unchanged, or changes follow within a moment."""
    path = tmp_path / "photos" / "a.bmp"
    for level in range(10, 20):
        times = path.stat() if path.exists() else None
        photo(path, level)
        if times is not None:
            os.utime(path, ns=(times.st_atime_ns, times.st_mtime_ns))
        assert cached_images(DecodedCache(tmp_path / "cache", tmp_path, READING), [path])[0][0, 0, 4, 4] == level


def test_different_readings_have_different_fingerprints() -> None:
    readings = [READING, ImageReading(Resize(8, 9)), ImageReading(ScaleShortest(8)), ImageReading(Resize(8, 8), channels=1),
                ImageReading(Resize(8, 8), bit_depth=16), ImageReading(Resize(8, 8), background="black"),
                ImageReading(Resize(8, 8), halves=1),
                ImageReading(Resize(8, 8), halves=-1), ImageReading(FailingResize(8, 8))]  # fmt: skip
    assert len({reading.fingerprint() for reading in readings}) == len(readings)
    assert ImageReading(Resize(8, 8)).fingerprint() == READING.fingerprint()


def prepare(folder: Path) -> None:
    DecodedCache(folder / "cache", folder, ImageReading(SlowResize(8, 8))).ensure_decoded(
        sorted((folder / "photos").glob("*.jpg"))
    )


def start_preparing(folder: Path) -> multiprocessing.process.BaseProcess:
    process = multiprocessing.get_context("forkserver").Process(target=prepare, args=(folder,))
    process.start()
    return process


def test_a_process_killed_while_decoding_leaves_a_valid_cache(tmp_path: Path) -> None:
    paths = sorted(noise_images(tmp_path / "photos", 60))
    process = start_preparing(tmp_path)
    deadline = time.monotonic() + 60
    while not any(file.stat().st_size for file in (tmp_path / "cache").glob("*/*.pixels")):
        assert time.monotonic() < deadline
        time.sleep(0.02)
    assert process.pid is not None
    os.kill(process.pid, signal.SIGKILL)
    process.join()
    (left,) = (tmp_path / "cache").glob("*/*.pixels")
    reading = ImageReading(SlowResize(8, 8))
    images = cached_images(DecodedCache(tmp_path / "cache", tmp_path, reading), paths)
    assert all(torch.equal(images[index], ImageReading(Resize(8, 8))(path)) for index, path in enumerate(paths))
    assert not left.exists() and len(list(left.parent.glob("*.pixels"))) == 1


def test_concurrent_processes_decode_once(tmp_path: Path) -> None:
    paths = sorted(noise_images(tmp_path / "photos", 12))
    processes = [start_preparing(tmp_path) for _ in range(3)]
    for process in processes:
        process.join(60)
    assert [process.exitcode for process in processes] == [0, 0, 0]
    assert len(list((tmp_path / "cache").glob("*/*.pixels"))) == 1
    images = cached_images(DecodedCache(tmp_path / "cache", tmp_path, ImageReading(SlowResize(8, 8))), paths)
    assert torch.equal(images[3], READING(paths[3]))


def test_images_indexed_before_an_interruption_are_kept(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    paths = noise_images(tmp_path / "photos", 20)
    monkeypatch.setattr(caching, "INDEX_EVERY", 0.0)
    cache, original = DecodedCache(tmp_path / "cache", tmp_path, READING), ImageReading.__call__

    def interrupted_read(self: ImageReading, path: Path) -> torch.Tensor:
        if path == paths[-1]:
            raise KeyboardInterrupt
        return original(self, path)

    monkeypatch.setattr(ImageReading, "__call__", interrupted_read)
    with pytest.raises(KeyboardInterrupt):
        cache.ensure_decoded(paths)
    assert 0 < len(cache.undecoded(paths)) < 20
    monkeypatch.setattr(ImageReading, "__call__", original)
    assert torch.equal(cached_images(cache, paths)[0], READING(paths[0]))


def test_a_damaged_index_is_rebuilt(tmp_path: Path) -> None:
    paths = noise_images(tmp_path / "photos", 2)
    cache = DecodedCache(tmp_path / "cache", tmp_path, READING)
    cache.ensure_decoded(paths)
    (cache.folder / "index.json").write_text('{"half')
    assert torch.equal(cached_images(cache, paths)[1], READING(paths[1]))
    assert len(json.loads((cache.folder / "index.json").read_text())) == 2


def test_bad_files_are_recorded_with_their_reason(tmp_path: Path) -> None:
    good, bad = photo(tmp_path / "a.png"), tmp_path / "b.png"
    bad.write_bytes(good.read_bytes()[:60])
    cache = DecodedCache(tmp_path / "cache", tmp_path, READING)
    for _ in range(2):  # from decoding, and from the index
        records = cache.ensure_decoded([good, bad, tmp_path / "gone.png"])
        assert records[good].bad is None
        assert "cannot be read" in str(records[bad].bad)
        assert records[tmp_path / "gone.png"].bad == "does not exist"


def test_pickled_images_contain_no_pixels(tmp_path: Path) -> None:
    images = cached_images(DecodedCache(tmp_path / "cache", tmp_path, READING), noise_images(tmp_path / "photos", 3))
    seen = images[1].clone()
    sent = pickle.dumps(images)
    assert len(sent) < 2000 and torch.equal(pickle.loads(sent)[1], seen)


def test_training_continues_without_a_deleted_cache(tmp_path: Path) -> None:
    data = data_of("data=flat", f"data.root={photos(tmp_path / 'photos', 8)}", "data.cache=true")
    samples = data.train_samples()
    for file in (tmp_path / "cache").glob("*/*"):
        file.unlink()
    assert samples[0, 0]["image"].shape == (3, 16, 16)  # type: ignore[index]


def test_a_cache_that_would_be_too_large_is_not_written(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("stylegan_lab.data.folders.folder_datamodule.free_bytes", lambda folder: 1000)
    data = data_of("data=flat", f"data.root={photos(tmp_path / 'photos', 8)}")
    assert batches(data) and not (tmp_path / "cache").exists()
    assert any("no cache" in note for note in data.plan_notes)


def test_a_cache_that_cannot_be_written_is_an_error_or_a_note(tmp_path: Path) -> None:
    (tmp_path / "file").touch()
    given = ["data=flat", f"data.root={photos(tmp_path / 'photos', 8)}", f"data.cache_dir={tmp_path / 'file'}"]
    with refused("data.cache_not_writable", f"data.cache_dir={tmp_path / 'file'}"):
        _ = data_of(*given, "data.cache=true").num_samples
    data = data_of(*given)
    assert data.num_samples == 6 and any("no cache" in note for note in data.plan_notes)


def test_a_missing_file_is_unreadable(tmp_path: Path) -> None:
    with refused("image.not_found", "gone.png"):
        READING(tmp_path / "gone.png")
