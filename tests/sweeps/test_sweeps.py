"""Sweeps from their command: planned, played, interrupted, repeated, told of. A stand-in plays the trials but in the last tests."""

import json
import os
import re
import shlex
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import pytest

from stylegan_lab.cli.main import run
from stylegan_lab.sweeps import playing

FAKE = Path(__file__).with_name("fake_trial.py")
SCORE = "val/sliced_wasserstein"
BASE = ["experiment=smoke", "iterations=4", "output_dir=swept"]


@pytest.fixture
def faked(monkeypatch: pytest.MonkeyPatch) -> None:
    def command(overrides: Sequence[str], folder: Path, _: Sequence[str] = ()) -> list[str]:
        return [sys.executable, str(FAKE), *overrides, f"output_dir={folder}"]

    monkeypatch.setattr(playing, "command", command)


def train(*words: str) -> int:
    return run(["train", *words])


def swept() -> dict[str, Any]:
    found: dict[str, Any] = json.loads(Path("swept/sweep.json").read_text())
    return found


def starts(folder: str) -> int:
    return len(Path("swept", folder, "log.txt").read_text().splitlines())


pytestmark = pytest.mark.filterwarnings("ignore::DeprecationWarning:(sqlalchemy|alembic).*")


@pytest.mark.usefixtures("faked")
def test_a_grid_plays_every_combination_and_says_which_is_best(capsys: pytest.CaptureFixture[str]) -> None:
    assert train("-m", *BASE, "loss=lsgan,hinge", "model.cycle_weight=5,6,11") == 0
    out = capsys.readouterr().out
    report = swept()
    assert report["states"] == {"done": 6}
    assert [trial["point"] for trial in report["trials"]][:3] == [
        {"loss": "lsgan", "model.cycle_weight": weight} for weight in ("5", "6", "11")
    ]
    assert [each["point"]["model.cycle_weight"] for each in report["best"]] == ["6"]
    assert "best       #1: stylegan-lab train experiment=smoke iterations=4 loss=lsgan model.cycle_weight=6\n" in out
    shares = report["importance"][SCORE]
    assert shares["model.cycle_weight"] == pytest.approx(1) and shares["loss"] == 0
    page = Path("swept/sweep.html").read_text()
    assert page.count("<path") == 6 and "http" not in page and "src=" not in page


@pytest.mark.usefixtures("faked")
def test_the_command_that_reproduces_the_best_is_a_command(capsys: pytest.CaptureFixture[str]) -> None:
    assert train("-m", *BASE, "model.cycle_weight=5,6", "seed=3,4") == 0
    found = re.search(r"^best .*?: (stylegan-lab .*)$", capsys.readouterr().out, re.MULTILINE)
    assert found and found[1] == "stylegan-lab train -m experiment=smoke iterations=4 model.cycle_weight=6 seed=3,4"
    assert run([*shlex.split(found[1])[1:], "output_dir=again"]) == 0
    again = json.loads(Path("again/sweep.json").read_text())
    assert again["groups"][0]["scores"] == swept()["best"][0]["scores"]


@pytest.mark.usefixtures("faked")
def test_seeds_are_played_together_and_their_mean_and_spread_are_told(capsys: pytest.CaptureFixture[str]) -> None:
    assert train(*BASE, "seeds=5", "seed=2") == 0
    (group,) = swept()["groups"]
    assert [trial["seed"] for trial in swept()["trials"]] == [2, 3, 4, 5, 6]
    told = group["scores"][SCORE]
    assert told["mean"] == pytest.approx(3 + 4 + 0.25) and told["n"] == 5
    assert told["deviation"] == pytest.approx(2.5**0.5)
    assert "7.25 ± 1.6 (5)" in capsys.readouterr().out


@pytest.mark.usefixtures("faked")
def test_points_of_several_seeds_are_compared_by_their_means() -> None:
    assert train("-m", *BASE, "seeds=2", "model.cycle_weight=5,8") == 0
    assert [group["trials"] for group in swept()["groups"]] == [[0, 1], [2, 3]]
    (best,) = swept()["best"]
    assert best["trials"] == [2, 3] and best["scores"][SCORE]["mean"] == pytest.approx(1.75)


@pytest.mark.usefixtures("faked")
def test_what_fails_is_recorded_with_its_reason_and_the_others_go_on(capsys: pytest.CaptureFixture[str]) -> None:
    assert train("-m", *BASE, "model.cycle_weight=13,17,5") == 2
    states = [(trial["state"], trial["reason"]) for trial in swept()["trials"]]
    assert states == [("failed", "thirteen brings no luck"), ("failed", "killed by SIGKILL"), ("done", "")]
    told = capsys.readouterr().err
    assert "2 of 3 trials failed" in told and "#0 cycle_weight=13: failed, thirteen brings no luck" in told
    assert train("-m", *BASE, "model.cycle_weight=13,17,5") == 2, "what failed is tried again"
    assert [trial["state"] for trial in swept()["trials"]] == ["failed", "done", "done"]
    assert starts("2") == 1, "what is done is not"
    assert train("-m", *BASE, "model.cycle_weight=13,17,5", "iterations=6") == 2
    assert [trial["iteration"] for trial in swept()["trials"]] == [0, 6, 6], "more of it goes on"


