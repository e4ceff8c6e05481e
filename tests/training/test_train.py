"""Training from Python, again and again in one process, and what it refuses."""

import os
import signal
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

import pytest
import torch
from hydra import compose, initialize_config_dir
from hydra.core.global_hydra import GlobalHydra
from hydra.core.hydra_config import HydraConfig

import stylegan_lab
from stylegan_lab.callbacks import preemption
from stylegan_lab.cli.main import run as command
from stylegan_lab.config.paths import CONF
from stylegan_lab.models.translation.cyclegan import CycleGAN
from stylegan_lab.runs.checkpoint import read_checkpoint
from stylegan_lab.runs.run import Run
from tests.refusals import refused
from tests.training.test_chaos import differences

QUICK = ["experiment=smoke", "logger=none", "evaluate=false", "iterations=2", "deterministic=true"]


def test_it_trains_the_same_weights_as_the_command_and_leaves_the_process_as_it_was() -> None:
    before = list(sys.argv), dict(os.environ), signal.getsignal(signal.SIGINT), preemption.PROCESS_START
    hydra = GlobalHydra.instance().hydra, HydraConfig.instance().cfg
    first = stylegan_lab.train(*QUICK, "output_dir=first")
    again = stylegan_lab.train(*QUICK, "output_dir=again")
    seed = {name: value for name, value in os.environ.items() if name.startswith("PL_")}
    kept = {name: value for name, value in os.environ.items() if name in before[1]}
    assert (list(sys.argv), kept, signal.getsignal(signal.SIGINT), preemption.PROCESS_START) == before
    assert {name for name in os.environ if name.startswith("STYLEGAN_LAB_")} == {
        name for name in before[1] if name.startswith("STYLEGAN_LAB_")
    }, seed
    assert (GlobalHydra.instance().hydra, HydraConfig.instance().cfg) == hydra
    assert command(["train", *QUICK, "output_dir=by_command"]) == 0
    weights = [read_checkpoint(each.checkpoint())["state_dict"] for each in (first, again, Run("by_command"))]
    assert differences(weights[0], weights[1]) == differences(weights[0], weights[2]) == []
    assert first.state and first.state.is_finished and again.state and again.state.best_score == first.state.best_score


def test_it_resumes_and_repeats() -> None:
    stylegan_lab.train(*QUICK, "output_dir=run")
    run = stylegan_lab.train("resume=run", "iterations=3")
    assert run.folder == Path("run").resolve() and run.state and (run.state.iteration, run.state.budget) == (3, 3)
    assert len(run.state.sessions) == 2


def test_a_folder_may_have_any_name() -> None:
    """Hydra needs quotes around a value with a space, an equals sign or a comma, and a backslash before its own quotes."""
    name = "it's my run, lr=1,2"
    quoted = "'" + name.replace("'", "\\'") + "'"
    stylegan_lab.train(*QUICK, f"output_dir={quoted}")
    stylegan_lab.train(*QUICK, "iterations=3", f"output_dir={quoted}")
    run = stylegan_lab.train(f"resume={quoted}", "iterations=4")
    assert run.state and [each.first_iteration for each in run.state.sessions] == [0, 2, 3]
    assert [each.name for each in Path().iterdir()] == [name]


def test_a_distributed_strategy_leaves_the_process_as_it_was_also_with_one_device() -> None:
    before = dict(os.environ)
    stylegan_lab.train(*QUICK, "strategy=ddp", "strategy.accelerator=cpu", "strategy.devices=1", "output_dir=run")
    assert "LOCAL_RANK" not in os.environ.keys() - before.keys() and not torch.distributed.is_initialized()


def test_the_hydra_of_the_caller_stays_as_it_is() -> None:
    with initialize_config_dir(str(CONF), version_base="1.3"):
        stylegan_lab.train(*QUICK, "output_dir=run")
        assert compose("train", ["seed=7"]).seed == 7
        with refused("config.unknown_setting", "iteration"):
            stylegan_lab.train("iteration=3")
        assert compose("train", ["seed=7"]).seed == 7


