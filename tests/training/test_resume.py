"""Resuming: a checkpoint is hashed and loaded once, and nothing that a run folder names is executed."""

import json
import os
import shutil
import subprocess
import sys
import textwrap
from copy import deepcopy
from functools import partial
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
import torch
from omegaconf import OmegaConf, open_dict
from PIL import Image

from stylegan_lab.cli.main import run
from stylegan_lab.config.compose import compose_config
from stylegan_lab.data.folders.folder_datamodule import FolderDataModule
from stylegan_lab.errors import UserError
from stylegan_lab.models.translation.cyclegan import CycleGAN
from stylegan_lab.runs import checkpoint, checkpoint_index
from stylegan_lab.runs import run as run_module
from stylegan_lab.runs.reader import find_runs, recorded_state
from stylegan_lab.runs.run import Run
from stylegan_lab.training import evaluate as evaluate_module
from stylegan_lab.training import fit
from stylegan_lab.training.checkpoint_sections import check_sections
from stylegan_lab.training.data_record import check_data_unchanged, record_data_files
from stylegan_lab.training.experiment import Experiment, build_experiment
from stylegan_lab.training.resume import overrides_to_resume
from stylegan_lab.training.safe_overrides import overrides_of_run
from tests.refusals import assert_refused, refused

QUICK = ["experiment=smoke", "logger=none", "evaluate=false", "callbacks.validation=null", "output_dir=run"]


def test_a_resume_hashes_its_checkpoint_once_and_loads_it_once(monkeypatch: pytest.MonkeyPatch) -> None:
    assert run(["train", *QUICK, "iterations=2", "callbacks.checkpointing.every=1"]) == 0
    shutil.copytree("run", "copy")
    read: list[str] = []

    def counting(function: Any, kind: str) -> Any:
        def counted(path: Path, *arguments: Any, **named: Any) -> Any:
            read.append(f"{kind} {Path(path).name}")
            return function(path, *arguments, **named)

        return counted

    monkeypatch.setattr(checkpoint_index, "file_digest", counting(checkpoint_index.file_digest, "hash"))
    monkeypatch.setattr(checkpoint.torch, "load", counting(checkpoint.torch.load, "load"))
    for name, start in (("run", "000002.ckpt"), ("copy/checkpoints/000001.ckpt", "000001.ckpt")):
        read.clear()
        assert run(["train", f"resume={name}", "iterations=3"]) == 0
        assert read == [f"hash {start}", f"load {start}"]


COUNTING = """
    import os
    from pathlib import Path

    import torch

    from stylegan_lab.runs import checkpoint, checkpoint_index

    def counting(function, kind):
        def counted(path, *arguments, **named):
            if isinstance(path, Path):  # and not the tensors that ranks send each other
                with Path("counts.txt").open("a") as counts:
                    counts.write(f"{os.environ.get('LOCAL_RANK', 0)} {kind}\\n")
            return function(path, *arguments, **named)
        return counted

    checkpoint_index.file_digest = counting(checkpoint_index.file_digest, "hash")
    torch.load = counting(torch.load, "load")
"""
RANKS = [
    "strategy.accelerator=cpu",
    "strategy.devices=2",
    "data.batch_size=1",
]  # the global batch of one process with 2


@pytest.mark.usefixtures("forked_processes", "attacked")
@pytest.mark.parametrize("start", ["ddp", "ddp_spawn", "torchrun"])
def test_only_the_first_rank_hashes_and_every_rank_loads_once(start: str, tmp_path: Path) -> None:
    (tmp_path / "counted.py").write_text(
        textwrap.dedent(COUNTING) + "\nfrom stylegan_lab.cli.main import main\nmain()\n"
    )
    launcher = ["torch.distributed.run", "--standalone", "--nproc-per-node=2", "-m"] if start == "torchrun" else []
    strategy = "cluster" if start == "torchrun" else start
    words = ["train", "resume=run", "iterations=2", f"strategy={strategy}", *RANKS]
    subprocess.run(
        [sys.executable, "-m", *launcher, "counted", *words],
        check=True,
        cwd=tmp_path,
        env=os.environ | {"OMP_NUM_THREADS": "1"},
        timeout=180,
    )
    counts = sorted((tmp_path / "counts.txt").read_text().splitlines())
    if start == "ddp_spawn":  # its parent verifies, and starts ranks of `python -m stylegan_lab`, which do not count
        assert counts == ["0 hash"]
    else:
        assert counts == ["0 hash", "0 load", "1 load"]
    assert json.loads((tmp_path / "run" / "run.json").read_text())["iteration"] == 2


