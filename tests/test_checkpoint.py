"""Checkpoints on the disk: whole or not at all, never believed when damaged, never run, readable for ever."""

import json
import os
import pickle
import shutil
import zipfile
from collections.abc import Callable
from pathlib import Path
from typing import Any, BinaryIO

import pytest
import torch

from stylegan_lab import checkpoint, whole
from stylegan_lab.checkpoint import SCHEMA, read_checkpoint, write_checkpoint
from stylegan_lab.cli.main import run
from stylegan_lab.experiment import restore_module
from stylegan_lab.manifest import Manifest
from stylegan_lab.mistake import Mistake
from tests.survival.attempts import Attempt

FIXTURES = sorted((Path(__file__).parent / "fixtures").glob("schema_*"))


def contents(iteration: int = 1, size: int = 1000) -> dict[str, Any]:
    weights = torch.arange(size, dtype=torch.float32) + iteration
    return {"config": {}, "state_dict": {"weight": weights}, "iteration": iteration}


def written(folder: Path, *iterations: int) -> list[Path]:
    paths = [folder / f"{iteration:06d}.ckpt" for iteration in iterations]
    for path, iteration in zip(paths, iterations, strict=True):
        write_checkpoint(contents(iteration), path)
    return paths


def flip(path: Path, needle: bytes) -> None:
    """Turn over one bit of a tensor, which no loader would notice."""
    data = bytearray(path.read_bytes())
    data[data.index(needle)] ^= 1
    path.write_bytes(data)


def test_plain_torch_reads_a_checkpoint(tmp_path: Path) -> None:
    (path,) = written(tmp_path, 1)
    assert torch.load(path, weights_only=True)["state_dict"]["weight"][3] == 4
    assert read_checkpoint(path)["schema"] == SCHEMA