class Repeatable:
    """A sweep's command in a process that can be interrupted."""

    def __init__(self, *words: str, faked: bool = True) -> None:
        fake = (
            "from stylegan_lab.sweeps import playing;"
            f"playing.command = lambda overrides, folder, flags=(): [sys.executable, {str(FAKE)!r}, *overrides,"
            " f'output_dir={folder}'];"
        )
        prelude = f"import sys; {fake * faked} from stylegan_lab.cli.main import run; sys.exit(run(sys.argv[1:]))"
        self.process = subprocess.Popen(
            [sys.executable, "-c", prelude, "train", *words],
            text=True,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
        )

    def wait_until(self, is_so: Callable[[], bool], seconds: float = 90) -> None:
        end = time.monotonic() + seconds
        while not is_so():
            assert time.monotonic() < end and self.process.poll() is None, self.process.communicate()
            time.sleep(0.02)

    def finish(self, code: int) -> str:
        said, _ = self.process.communicate(timeout=120)
        assert self.process.returncode == code, said
        return said


def rows(folder: str) -> int:
    record = Path("swept", folder, "metrics.jsonl")
    return len(record.read_text().splitlines()) if record.exists() else 0


@pytest.mark.usefixtures("faked")
def test_an_interrupted_grid_stops_its_trials_and_goes_on_when_repeated() -> None:
    words = ["-m", *BASE, "model.cycle_weight=1,2,3", "sweep.at_once=2", "iterations=8"]
    for number, code in ((signal.SIGINT, 130), (signal.SIGTERM, 143)):
        sweep, before = Repeatable(*words, "+vars.pause=0.3"), rows("0") + rows("1")
        sweep.wait_until(lambda before=before: rows("0") + rows("1") >= before + 2)
        sweep.process.send_signal(number)
        assert "3 of 3 trials are not over; to go on, repeat the command" in sweep.finish(code)
        assert swept()["states"] == {"stopped": 2}
    assert train(*words) == 0
    assert swept()["states"] == {"done": 3} and [starts(str(number)) for number in range(3)] == [3, 3, 1]


@pytest.mark.slow
@pytest.mark.usefixtures("faked")
def test_a_killed_search_leaves_its_trials_to_the_next_and_draws_the_same_points(
    capsys: pytest.CaptureFixture[str],
) -> None:
    words = ["-m", *BASE, "sweep=smoke", "sweep.overrides=[]", "sweep.trials=3"]
    killed = Repeatable(*words, "+vars.pause=0.5")
    killed.wait_until(lambda: rows("1") >= 1)
    killed.process.kill()
    killed.finish(-signal.SIGKILL)
    os.kill(int(Path("swept/1/pid").read_text()), signal.SIGTERM)  # the trial would go on without its sweep
    assert train(*words) == 2
    assert "swept holds a search with other overrides" in capsys.readouterr().err
    assert train(*words, "+vars.pause=0.5") == 0
    assert swept()["states"] == {"done": 3} and starts("1") == 2
    points = [trial["point"] for trial in swept()["trials"]]
    Path("swept").rename("kept")
    assert train(*words) == 0
    assert [trial["point"] for trial in swept()["trials"]] == points


@pytest.mark.usefixtures("faked")
def test_a_trial_that_outlives_its_sweep_is_left_alone(capsys: pytest.CaptureFixture[str]) -> None:
    killed = Repeatable("-m", *BASE, "model.cycle_weight=1,2", "+vars.pause=3")
    killed.wait_until(lambda: Path("swept/0/pid").exists())
    killed.process.kill()
    killed.finish(-signal.SIGKILL)
    assert train("-m", *BASE, "model.cycle_weight=1,2") == 0
    assert "1 trials are still being played by other processes" in capsys.readouterr().out
    assert swept()["states"] == {"playing": 1, "done": 1}
    os.kill(int(Path("swept/0/pid").read_text()), signal.SIGKILL)
    assert train("-m", *BASE, "model.cycle_weight=1,2") == 0
    assert swept()["states"] == {"done": 2}


def test_workers_in_several_processes_share_one_study() -> None:
    words = ["-m", *BASE, "sweep=smoke", "sweep.overrides=[]", "sweep.trials=6", "+vars.pause=0.3"]
    workers = [Repeatable(*words, "sweep.storage=sqlite") for _ in range(2)]
    said = [worker.finish(0) for worker in workers]
    assert [trial["number"] for trial in swept()["trials"]] == list(range(6))
    assert all(starts(str(number)) == 1 for number in range(6))
    assert all("begins" in each for each in said), "both had something to do"