CALL = "{_target_:os.mkdir,path:marker}"
ATTACKS = [
    f"hydra.callbacks={{x:{CALL}}}",
    f"+hydra.callbacks={{x:{CALL}}}",
    f"++hydra.callbacks.x={CALL}",
    "+hydra.callbacks.x._target_=os.mkdir\n+hydra.callbacks.x.path=marker",
    f"hydra={{callbacks:{{x:{CALL}}}}}",
    f"'hydra.callbacks.x'={CALL}",
    f"hydra .callbacks.x={CALL}",
    f" +hydra.callbacks.x={CALL}",
    f"\t++hydra.callbacks.x={CALL}",
    f"hydra.launcher.x={CALL}",
    f"+hydra.sweeper.x={CALL}",
    f"hydra.job_logging={{version:1,formatters:{{x:{CALL}}}}}",
    "~hydra.run",
    "~hydra",
    "hydra/launcher=submitit_local",
    "+hydra/callbacks=evil",
    "hydra/job_logging=evil",
    "hydra.searchpath=[file://evil]\nexperiment=evil",
    "hydra.searchpath=[evil]\n+hydra/callbacks=evil",
    "--config-dir=evil\nexperiment=evil",
    "-cd evil",
    "-m",
    "experiment=../../evil/experiment/evil",
    "experiment='../../evil/experiment/evil'",
    "experiment=[smoke,../../evil/experiment/evil]",
    "experiment=${oc.select:nothing,../../evil/experiment/evil}",
    "+model@hydra.callbacks.x=../../evil/experiment/evil",
    "+model@hydra.callbacks.x=cyclegan",
    "+model@_global_.hydra.callbacks.x=cyclegan",
    "+model@vars._global_.hydra.callbacks.x=cyclegan",
    "+defaults=[{hydra/callbacks:evil}]",
]
IGNORED = ["trust=[os]", "+trust=[os]", "++trust=[os]", "trust.0=os", "+trust.0=os", "trust=os", "trust@vars=os",
           "+optimizer@_global_.trust=adam"]  # fmt: skip
CONFIGS = [
    f"+callbacks.x={CALL}",
    "+callbacks.x._target_=os.mkdir\n+callbacks.x.path=marker",
    "+vars.x=os.mkdir\n+callbacks.x={_target_:'${vars.x}',path:marker}",
    "+callbacks.x={_target_:stylegan_lab.train,_args_:['trust=[os]','dry_run=true']}",
    "+callbacks.x={_target_:stylegan_lab.models.base.BaseModel.load_from_checkpoint,checkpoint_path:x,trust:[os]}",
]


