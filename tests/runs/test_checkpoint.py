"""Checkpoints: written atomically, checked against their hashes, loaded without running code, migrated by schema."""

import os
import pickle
import shutil
import zipfile
from collections.abc import Callable
from pathlib import Path
from typing import Any, BinaryIO

import pytest
import torch

from stylegan_lab.cli.main import run
from stylegan_lab.files.atomic_write import remove_leftovers
from stylegan_lab.runs import checkpoint
from stylegan_lab.runs.checkpoint import SCHEMA, read_checkpoint, write_checkpoint
from stylegan_lab.runs.checkpoint_index import CheckpointIndex
from tests.refusals import assert_refused, refused
from tests.training.train_process import TrainProcess


def make_contents(iteration: int = 1, size: int = 1000) -> dict[str, Any]:
    weights = torch.arange(size, dtype=torch.float32) + iteration
    return {"config": {}, "state_dict": {"weight": weights}, "iteration": iteration}


def write_checkpoints(folder: Path, *iterations: int) -> list[Path]:
    paths = [folder / f"{iteration:06d}.ckpt" for iteration in iterations]
    for path, iteration in zip(paths, iterations, strict=True):
        write_checkpoint(make_contents(iteration), path)
    return paths


def flip_a_bit(path: Path, needle: bytes) -> None:
    """Turn over one bit of a tensor, which no loader would notice."""
    data = bytearray(path.read_bytes())
    data[data.index(needle)] ^= 1
    path.write_bytes(data)


def test_plain_torch_reads_a_checkpoint(tmp_path: Path) -> None:
    (path,) = write_checkpoints(tmp_path, 1)
    assert torch.load(path, weights_only=True)["state_dict"]["weight"][3] == 4
    assert read_checkpoint(path)["schema"] == SCHEMA