@pytest.mark.usefixtures("faked")
@pytest.mark.parametrize("sampler", ["tpe", "cmaes", "random"])
def test_a_search_finds_the_better_half(sampler: str) -> None:
    space = ["model.cycle_weight=interval(1,50)", "model.identity_weight=interval(0,1)"]
    assert train("-m", *BASE, "sweep=search", f"sweep.sampler={sampler}", "sweep.trials=8", *space) == 0
    assert swept()["best"][0]["scores"][SCORE]["mean"] < 20
    assert len({trial["point"]["model.cycle_weight"] for trial in swept()["trials"]}) == 8


@pytest.mark.slow
@pytest.mark.usefixtures("faked")
def test_what_is_worse_than_the_median_is_ended_early() -> None:
    """Numbers fall in order where a study is asked for values one by one, so the first are good and the last hopeless."""
    words = ["sweep=search", "sweep.sampler=random", "sweep.pruner=median", "sweep.prune_after=2", "+vars.pause=0.3"]
    assert train("-m", *BASE, *words, "sweep.trials=6", "model.cycle_weight=range(1,60)") == 0
    states = swept()["states"]
    assert states.get("pruned", 0) >= 1 and states["done"] >= 2
    assert all(trial["iteration"] < 4 for trial in swept()["trials"] if trial["state"] == "pruned")


@pytest.mark.usefixtures("faked")
def test_of_several_scores_what_no_other_beats_is_told(capsys: pytest.CaptureFixture[str]) -> None:
    """Lower weights keep more content, and 7 translates best: from 7 on nothing is worth its price."""
    scores = f"sweep.scores=[{SCORE},val/content_kept]"
    assert train("-m", *BASE, scores, "model.cycle_weight=2,5,7,9,12") == 0
    assert [each["trials"] for each in swept()["best"]] == [[0], [1], [2]]
    assert capsys.readouterr().out.count("unbeaten") == 3
    assert (
        train(
            "-m",
            *BASE[:2],
            "output_dir=searched",
            "sweep=search",
            "sweep.trials=3",
            scores,
            "model.cycle_weight=interval(1,20)",
        )
        == 0
    )


@pytest.mark.usefixtures("faked")
def test_a_search_goes_on_with_more_trials_and_means_over_seeds() -> None:
    words = ["-m", *BASE, "sweep=search", "seeds=2", "model.cycle_weight=interval(1,20)"]
    assert train(*words, "sweep.trials=1") == 0
    assert train(*words, "sweep.trials=2") == 0
    assert [group["trials"] for group in swept()["groups"]] == [[0, 1], [2, 3]]
    import optuna

    study = optuna.load_study(study_name="sweep", storage=optuna.storages.JournalStorage(
        optuna.storages.journal.JournalFileBackend("swept/study.journal")))  # fmt: skip
    assert [trial.value for trial in study.trials] == pytest.approx(
        [group["scores"][SCORE]["mean"] for group in swept()["groups"]]
    )