@pytest.fixture(scope="module")
def finished(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("finished")
    with pytest.MonkeyPatch.context() as patched:
        patched.chdir(folder)
        assert run(["train", *QUICK, "iterations=1"]) == 0
    return folder / "run"


@pytest.fixture
def attacked(finished: Path, tmp_path: Path) -> Path:
    """A copy of a run, and beside it a search path whose configs create `marker` when Hydra builds them."""
    shutil.copytree(finished, tmp_path / "run")
    for group, name in (("experiment", "evil"), ("hydra/callbacks", "evil"), ("hydra/job_logging", "evil")):
        path = tmp_path / "evil" / group / f"{name}.yaml"
        path.parent.mkdir(parents=True)
        path.write_text("# @package _global_\nhydra:\n  callbacks:\n    x: {_target_: os.mkdir, path: marker}\n")
    (tmp_path / "run" / "evil").symlink_to(tmp_path / "evil")
    return tmp_path / "run"


def resume_with(attacked: Path, lines: str, *words: str) -> int:
    with (attacked / "overrides.txt").open("a") as overrides:
        overrides.write(f"{lines}\n")
    return run(["train", "resume=run", "iterations=2", *words])


@pytest.mark.parametrize("lines", ATTACKS)
def test_a_run_folder_cannot_change_what_hydra_runs(
    lines: str, attacked: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert resume_with(attacked, lines) == 2
    error = capsys.readouterr().err
    codes = ("security.hydra_setting", "security.config_path", "run.overrides_damaged")
    assert "overrides.txt: " in error and any(f"[{code}]" in error for code in codes) and "Traceback" not in error
    assert not Path("marker").exists()


@pytest.mark.parametrize("lines", CONFIGS)
@pytest.mark.parametrize("trust", IGNORED[:1])
def test_what_a_run_folder_trusts_is_ignored(
    lines: str, trust: str, attacked: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert resume_with(attacked, f"{trust}\n{lines}") == 2
    code = "security.not_buildable" if "stylegan_lab" in lines else "security.untrusted_package"
    assert_refused(capsys.readouterr().err, code, "callbacks.x._target_=")
    assert not Path("marker").exists()


@pytest.mark.parametrize("trust", IGNORED)
def test_trust_comes_only_from_the_command_line(trust: str, attacked: Path) -> None:
    with (attacked / "overrides.txt").open("a") as overrides:
        overrides.write(f"{trust}\n")
    assert [each.key_or_group for each in overrides_of_run(Run(attacked)) if "trust" in str(each.input_line)] == []


UNREADABLE = [  # lines that are refused even before
    "+vars.y=env\n+vars.x=${oc.${vars.y}:MY_SECRET}",
    "+vars.x=${oc.decode:'$\\{oc.env:MY_SECRET\\}'}",
]
ONLY_ON_THE_COMMAND_LINE = [
    *UNREADABLE,
    "+vars.x=${oc.env:MY_SECRET}",
    "+vars.x='${oc.env:MY_SECRET}'",
    "name=a-${oc.env:MY_SECRET}-b",
    "+vars.x={y:[${oc.env:MY_SECRET}]}",
    "+vars.x=\\${oc.env:MY_SECRET}",
    "+logger.x={_target_:lightning.pytorch.loggers.MLFlowLogger,tracking_uri:'http://evil'}",
    "+logger.x._target_=lightning.pytorch.loggers.MLFlowLogger",
    "+vars.x={_target_:lightning.pytorch.loggers.MLFlowLogger}\n+logger.x=${vars.x}",
    "+vars.x=lightning.pytorch.loggers.MLFlowLogger\n+logger={x:{_target_:${vars.x}}}",
]


@pytest.mark.parametrize("lines", ONLY_ON_THE_COMMAND_LINE)
def test_a_run_folder_reads_no_environment_and_names_no_logger(
    lines: str, attacked: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("MY_SECRET", "s3cret")
    assert resume_with(attacked, lines) == 2
    error = capsys.readouterr().err
    code = "security.logger_class" if "Logger" in lines else "security.resolver"
    assert_refused(error, "run.overrides_damaged" if lines in UNREADABLE else code, "overrides.txt: ")
    assert "s3cret" not in error


def test_a_setting_that_reads_the_environment_is_given_again(attacked: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("MY_NAME", "ann")
    own = "+vars.x=${oc.env:MY_NAME}"
    assert resume_with(attacked, f"{own}\n+vars.node=${{seed}}", own) == 0


def test_callbacks_of_hydra_on_the_command_line_need_trust(capsys: pytest.CaptureFixture[str]) -> None:
    attack = ["experiment=smoke", "dry_run=true", f"+hydra.callbacks.x={CALL}"]
    assert run(["train", *attack]) == 2
    assert_refused(capsys.readouterr().err, "security.untrusted_package", "hydra.callbacks.x._target_=os.mkdir")
    indirect = ["+vars.x=os.mkdir", "+hydra.callbacks.x={_target_:'${vars.x}',path:marker}"]
    assert run(["train", *attack[:2], *indirect]) == 2
    assert not Path("marker").exists()
    Path("watching.py").write_text(
        "from pathlib import Path\nfrom hydra.experimental.callback import Callback\n"
        "class Watch(Callback):\n    def on_run_start(self, config, **_):\n        Path('started').touch()\n"
    )
    assert run(["train", *attack[:2], "+hydra.callbacks.x._target_=watching.Watch", "trust=[watching]"]) == 0
    assert Path("started").exists()


@pytest.mark.usefixtures("forked_processes")
def test_a_search_path_has_to_be_given_again(capsys: pytest.CaptureFixture[str]) -> None:
    Path("mine/experiment").mkdir(parents=True)
    Path("mine/experiment/own.yaml").write_text("# @package _global_\ndefaults:\n  - smoke\n\niterations: 1\n")
    search = f"hydra.searchpath=[file://{Path.cwd()}/mine]"
    command = [sys.executable, "-m", "stylegan_lab", "train", search, "experiment=own", *QUICK[1:]]
    subprocess.run(command, check=True)  # the run records the command of its process
    assert run(["train", "resume=run", "iterations=2"]) == 2
    assert_refused(capsys.readouterr().err, "config.unknown_choice", "experiment=own", search)
    assert run(["train", "resume=run", "iterations=2", search]) == 0


def contents(folder: Path) -> dict[str, bytes]:
    return {str(path.relative_to(folder)): path.read_bytes() for path in folder.rglob("*") if path.is_file()}


@pytest.mark.parametrize("where", ["command line", "experiment"])
def test_a_new_run_does_not_replace_a_run(
    where: str, attacked: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    words = [*QUICK, "resume=null", "iterations=1"]
    if where == "experiment":
        (tmp_path / "conf" / "experiment").mkdir(parents=True)
        own = "# @package _global_\ndefaults: [smoke]\noutput_dir: run\n"
        (tmp_path / "conf" / "experiment" / "own.yaml").write_text(own)
        search = f"hydra.searchpath=[file://{tmp_path}/conf]"
        words = [search, "experiment=own", *QUICK[1:-1], "iterations=1"]
    before = contents(attacked)
    for dry in (["dry_run=true"], []):
        assert run(["train", *words, *dry]) == 2
        assert_refused(capsys.readouterr().err, "run.already_exists", f"output_dir={attacked}", "overwrite=true")
    assert contents(attacked) == before
    assert run(["train", *words, "overwrite=true", "dry_run=true"]) == 0 and contents(attacked) == before
    assert run(["train", *words, "overwrite=true"]) == 0
    (old,) = tmp_path.glob("run.old-*")
    assert contents(old) == before
    assert find_runs([str(tmp_path)]) == [attacked] and find_runs([str(old)]) == [old]
    assert (attacked / "checkpoints" / "last.ckpt").is_file()


@pytest.mark.usefixtures("attacked")
def test_overwriting_is_no_resuming(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert run(["train", "resume=run", "iterations=2", "overwrite=true"]) == 2
    assert_refused(capsys.readouterr().err, "resume.with_overwrite", "overwrite=true", "resume=")
    assert run(["train", *QUICK, "iterations=1", "overwrite=true"]) == 0
    assert len(list(tmp_path.glob("run.old-*"))) == 1
    assert run(["train", "resume=run", "iterations=2"]) == 0, "overwrite=true is not taken from the run"
    assert len(list(tmp_path.glob("run.old-*"))) == 1


def reseal(path: Path, change: Any) -> None:
    """Change a checkpoint and its entry in the index, as somebody who forges it does."""
    contents = torch.load(path, weights_only=True)
    change(contents)
    path.unlink()
    (path.parent / "last.ckpt").unlink()
    (path.parent / "manifest.json").unlink()
    checkpoint.write_checkpoint(contents, path)


SECTIONS = ["rng_state", "loops", "loops.fit_loop", "ema", "ema.a_to_b", "callbacks", "pools", "optimizer_states",
            "lr_schedulers", "lr_scale", "global_step", "epoch", "state_dict"]  # fmt: skip


def remove(section: str, contents: dict[str, Any]) -> None:
    *parents, last = section.split(".")
    for parent in parents:
        contents = contents[parent]
    del contents[last]


@pytest.fixture(scope="module")
def experiment() -> Experiment:
    """What `resume=run` builds before it checks the sections of the checkpoint."""
    config = compose_config([*QUICK, "iterations=2"], with_hydra=True)
    choices = {str(group): str(choice) for group, choice in config.hydra.runtime.choices.items()}
    with open_dict(config):
        del config["hydra"]
    return build_experiment(config, choices)


@pytest.mark.parametrize("section", ["ema.a_to_b", "state_dict"])
def test_resuming_from_a_checkpoint_without_a_section_is_refused(
    section: str, attacked: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    reseal(attacked / "checkpoints" / "000001.ckpt", partial(remove, section))
    assert run(["train", "resume=run", "iterations=2"]) == 2
    error = capsys.readouterr().err
    if section == "state_dict":
        assert_refused(error, "checkpoint.unknown_format", "000001.ckpt")
    else:
        assert_refused(error, "checkpoint.section_missing", "000001.ckpt", f" {section} is missing")
    assert "Traceback" not in error


def test_each_section_and_each_part_of_it_is_needed(finished: Path, experiment: Experiment) -> None:
    path = finished / "checkpoints" / "000001.ckpt"
    saved = torch.load(path, weights_only=True)
    weight = next(iter(saved["state_dict"]))
    check_sections(path, saved, experiment)
    changes: dict[str, Any] = {
        "optimizer_states": lambda contents: contents["optimizer_states"].pop(),
        "optimizer_states[0]": lambda contents: contents["optimizer_states"][0].clear(),
        "rng_state": lambda contents: contents["rng_state"].clear(),
        "callbacks.Checkpointing": lambda contents: contents["callbacks"].pop("Checkpointing"),
        f"state_dict.{weight}": lambda contents: contents["state_dict"].pop(weight),
        "ema.a_to_b": lambda contents: contents["ema"].update(a_to_b=None),
    }
    removals = [(section, partial(remove, section)) for section in SECTIONS]
    for named, change in [*removals, *changes.items()]:
        contents = deepcopy(saved)
        change(contents)
        with refused("checkpoint.section_missing", f"{path} cannot be resumed", f" {named} is missing"):
            check_sections(path, contents, experiment)


def test_a_callback_may_be_added_to_a_resumed_run(attacked: Path) -> None:
    assert attacked.is_dir()
    assert (
        run(["train", "resume=run", "iterations=2", "+callbacks.timer._target_=lightning.pytorch.callbacks.Timer"]) == 0
    )


@pytest.mark.filterwarnings("ignore:Be aware that when using .ckpt_path.:UserWarning")
def test_a_callback_may_be_replaced_or_left_out_on_resume(monkeypatch: pytest.MonkeyPatch) -> None:
    summary, timer = (
        f"callbacks.own._target_=lightning.pytorch.callbacks.{name}" for name in ("ModelSummary", "Timer")
    )
    assert run(["train", *QUICK, "iterations=1", "callbacks.ema=null", f"+{summary}"]) == 0
    assert run(["train", "resume=run", "iterations=2", f"+{timer}"]) == 0, (
        "Timer has a state, and ModelSummary has none"
    )

    def hook_with_trainer(module: CycleGAN, checkpoint: dict[str, Any]) -> None:
        on_save_checkpoint(module, checkpoint)
        checkpoint["epochs"] = module.trainer.current_epoch

    on_save_checkpoint = CycleGAN.on_save_checkpoint
    monkeypatch.setattr(CycleGAN, "on_save_checkpoint", hook_with_trainer)
    assert run(["train", "resume=run", "iterations=3", "callbacks.own=null", "callbacks.nan_guard=null"]) == 0
    assert run(["train", "resume=run", "iterations=4"]) == 0


def test_changed_images_are_noticed(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    paths = [tmp_path / "images" / domain / f"{number}.png" for domain in "ab" for number in range(6)]
    for number, path in enumerate(paths):
        path.parent.mkdir(parents=True, exist_ok=True)
        Image.new("RGB", (16, 16), (20 * number, 0, 0)).save(path)
    words = ["experiment=tiny", "data=unpaired", "data.root=images", "data.size=16", "data.load_size=16", *QUICK[1:]]
    words += ["callbacks.samples=null", "callbacks.gan_failures=null", "data.cache_dir=cache"]
    assert run(["train", *words, "iterations=1"]) == 0
    os.utime(paths[2], (1, 1))
    assert run(["train", *words, "iterations=2"]) == 0, "a copy has other times"
    assert "1 of 12 image files have another modification time" in Path("run/log.txt").read_text()
    paths[0].unlink()
    Image.effect_noise((16, 16), 50).save(paths[1])
    Image.new("RGB", (16, 16)).save(paths[2].with_name("new.png"))
    for dry in (["dry_run=true"], []):
        capsys.readouterr()
        assert run(["train", *words, "iterations=3", *dry]) == 2
        error = capsys.readouterr().err
        named = "a/0.png is missing, a/1.png was changed, a/new.png is new"
        assert_refused(error, "resume.data_changed", named, "allow_changed_data=true")
    assert run(["train", *words, "iterations=3", "allow_changed_data=true"]) == 0
    assert run(["train", *words, "iterations=4"]) == 0, "the record is of the images as they are now"
    assert Path("run/log.txt").read_text().count("modification time") == 1


def test_names_and_unreadable_files_of_another_file_system_are_no_changes(
    tmp_path: Path,
) -> None:
    composed, decomposed = (tmp_path / f"{name}.png" for name in ("\xe4", "a\u0308"))
    composed.write_bytes(b"1")
    data = SimpleNamespace(source_files=lambda: {composed.name: composed})
    record_data_files(Run(tmp_path), data)  # type: ignore[arg-type]
    data.source_files = lambda: {decomposed.name: composed, "gone.png": tmp_path / "gone.png"}
    check_data_unchanged(Run(tmp_path), data, allow_changes=False)  # type: ignore[arg-type]
    (tmp_path / "loop").symlink_to("loop")
    data.source_files = lambda: {composed.name: tmp_path / "loop"}
    check_data_unchanged(Run(tmp_path), data, allow_changes=False)  # type: ignore[arg-type]
    data.source_files = lambda: {composed.name: tmp_path / "gone.png"}
    with refused("resume.data_changed", "\xe4.png is missing"):
        check_data_unchanged(Run(tmp_path), data, allow_changes=False)  # type: ignore[arg-type]


def test_lists_of_one_name_are_recorded_each(tmp_path: Path) -> None:
    lists = {split: tmp_path / split / "list.txt" for split in ("train", "val")}
    data = SimpleNamespace(files={}, tree=SimpleNamespace(files={}), split_settings=SimpleNamespace(lists=lists))
    assert FolderDataModule.source_files(data) == {  # type: ignore[arg-type]
        "data.train_list": lists["train"],
        "data.val_list": lists["val"],
    }


def test_a_failed_evaluation_is_recorded_and_repeated(monkeypatch: pytest.MonkeyPatch) -> None:
    def failing(*_: Any, **__: Any) -> None:
        raise UserError("device.out_of_memory", "no memory")

    words = [*QUICK[:2], *QUICK[3:], "iterations=1"]
    with monkeypatch.context() as patch:
        patch.setattr(fit, "evaluate_checkpoint", failing)
        assert run(["train", *words]) == 2
        state = recorded_state(Path("run"))
        assert state is not None and (state.status, state.iteration) == ("failed", 1)
        assert state.sessions[-1].reason == "in the evaluation: no memory"
    monkeypatch.setattr(fit, "evaluate_checkpoint", lambda *_, **__: "scores")
    assert run(["train", *words]) == 0
    state = recorded_state(Path("run"))
    assert state is not None and state.status == "finished"


def test_a_choice_replaces_the_settings_of_the_former_one(attacked: Path) -> None:
    with (attacked / "overrides.txt").open("a") as overrides:
        overrides.write("strategy=ddp\nstrategy.devices=2\nlogger=wandb\nlogger.wandb.tags=[mine]\n")
    resumed = overrides_to_resume(["resume=run", "strategy=single", "logger=none"], sweep=False)
    assert not [each for each in resumed if each.startswith(("strategy.", "logger."))]
    assert [each for each in resumed if each.startswith("strategy")] == ["strategy=single"]
    kept = overrides_to_resume(["resume=run", "strategy.devices=1"], sweep=False)
    assert "strategy=ddp" in kept and "logger.wandb.tags=[mine]" in kept and "strategy.devices=2" not in kept
    repeated = overrides_to_resume(["resume=run", "logger=wandb", "strategy=single"], sweep=False)
    assert "logger.wandb.tags=[mine]" in repeated and "strategy.devices=2" not in repeated


def test_folders_that_cannot_be_written_are_named(
    attacked: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    make_writable = run_module.make_writable

    def refuse(folder: Path) -> None:
        if folder.name == "checkpoints":
            raise PermissionError(13, "Permission denied")
        make_writable(folder)

    monkeypatch.setattr(run_module, "make_writable", refuse)
    assert run(["train", "resume=run", "iterations=2"]) == 2
    assert_refused(capsys.readouterr().err, "run.not_writable", f"{attacked / 'checkpoints'}", "Permission denied")


@pytest.mark.usefixtures("attacked")
def test_a_folder_may_have_a_space_in_its_name(tmp_path: Path) -> None:
    (tmp_path / "run").rename(tmp_path / "a run")
    assert run(["train", "resume=a run", "iterations=2"]) == 0
    assert run(["train", "resume=a run/checkpoints/last.ckpt", "iterations=3"]) == 0


def test_a_run_is_not_finished_before_it_is_evaluated(monkeypatch: pytest.MonkeyPatch) -> None:
    seen: list[str] = []

    def evaluate(folder: Run, *_: Any, **__: Any) -> str:
        state = recorded_state(folder.folder)
        seen.append(state.status if state else "")
        return ""

    monkeypatch.setattr(fit, "evaluate_checkpoint", evaluate)
    assert run(["train", *QUICK, "iterations=1", "evaluate=true"]) == 0
    state = recorded_state(Path("run"))
    assert seen == ["running"] and state is not None and state.status == "finished"


def test_a_checkpoint_sends_no_value_of_the_environment_when_it_is_evaluated(monkeypatch: pytest.MonkeyPatch) -> None:
    built: list[str] = []

    def build(where: str, *_: Any) -> Any:
        built.append(where)
        raise UserError("logger.package_missing", "its package is missing")

    monkeypatch.setattr(evaluate_module, "build_logger_factory", build)
    monkeypatch.setenv("MY_SECRET", "s3cret")
    loggers = {
        "sends": {"project": "${oc.env:MY_SECRET}"},
        "refers": {"project": "${vars.x}"},
        "own": {"project": "mine"},
    }
    config = OmegaConf.create({"logger": loggers, "vars": {"x": "${oc.env:MY_SECRET}"}, "trust": []})
    evaluate_module.log_scores(Run("run"), config, {"split": "test", "iteration": 1, "metrics": {}}, Path("test.png"))
    assert built == ["evaluate.own"]