def full_disk(monkeypatch: pytest.MonkeyPatch) -> None:
    def write(self: Any, part: bytes) -> int:
        self._file.write(part[: len(part) // 2])
        self.failure = "No space left on device"
        raise OSError(28, self.failure)

    monkeypatch.setattr(checkpoint._HashingFile, "write", write)


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
    (path,) = write_checkpoints(tmp_path, 1)
    with monkeypatch.context() as patched:
        broken(patched)
        with refused("checkpoint.not_writable", "000001.ckpt", " MB are free"):
            write_checkpoint(make_contents(2), path)
    assert read_checkpoint(path)["iteration"] == 1
    assert sorted(file.name for file in tmp_path.iterdir()) == ["000001.ckpt", "manifest.json"]


def test_a_damaged_checkpoint_is_never_loaded(tmp_path: Path) -> None:
    (path,) = write_checkpoints(tmp_path, 1)
    copy = tmp_path / "elsewhere" / "copy.ckpt"
    copy.parent.mkdir()
    shutil.copy(path, copy)
    assert read_checkpoint(copy)["iteration"] == 1, "a copy without its index is good too"
    for damaged in (path, copy):
        flip_a_bit(damaged, torch.arange(500, 600).float().numpy().tobytes())
        assert torch.load(damaged, weights_only=True)["iteration"] == 1, "torch does not notice"
        with refused("checkpoint.damaged", str(damaged)):
            read_checkpoint(damaged)


@pytest.mark.parametrize("size", [0, 10, 2000])
def test_a_checkpoint_that_was_cut_off_is_damaged(size: int, tmp_path: Path) -> None:
    (path,) = write_checkpoints(tmp_path, 1)
    path.write_bytes(path.read_bytes()[:size])
    with refused("checkpoint.damaged", "000001.ckpt"):
        read_checkpoint(path)


def test_the_newest_checkpoints_and_the_best_are_kept(tmp_path: Path) -> None:
    for iteration in range(1, 7):
        (path,) = write_checkpoints(tmp_path, iteration)
        CheckpointIndex.read(tmp_path).link_and_prune(path, is_best=iteration == 2, keep=2)
    index = CheckpointIndex.read(tmp_path)
    assert [path.name for path in index.newest_first()] == ["000006.ckpt", "000005.ckpt", "000002.ckpt"]
    assert sorted(path.stem for path in tmp_path.glob("*.ckpt")) == ["000002", "000005", "000006", "best", "last"]
    assert read_checkpoint(tmp_path / "last.ckpt")["iteration"] == 6
    assert read_checkpoint(tmp_path / "best.ckpt")["iteration"] == 2
    assert index.path_of("best") == tmp_path / "000002.ckpt"


def test_keep_none_keeps_all_checkpoints(tmp_path: Path) -> None:
    for path in write_checkpoints(tmp_path, 1, 2, 3):
        CheckpointIndex.read(tmp_path).link_and_prune(path, is_best=False, keep=None)
    assert len(CheckpointIndex.read(tmp_path).newest_first()) == 3


def test_a_user_s_own_file_is_never_deleted(tmp_path: Path) -> None:
    (mine,) = write_checkpoints(tmp_path, 1)
    mine = mine.rename(tmp_path / "keep-this.ckpt")
    CheckpointIndex.read(tmp_path).set_newest(mine, 1)
    assert CheckpointIndex.read(tmp_path).newest_first() == [mine]
    for iteration in (2, 3, 4):
        (path,) = write_checkpoints(tmp_path, iteration)
        CheckpointIndex.read(tmp_path).link_and_prune(path, is_best=False, keep=1)
    assert read_checkpoint(mine)["iteration"] == 1


def test_resuming_from_an_older_checkpoint_makes_it_the_newest(tmp_path: Path) -> None:
    first, second = write_checkpoints(tmp_path, 1, 2)
    CheckpointIndex.read(tmp_path).set_newest(first, 1)
    assert CheckpointIndex.read(tmp_path).newest_first() == [first, second]
    assert read_checkpoint(tmp_path / "last.ckpt")["iteration"] == 1


def test_last_and_best_are_copies_where_the_disk_has_no_links(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def link(*_: Any) -> None:
        raise OSError(95, "Operation not supported")

    monkeypatch.setattr(os, "link", link)
    (path,) = write_checkpoints(tmp_path, 1)
    CheckpointIndex.read(tmp_path).link_and_prune(path, is_best=True, keep=2)
    assert (
        read_checkpoint(tmp_path / "last.ckpt")["iteration"]
        == read_checkpoint(tmp_path / "best.ckpt")["iteration"]
        == 1
    )


@pytest.mark.parametrize("manifest", [None, "", "{", '{"checkpoints": 3}', "[]"])
def test_without_a_readable_index_the_file_names_give_the_order(manifest: str | None, tmp_path: Path) -> None:
    first, second = write_checkpoints(tmp_path, 1, 2)
    (tmp_path / "manifest.json").unlink()
    if manifest is not None:
        (tmp_path / "manifest.json").write_text(manifest)
    assert CheckpointIndex.read(tmp_path).newest_first() == [second, first]
    assert read_checkpoint(second)["iteration"] == 2


def test_temporary_files_of_a_killed_process_are_deleted(tmp_path: Path) -> None:
    (path,) = write_checkpoints(tmp_path, 1)
    (tmp_path / ".000002.ckpt.4711").write_bytes(b"half")
    (tmp_path / ".mine").write_text("kept")
    remove_leftovers(tmp_path)
    assert sorted(file.name for file in tmp_path.iterdir()) == [".mine", path.name, "manifest.json"]


# Foreign checkpoints.


class Payload:
    def __init__(self, marker: Path) -> None:
        self.marker = marker

    def __reduce__(self) -> Any:
        return Path.touch, (self.marker,)


def as_pickle(file: BinaryIO, evil: Any) -> None:
    pickle.dump(evil, file)


def as_torch_zip(file: BinaryIO, evil: Any) -> None:
    torch.save(make_contents() | {"extra": evil}, file)


def as_legacy_torch_file(file: BinaryIO, evil: Any) -> None:
    torch.save(make_contents() | {"extra": evil}, file, _use_new_zipfile_serialization=False)


def as_zip_with_pickle(file: BinaryIO, evil: Any) -> None:
    with zipfile.ZipFile(file, "w") as archive:
        archive.writestr("archive/data.pkl", pickle.dumps(evil))


@pytest.mark.parametrize("save", [as_pickle, as_torch_zip, as_legacy_torch_file, as_zip_with_pickle])
def test_no_code_in_a_checkpoint_is_run(save: Callable[[BinaryIO, Any], None], tmp_path: Path) -> None:
    marker, path = tmp_path / "executed", tmp_path / "evil.ckpt"
    with path.open("wb") as file:
        save(file, Payload(marker))
    for command in (["evaluate", "evil.ckpt"], ["translate", "evil.ckpt", "in.png", "out.png"]):
        assert run(command) == 2
    is_zip = save in (as_torch_zip, as_zip_with_pickle)
    with refused("checkpoint.unreadable" if is_zip else "checkpoint.damaged", "evil.ckpt"):
        read_checkpoint(path)
    assert not marker.exists()
    torch.load(path, weights_only=False) if save is as_torch_zip else None
    assert marker.exists() is (save is as_torch_zip), "the file is as evil as it seems"


CLASSES: list[dict[str, Any]] = [
    {"model": {"_target_": "evil.run"}},
    {"model": {"_target_": "os.system", "command": "touch executed"}},
    {"model": {"_target_": "torch.hub.load", "repo_or_dir": ".", "model": "m", "source": "local"}},
    {"data": {"_target_": "builtins.open", "file": "executed", "mode": "w"}},
    {"metrics": {"mine": {"_target_": "evil.run"}}},
    {"generator": {"_target_": "evil.run", "_partial_": True}, "trust": ["evil"]},
]


@pytest.fixture(scope="module")
def trained(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("trained") / "run"
    assert (
        run(["train", "experiment=smoke", "logger=none", "evaluate=false", "iterations=4", f"output_dir={folder}"]) == 0
    )
    return folder


@pytest.fixture
def changed_checkpoint(tmp_path: Path, trained: Path) -> Callable[..., Path]:
    """A real checkpoint whose config, or more, was changed by someone; and the code it would like to be run."""
    (tmp_path / "evil.py").write_text("import pathlib\npathlib.Path('executed').touch()\ndef run(*a, **k): pass\n")

    def changed(config: dict[str, Any], **more: Any) -> Path:
        shutil.copytree(trained, tmp_path / "foreign", dirs_exist_ok=True)
        made = read_checkpoint(tmp_path / "foreign" / "checkpoints" / "last.ckpt")
        made["config"] |= config
        if "generator" in config:
            made["config"]["model"]["generator"] = config["generator"]
        path = tmp_path / "foreign" / "checkpoints" / "changed.ckpt"
        torch.save(made | more, path)
        return path

    return changed


@pytest.mark.parametrize("config", CLASSES, ids=lambda config: "-".join(config))
def test_classes_in_a_checkpoint_are_built_only_if_allowed(
    config: dict[str, Any], changed_checkpoint: Callable[..., Path], capsys: pytest.CaptureFixture[str]
) -> None:
    assert run(["evaluate", str(changed_checkpoint(config))]) == 2
    assert_refused(capsys.readouterr().err, "security.untrusted_package", "_target_=")
    assert not Path("executed").exists()


def test_hyper_parameters_that_name_classes_are_ignored(changed_checkpoint: Callable[..., Path]) -> None:
    more = {"hyper_parameters": {"_instantiator": "evil.run"}, "hparams_name": "evil", "hparams_type": "evil.run"}
    more |= {"datamodule_hyper_parameters": {"_instantiator": "evil.run"}}
    path = changed_checkpoint({}, **more)
    assert run(["evaluate", str(path)]) == 0
    assert run(["train", f"resume={path}", "iterations=7"]) == 0
    assert not Path("executed").exists()


def test_no_secret_of_the_environment_is_in_any_file_of_a_run(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    secret = "s3cret-0123456789abcdef0123456789abcdef01234567"
    for name in ("WANDB_API_KEY", "HF_TOKEN", "MY_SECRET"):
        monkeypatch.setenv(name, secret)
    overrides = ["+vars.token=${oc.env:MY_SECRET}", "name=${vars.token}", "output_dir=out", "logger=both"]
    overrides += ["logger.wandb.tags=[${vars.token},x-${vars.token}]"]
    process = TrainProcess(["experiment=smoke", "iterations=2", *overrides], tmp_path)
    assert process.wait() == 0, process.printed()
    files = [path for path in Path("out").rglob("*") if path.is_file()]
    assert len(files) > 10 and any(path.suffix == ".wandb" for path in files)
    assert [path for path in files if secret.encode() in path.read_bytes()] == []
    assert "name: ${oc.env:MY_SECRET}" in Path("out/config.yaml").read_text()
    assert read_checkpoint(Path("out/checkpoints/last.ckpt"))["config"]["name"] == "${oc.env:MY_SECRET}"


@pytest.mark.parametrize("setting", ["optimizer.lr", "data.size", "iterations", "model.cycle_weight", "data.target"])
def test_no_message_shows_a_value_of_the_environment(
    setting: str, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setenv("MY_SECRET", "s3cret-0123456789")
    assert run(["train", "experiment=smoke", f"{setting}=${{oc.env:MY_SECRET}}", "dry_run=true"]) == 2
    printed = "".join(capsys.readouterr())
    assert "s3cret" not in printed and "${oc.env:MY_SECRET}" in printed


# Older schemas.


def test_an_older_schema_is_migrated_step_by_step(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (path,) = write_checkpoints(tmp_path, 1)
    monkeypatch.setattr(checkpoint, "SCHEMA", 3)
    steps: list[str] = []

    def to_2(contents: dict[str, Any]) -> None:
        steps.append("to 2")
        contents["renamed"] = contents.pop("config")

    def to_3(contents: dict[str, Any]) -> None:
        steps.append("to 3")
        contents["config"] = contents.pop("renamed") | {"new": 1}

    monkeypatch.setattr(checkpoint, "MIGRATIONS", [to_2, to_3])
    contents = read_checkpoint(path)
    assert steps == ["to 2", "to 3"]
    assert contents["schema"] == 3 and contents["config"] == {"new": 1} and contents["iteration"] == 1
    (newer,) = write_checkpoints(tmp_path, 2)
    assert torch.load(newer, weights_only=True)["schema"] == 3
    assert read_checkpoint(newer)["config"] == {} and len(steps) == 2, "the current schema is not migrated"


def test_every_schema_has_a_migration_to_the_next() -> None:
    assert len(checkpoint.MIGRATIONS) == SCHEMA - 1


@pytest.mark.parametrize("schema", [{}, {"schema": None}, {"schema": 0}, {"schema": "1"}])
def test_a_checkpoint_without_a_schema_is_refused(schema: dict[str, Any], tmp_path: Path) -> None:
    path = tmp_path / "old.ckpt"
    torch.save(make_contents() | schema, path)
    with refused("checkpoint.unknown_format", "old.ckpt"):
        read_checkpoint(path)


def test_a_checkpoint_of_a_newer_schema_is_refused(tmp_path: Path) -> None:
    path = tmp_path / "new.ckpt"
    torch.save(make_contents() | {"schema": SCHEMA + 1}, path)
    with refused("checkpoint.too_new", "new.ckpt", f"schema {SCHEMA + 1}; this one reads up to {SCHEMA}"):
        read_checkpoint(path)