MISTAKES = {
    "a sweep without -m": (
        "sweep=smoke",
        "sweep=smoke says how to sweep, and -m that: stylegan-lab train -m sweep=smoke",
    ),
    "an unknown sweep": ("-m sweep=smok", "sweep=smok is unknown (did you mean smoke?)"),
    "two sweeps": ("-m sweep=grid,smoke", "one sweep at a time"),
    "a misspelt setting of a sweep": (
        "-m sweep.at_onec=2",
        "sweep.at_onec is no setting (did you mean sweep.at_once?)",
    ),
    "a misspelt parameter": (
        "-m model.cycle_wieght=1,2",
        "model.cycle_wieght is no setting (did you mean model.cycle_weight?)",
    ),
    "a misspelt parameter of a search": (
        "-m sweep=smoke +sweep.space={model.cycle_wieght:[1,2]}",
        "model.cycle_wieght is no setting (did you mean model.cycle_weight?)",
    ),
    "a misspelt choice": ("-m loss=lsgan,hing", "loss=hing is unknown (did you mean hinge?)"),
    "a range the wrong way": ("-m sweep=smoke model.cycle_weight=interval(20,1)", "interval(20,1) holds nothing"),
    "an empty range": ("-m model.cycle_weight=range(5,5)", "holds nothing"),
    "a logarithm of nothing": ("-m sweep=smoke model.cycle_weight=tag(log,interval(0,1))", "begins above 0"),
    "an interval in a grid": (
        "-m model.cycle_weight=interval(1,20)",
        "has no end of values, and a grid plays them all",
    ),
    "names for CMA-ES": ("-m sweep=smoke sweep.sampler=cmaes", "sweep.sampler=cmaes takes numbers alone"),
    "an unknown sampler": ("-m sweep=smoke sweep.sampler=tpo", "sweep.sampler=tpo is unknown (did you mean tpe?)"),
    "a search without end": ("-m sweep=search sweep.trials=null", "samples without end"),
    "a search of nothing": ("-m sweep=search", "has nothing to search"),
    "trials of a grid": ("-m sweep.trials=3", "a grid has as many trials as it has points"),
    "a score misspelt": ("-m sweep.scores=[val/sim]", "val/sim is unknown (did you mean val/ssim?)"),
    "a score of no direction": ("-m sweep.scores=[loss/generators_a_cycle]", "is better lower or higher is not known"),
    "a score the wrong way": (
        "-m sweep.scores=[val/ssim] +sweep.better={val/ssim:lower}",
        "of this score higher is better",
    ),
    "no direction": ("-m +sweep.better={val/sliced_wasserstein:down}", "lower or higher is expected"),
    "a pruner of two scores": ("-m sweep=tradeoff sweep.pruner=median", "goes by one score, not 2"),
    "no seeds": ("seeds=0", "sweep.seeds=0: at least 1 is expected"),
    "seeds that are no number": ("seeds=many", "sweep.seeds=many: a whole number is expected"),
    "seeds twice": ("-m seeds=3 seed=1,2", "both say which seeds are played"),
    "a seed that is none": ("-m seed=a,b", "seed=a: whole numbers are expected"),
    "nothing at once": ("-m sweep.at_once=0", "sweep.at_once=0: at least 1 is expected"),
    "a storage that is none": (
        "-m sweep=smoke sweep.storage=redis",
        "sweep.storage=redis is unknown; choices: journal, sqlite",
    ),
    "a value twice": ("-m loss=lsgan,lsgan", "has a value twice"),
    "what is not understood": ("-m model.cycle_weight=interval(1,", "is not understood"),
    "a plugin that is not installed": ("-m hydra/launcher=joblib", "hydra/launcher=joblib is unknown"),
}


@pytest.mark.parametrize("name", MISTAKES)
def test_a_mistake_is_answered_with_a_sentence_and_leaves_nothing(
    name: str, capsys: pytest.CaptureFixture[str]
) -> None:
    command, sentence = MISTAKES[name]
    assert train(*command.split()) == 2
    told = capsys.readouterr().err
    assert sentence in told and "Traceback" not in told, told
    assert not list(Path().iterdir())


@pytest.mark.usefixtures("faked")
def test_a_run_s_folder_is_no_sweep_s(capsys: pytest.CaptureFixture[str]) -> None:
    Path("swept").mkdir()
    Path("swept/config.yaml").touch()
    assert train("-m", *BASE) == 2
    assert "swept is a run's folder; a sweep needs one of its own" in capsys.readouterr().err


def test_a_search_without_optuna_says_what_to_install(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setitem(sys.modules, "optuna", None)
    assert train("-m", "sweep=smoke") == 2
    assert "pip install 'stylegan_lab[sweep]'" in capsys.readouterr().err and not list(Path().iterdir())


@pytest.mark.usefixtures("faked")
def test_a_score_that_no_trial_takes_is_a_failure_of_the_trial(capsys: pytest.CaptureFixture[str]) -> None:
    words = ["sweep=search", "sweep.trials=1", "sweep.scores=[val/psnr]", "model.cycle_weight=interval(1,20)"]
    assert train("-m", *BASE, *words) == 2
    assert "val/psnr was not scored" in capsys.readouterr().err


@pytest.mark.usefixtures("faked")
def test_a_dry_run_shows_the_plan_and_plays_nothing(capsys: pytest.CaptureFixture[str]) -> None:
    assert train("-m", *BASE, "dry_run=true", "loss=lsgan,hinge", "seeds=3") == 0
    out = capsys.readouterr().out
    assert "6 trials in" in out and "space      loss=lsgan,hinge" in out and "seeds      0 1 2" in out
    assert not list(Path().iterdir())


@pytest.mark.usefixtures("faked")
def test_trials_at_once_have_devices_of_their_own(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("stylegan_lab.sweeps.sweep.visible_gpus", lambda: ["4", "5", "6", "7"])
    monkeypatch.delenv("OMP_NUM_THREADS", raising=False)
    assert train("-m", *BASE, "sweep.at_once=2", "strategy.devices=2", "model.cycle_weight=1,2", "+vars.pause=0.5") == 0
    seen = [json.loads(Path(f"swept/{number}/environment.json").read_text()) for number in (0, 1)]
    assert [each["CUDA_VISIBLE_DEVICES"] for each in seen] == ["4,5", "6,7"]
    assert {each["OMP_NUM_THREADS"] for each in seen} == {str(max(1, (os.cpu_count() or 1) // 2))}