@pytest.mark.parametrize(
    ("override", "code", "named"),
    [
        ("iteration=3", "config.unknown_setting", "iteration"),
        ("model=cyclegn", "config.unknown_choice", "did you mean cyclegan?"),
        ("-m", "config.flag_as_override", "-m"),
        ("seeds=3", "sweep.from_python", "seeds=3"),
        ("sweep=grid", "sweep.from_python", "sweep=grid"),
        ("loss=lsgan,hinge", "sweep.from_python", "loss=lsgan,hinge"),
        ("hydra/launcher=submitit_local", "config.hydra_setting_from_python", "hydra/launcher=submitit_local"),
        (
            "+hydra.callbacks.x={_target_:os.mkdir,path:marker}",
            "config.hydra_setting_from_python",
            "hydra.callbacks.x=",
        ),
        ("dry_run=true", "training.dry_run_from_python", "dry_run=true"),
        (
            "+callbacks.x={_target_:os.mkdir,path:marker}",
            "security.untrusted_package",
            "callbacks.x._target_=os.mkdir",
        ),
        ("model=null", "config.missing_choice", "choose one of adain"),
        (
            "model.extra_losses.x={_target_:os.mkdir,path:marker}",
            "security.untrusted_package",
            "extra_losses.x._target_=os.mkdir",
        ),
        (3, "config.override_not_text", "3"),
    ],
)
def test_mistakes_are_answered_with_a_sentence(override: Any, code: str, named: str) -> None:
    with refused(code, named):
        stylegan_lab.train(*QUICK, override)
    assert list(Path().iterdir()) == []


def test_several_nodes_need_a_launcher() -> None:
    with refused("cluster.not_launched", "strategy.num_nodes=2", "srun", "torchrun"):
        stylegan_lab.train(*QUICK, "strategy=cluster", "strategy.num_nodes=2", "strategy.accelerator=cpu")


def test_ctrl_c_saves_and_interrupts(monkeypatch: pytest.MonkeyPatch) -> None:
    start = CycleGAN.on_train_batch_start

    def pressing(self: CycleGAN, *arguments: Any) -> None:
        start(self, *arguments)
        if self.iteration == 2:
            os.kill(os.getpid(), signal.SIGINT)

    monkeypatch.setattr(CycleGAN, "on_train_batch_start", pressing)
    with pytest.raises(KeyboardInterrupt):
        stylegan_lab.train(*QUICK, "iterations=9", "output_dir=run")
    state = Run("run").state
    assert state and (state.status, state.iteration) == ("interrupted", 2) and Run("run").checkpoint().stem == "000002"


def test_a_time_limit_counts_from_the_call(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(preemption, "PROCESS_START", time.monotonic() - 10_000)
    assert stylegan_lab.train(*QUICK, "output_dir=run", "time_limit=3600").state


@pytest.mark.usefixtures("forked_processes")
@pytest.mark.parametrize("strategy", ["ddp", "ddp_spawn"])
def test_ranks_are_not_copies_of_the_calling_script(strategy: str, tmp_path: Path) -> None:
    ranks = [
        f"strategy={strategy}",
        "strategy.accelerator=cpu",
        "strategy.devices=2",
        "data.batch_size=1",
        "output_dir=run",
    ]
    script = (
        f"import stylegan_lab\nprint('once')\nrun = stylegan_lab.train(*{[*QUICK, *ranks]})\nprint(run.state.status)\n"
    )
    (tmp_path / "script.py").write_text(script)
    environment = os.environ | {"OMP_NUM_THREADS": "1"}
    process = subprocess.run(
        [sys.executable, "script.py"], cwd=tmp_path, env=environment, capture_output=True, text=True, timeout=180
    )
    assert process.returncode == 0, process.stdout + process.stderr
    assert process.stdout.count("once") == 1 and process.stdout.rstrip().endswith("finished")
    state = Run(tmp_path / "run").state
    assert state and state.sessions[-1].ranks == 2
    assert torch.load(tmp_path / "run/checkpoints/last.ckpt", weights_only=True)["iteration"] == 2