def full_disk(monkeypatch: pytest.MonkeyPatch) -> None:
    def write(self: Any, part: bytes) -> int:
        self._file.write(part[: len(part) // 2])
        self.failure = "No space left on device"
        raise OSError(28, self.failure)

    monkeypatch.setattr(checkpoint._Hashed, "write", write)


def no_renaming(monkeypatch: pytest.MonkeyPatch) -> None:
    def replace(*_: Any) -> None:
        raise OSError(30, "Read-only file system")

    monkeypatch.setattr(Path, "replace", replace)


def no_syncing(monkeypatch: pytest.MonkeyPatch) -> None:
    def sync(_: int) -> None:
        raise OSError(5, "Input/output error")

    monkeypatch.setattr(os, "fsync", sync)


@pytest.mark.parametrize("broken", [full_disk, no_renaming, no_syncing])
def test_a_checkpoint_that_cannot_be_written_leaves_the_old_one(
    broken: Callable[[pytest.MonkeyPatch], None], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (path,) = written(tmp_path, 1)
    with monkeypatch.context() as patched:
        broken(patched)
        with pytest.raises(Mistake, match=r"000001.ckpt cannot be written: .* \([\d,]+ MB are free there\)"):
            write_checkpoint(contents(2), path)
    assert read_checkpoint(path)["iteration"] == 1
    assert sorted(file.name for file in tmp_path.iterdir()) == ["000001.ckpt", "manifest.json"]


def test_a_damaged_checkpoint_is_never_loaded(tmp_path: Path) -> None:
    (path,) = written(tmp_path, 1)
    alone = tmp_path / "elsewhere" / "copy.ckpt"
    alone.parent.mkdir()
    shutil.copy(path, alone)
    assert read_checkpoint(alone)["iteration"] == 1, "a copy without its manifest is good too"
    for damaged in (path, alone):
        flip(damaged, torch.arange(500, 600).float().numpy().tobytes())
        assert torch.load(damaged, weights_only=True)["iteration"] == 1, "torch does not notice"
        with pytest.raises(Mistake, match="it is damaged, or no checkpoint"):
            read_checkpoint(damaged)


@pytest.mark.parametrize("size", [0, 10, 2000])
def test_a_checkpoint_that_was_cut_off_is_damaged(size: int, tmp_path: Path) -> None:
    (path,) = written(tmp_path, 1)
    path.write_bytes(path.read_bytes()[:size])
    with pytest.raises(Mistake, match="damaged"):
        read_checkpoint(path)


def test_the_newest_are_kept_and_the_best(tmp_path: Path) -> None:
    for iteration in range(1, 7):
        (path,) = written(tmp_path, iteration)
        Manifest.of(tmp_path).settle(path, is_best=iteration == 2, keep=2)
    manifest = Manifest.of(tmp_path)
    assert [path.name for path in manifest.newest_first()] == ["000006.ckpt", "000005.ckpt", "000002.ckpt"]
    assert sorted(path.stem for path in tmp_path.glob("*.ckpt")) == ["000002", "000005", "000006", "best", "last"]
    assert read_checkpoint(tmp_path / "last.ckpt")["iteration"] == 6
    assert read_checkpoint(tmp_path / "best.ckpt")["iteration"] == 2
    assert manifest.named("best") == tmp_path / "000002.ckpt"


def test_all_are_kept_if_asked(tmp_path: Path) -> None:
    for path in written(tmp_path, 1, 2, 3):
        Manifest.of(tmp_path).settle(path, is_best=False, keep=None)
    assert len(Manifest.of(tmp_path).newest_first()) == 3


def test_what_someone_put_there_is_never_deleted(tmp_path: Path) -> None:
    (mine,) = written(tmp_path, 1)
    mine = mine.rename(tmp_path / "keep-this.ckpt")
    Manifest.of(tmp_path).make_last(mine, 1)
    for iteration in (2, 3, 4):
        (path,) = written(tmp_path, iteration)
        Manifest.of(tmp_path).settle(path, is_best=False, keep=1)
    assert read_checkpoint(mine)["iteration"] == 1


def test_going_back_makes_an_older_one_the_newest(tmp_path: Path) -> None:
    first, second = written(tmp_path, 1, 2)
    Manifest.of(tmp_path).make_last(first, 1)
    assert Manifest.of(tmp_path).newest_first() == [first, second]
    assert read_checkpoint(tmp_path / "last.ckpt")["iteration"] == 1


def test_names_are_copies_where_the_disk_knows_no_links(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def link(*_: Any) -> None:
        raise OSError(95, "Operation not supported")

    monkeypatch.setattr(os, "link", link)
    (path,) = written(tmp_path, 1)
    Manifest.of(tmp_path).settle(path, is_best=True, keep=2)
    assert (
        read_checkpoint(tmp_path / "last.ckpt")["iteration"]
        == read_checkpoint(tmp_path / "best.ckpt")["iteration"]
        == 1
    )


@pytest.mark.parametrize("manifest", [None, "", "{", '{"checkpoints": 3}', "[]"])
def test_without_a_readable_manifest_files_stand_for_themselves(manifest: str | None, tmp_path: Path) -> None:
    first, second = written(tmp_path, 1, 2)
    (tmp_path / "manifest.json").unlink()
    if manifest is not None:
        (tmp_path / "manifest.json").write_text(manifest)
    assert Manifest.of(tmp_path).newest_first() == [second, first]
    assert read_checkpoint(second)["iteration"] == 2


def test_what_a_killed_process_left_is_swept_away(tmp_path: Path) -> None:
    (path,) = written(tmp_path, 1)
    (tmp_path / ".000002.ckpt.4711").write_bytes(b"half")
    (tmp_path / ".mine").write_text("kept")
    whole.sweep(tmp_path)
    assert sorted(file.name for file in tmp_path.iterdir()) == [".mine", path.name, "manifest.json"]


# Foreign checkpoints.


class Evil:
    def __init__(self, marker: Path) -> None:
        self.marker = marker

    def __reduce__(self) -> Any:
        return Path.touch, (self.marker,)


def pickled(file: BinaryIO, evil: Any) -> None:
    pickle.dump(evil, file)


def saved_by_torch(file: BinaryIO, evil: Any) -> None:
    torch.save(contents() | {"extra": evil}, file)


def saved_by_torch_long_ago(file: BinaryIO, evil: Any) -> None:
    torch.save(contents() | {"extra": evil}, file, _use_new_zipfile_serialization=False)


def zipped(file: BinaryIO, evil: Any) -> None:
    with zipfile.ZipFile(file, "w") as archive:
        archive.writestr("archive/data.pkl", pickle.dumps(evil))


@pytest.mark.parametrize("save", [pickled, saved_by_torch, saved_by_torch_long_ago, zipped])
def test_no_code_in_a_checkpoint_is_run(save: Callable[[BinaryIO, Any], None], tmp_path: Path) -> None:
    marker, path = tmp_path / "executed", tmp_path / "evil.ckpt"
    with path.open("wb") as file:
        save(file, Evil(marker))
    for command in (["evaluate", "evil.ckpt"], ["translate", "evil.ckpt", "in.png", "out.png"]):
        assert run(command) == 2
    with pytest.raises(Mistake):
        read_checkpoint(path)
    assert not marker.exists()
    torch.load(path, weights_only=False) if save is saved_by_torch else None
    assert marker.exists() is (save is saved_by_torch), "the file is as evil as it seems"


CLASSES: list[dict[str, Any]] = [
    {"model": {"_target_": "evil.run"}},
    {"model": {"_target_": "os.system", "command": "touch executed"}},
    {"model": {"_target_": "torch.hub.load", "repo_or_dir": ".", "model": "m", "source": "local"}},
    {"data": {"_target_": "builtins.open", "file": "executed", "mode": "w"}},
    {"metrics": {"mine": {"_target_": "evil.run"}}},
    {"translator": {"_target_": "evil.run", "_partial_": True}, "trust": ["evil"]},
]


@pytest.fixture
def foreign(tmp_path: Path) -> Callable[..., Path]:
    """A real checkpoint whose config, or more, was changed by someone; and the code it would like to be run."""
    (tmp_path / "evil.py").write_text("import pathlib\npathlib.Path('executed').touch()\ndef run(*a, **k): pass\n")

    def changed(config: dict[str, Any], **more: Any) -> Path:
        shutil.copytree(FIXTURES[-1], tmp_path / "foreign", dirs_exist_ok=True)
        made = read_checkpoint(tmp_path / "foreign" / "checkpoints" / "last.ckpt")
        made["config"] |= config
        if "translator" in config:
            made["config"]["model"]["translator"] = config["translator"]
        path = tmp_path / "foreign" / "checkpoints" / "changed.ckpt"
        torch.save(made | more, path)
        return path

    return changed


@pytest.mark.parametrize("config", CLASSES, ids=lambda config: "-".join(config))
def test_classes_a_checkpoint_names_are_built_only_if_allowed(
    config: dict[str, Any], foreign: Callable[..., Path], capsys: pytest.CaptureFixture[str]
) -> None:
    assert run(["evaluate", str(foreign(config))]) == 2
    assert "is not allowed to be built from a config" in capsys.readouterr().err
    assert not Path("executed").exists()


def test_hyper_parameters_that_name_classes_are_never_looked_at(foreign: Callable[..., Path]) -> None:
    more = {"hyper_parameters": {"_instantiator": "evil.run"}, "hparams_name": "evil", "hparams_type": "evil.run"}
    more |= {"datamodule_hyper_parameters": {"_instantiator": "evil.run"}}
    path = foreign({}, **more)
    assert run(["evaluate", str(path)]) == 0
    assert run(["train", f"resume={path}", "iterations=7"]) == 0
    assert not Path("executed").exists()


def test_no_secret_of_the_environment_is_in_any_file_of_a_run(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    secret = "s3cret-0123456789abcdef0123456789abcdef01234567"
    for name in ("WANDB_API_KEY", "HF_TOKEN", "MY_SECRET"):
        monkeypatch.setenv(name, secret)
    overrides = ["+vars.token=${oc.env:MY_SECRET}", "name=${vars.token}", "output_dir=out", "logger=both"]
    attempt = Attempt(["experiment=smoke", "iterations=2", *overrides], tmp_path)
    assert attempt.wait() == 0, attempt.said()
    files = [path for path in Path("out").rglob("*") if path.is_file()]
    assert len(files) > 10 and any(path.suffix == ".wandb" for path in files)
    assert [path for path in files if secret.encode() in path.read_bytes()] == []
    assert "name: ${oc.env:MY_SECRET}" in Path("out/config.yaml").read_text()
    assert read_checkpoint(Path("out/checkpoints/last.ckpt"))["config"]["name"] == "${oc.env:MY_SECRET}"


# Older schemas.


@pytest.mark.parametrize("fixture", FIXTURES, ids=lambda path: path.name)
def test_checkpoints_of_every_schema_translate_and_go_on(fixture: Path, tmp_path: Path) -> None:
    """Beside what the code of their time made of them."""
    shutil.copytree(fixture, tmp_path / "run")
    expected = json.loads((fixture / "expected.json").read_text())
    path = tmp_path / "run" / "checkpoints" / "last.ckpt"
    assert torch.load(path, weights_only=True).get("schema", 1) == int(fixture.name.removeprefix("schema_"))
    picture = torch.linspace(-1, 1, 3 * 16 * 16).view(1, 3, 16, 16)
    translated = restore_module(read_checkpoint(path)).translate(picture).flatten()[::96].tolist()
    assert translated == pytest.approx(expected["translated"], abs=1e-4)
    assert run(["train", "resume=run", "iterations=8"]) == 0
    weights = read_checkpoint(tmp_path / "run" / "checkpoints" / "000008.ckpt")["state_dict"]
    norms = {
        name: float(weight.double().norm()) for name, weight in weights.items() if name in expected["resumed_norms"]
    }
    assert norms == pytest.approx(expected["resumed_norms"], abs=1e-4)


def test_there_is_a_fixture_for_every_schema() -> None:
    assert [fixture.name for fixture in FIXTURES] == [f"schema_{number}" for number in range(1, SCHEMA + 1)]


def test_a_checkpoint_of_the_future_is_refused_in_a_sentence(tmp_path: Path) -> None:
    path = tmp_path / "new.ckpt"
    torch.save(contents() | {"schema": SCHEMA + 1}, path)
    with pytest.raises(
        Mistake, match=rf"written by a newer stylegan_lab \(schema {SCHEMA + 1}; this one reads up to {SCHEMA}\)"
    ):
        read_checkpoint(path)
