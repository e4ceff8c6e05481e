"""The commands as a user gives them: train, evaluate, translate, and what is answered to a mistake."""

import json
import os
import re
import shutil
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path
from typing import Any

import pytest
import torch
import yaml
from hydra._internal.config_loader_impl import ConfigLoaderImpl
from PIL import Image

from stylegan_lab.cli.main import COMMANDS, run
from stylegan_lab.cli.score import IMAGE_METRICS, PERCEPTUAL_METRICS
from stylegan_lab.config.paths import CONF
from stylegan_lab.errors import UserError
from stylegan_lab.evaluation.feature_extractors import EXTRACTORS, FILTERS
from stylegan_lab.evaluation.feature_metrics import FEATURE_COMPARISONS
from stylegan_lab.files.download import file_digest
from stylegan_lab.images.image_io import read_image
from stylegan_lab.networks.features.squeezenet import squeezenet
from stylegan_lab.runs.checkpoint import read_checkpoint, write_checkpoint
from stylegan_lab.runs.metrics_file import read_metrics
from stylegan_lab.training.experiment import restore_module
from tests.loggers.wandb_file import parts
from tests.refusals import assert_names, assert_refused, refused

QUICK = ["experiment=smoke", "logger=none", "evaluate=false"]
PLAIN = [*QUICK, "callbacks.validation=null", "callbacks.samples=null"]


def only_run(name: str = "smoke") -> Path:
    (folder,) = Path("runs", name).iterdir()
    return folder


def train(*overrides: str) -> int:
    return run(["train", *overrides])


@pytest.fixture(scope="module")
def trained(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """One smoke run for all tests that only read it."""
    folder = tmp_path_factory.mktemp("trained") / "run"
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("WANDB_MODE", "offline")
        assert train("experiment=smoke", f"output_dir={folder}") == 0
    return folder


def test_a_run_leaves_everything_it_promises(trained: Path) -> None:
    for name in ("config.yaml", "overrides.txt", "environment.json", "metrics.jsonl", "scores.json", "scores.jsonl",
                 "samples/000004.png", "samples/000008.png", "checkpoints/last.ckpt", "checkpoints/best.ckpt"):  # fmt: skip
        assert (trained / name).is_file(), name
    environment = json.loads((trained / "environment.json").read_text())
    assert environment["world_size"] == 1 and environment["versions"]["torch"] == torch.__version__


def test_eight_batches_read_iteration_8_everywhere(trained: Path) -> None:
    assert read_checkpoint(trained / "checkpoints" / "last.ckpt")["iteration"] == 8
    rows = read_metrics(trained / "metrics.jsonl")
    assert {row["iteration"] for row in rows} == {2, 4, 6, 8}
    last = {name for row in rows if row["iteration"] == 8 for name in row}
    assert {
        "loss/generators_a_cycle",
        "loss/discriminators_b_fake",
        "lr/generators",
        "images_per_second",
        "val/ssim",
    } <= last


def test_wandb_keeps_everything_under_the_run(trained: Path) -> None:
    training, evaluation = parts(trained)[:2]
    assert training.run.run_group == "smoke" and {"samples", "samples_table", "val/ssim"} <= training.names()
    assert {"test", "test/ssim"} <= evaluation.names() and evaluation.rows[0]["iteration"] == 8


def test_a_checkpoint_is_plain_values_and_tensors_and_describes_itself(trained: Path) -> None:
    contents = torch.load(trained / "checkpoints" / "last.ckpt", weights_only=True)
    assert contents["config"]["model"]["_target_"] == "stylegan_lab.models.translation.cyclegan.CycleGAN"
    assert contents["ema"].keys() == {"a_to_b", "b_to_a"}


def test_scores_follow_their_schema(trained: Path) -> None:
    scores = json.loads((trained / "scores.json").read_text())
    assert (
        scores["schema"] == 1
        and scores["iteration"] == 8
        and scores["ema"]
        and scores["split"] == "test"
        and scores["n"] == 4
    )
    measured = scores["metrics"].keys() - {"translation_accuracy"}  # which a classifier reads in what was made
    assert measured == scores["untranslated"].keys() == scores["directions"]["b_to_a"].keys()
    assert scores["metrics"].keys() <= scores["protocol"].keys()
    assert scores["untranslated"]["edge_correlation"] == pytest.approx(1)


def test_evaluate_repeats_the_scores_and_keeps_their_history(trained: Path, capsys: pytest.CaptureFixture[str]) -> None:
    before = json.loads((trained / "scores.json").read_text())
    assert run(["evaluate", str(trained)]) == 0
    assert json.loads((trained / "scores.json").read_text())["metrics"] == pytest.approx(before["metrics"], rel=1e-4)
    assert len((trained / "scores.jsonl").read_text().splitlines()) >= 2
    assert "untranslated" in capsys.readouterr().out
    assert run(["evaluate", str(trained / "checkpoints" / "best.ckpt"), "--no-ema"]) == 0
    assert json.loads((trained / "scores.json").read_text())["ema"] is False


def test_metrics_of_an_evaluation_take_a_weights_file(trained: Path, capsys: pytest.CaptureFixture[str]) -> None:
    torch.save(squeezenet("random").net.state_dict(), "squeezenet.pth")
    shutil.copytree(trained, "evaluated")
    names = ["evaluate", "evaluated", "--metrics"]
    assert run([*names, "squeezenet", "--weights", "squeezenet.pth"]) == 0
    document = json.loads(Path("evaluated/scores.json").read_text())
    assert document["metrics"]["fid_squeezenet"] > 0
    assert file_digest(Path("squeezenet.pth")) in document["protocol"]["fid_squeezenet"]
    assert run([*names, "untrained", "--weights", "squeezenet.pth"]) == 2
    assert_refused(capsys.readouterr().err, "evaluation.weights_not_used", "squeezenet.pth", "--metrics untrained")
    assert run([*names, "vgg16", "--weights", "squeezenet.pth"]) == 2
    assert_refused(capsys.readouterr().err, "weights.network_mismatch", "squeezenet.pth", "vgg16")
    assert run(["evaluate", "evaluated", "--weights", "squeezenet.pth"]) == 2
    assert_refused(capsys.readouterr().err, "evaluation.weights_not_used", "squeezenet.pth", "--metrics")


def test_generators_are_not_asked_what_they_have_seen(trained: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert run(["evaluate", str(trained), "--split", "train"]) == 2
    assert_refused(capsys.readouterr().err, "evaluation.unsupported_split", "--split train")
    assert run(["evaluate", str(trained), "--n", "3"]) == 2
    assert_refused(capsys.readouterr().err, "evaluation.unsupported_count", "--n 3")


def test_scores_during_training_are_of_the_averaged_weights_too(trained: Path) -> None:
    last = {
        name: value
        for row in read_metrics(trained / "metrics.jsonl")
        if row["iteration"] == 8
        for name, value in row.items()
    }
    scores = {}
    for flags in ([], ["--no-ema"]):
        assert run(["evaluate", str(trained), "--split", "val", *flags]) == 0
        scores[bool(flags)] = json.loads((trained / "scores.json").read_text())["metrics"]
        scores[bool(flags)].pop("translation_accuracy", None)  # of the finished run alone
    assert {name: last[f"val/{name}"] for name in scores[False]} == pytest.approx(scores[False], rel=1e-4)
    assert scores[True]["l1"] != pytest.approx(scores[False]["l1"], rel=1e-4)


@pytest.mark.parametrize("size", [(32, 32), (45, 33), (5, 70)])
def test_an_image_of_any_size_is_translated_at_its_own(trained: Path, size: tuple[int, int]) -> None:
    Image.effect_noise(size, 80).convert("RGB").save("in.png")
    assert run(["translate", str(trained), "in.png", "out/translated.png"]) == 0
    assert read_image(Path("out/translated.png")).shape == (3, *size[::-1])


def test_a_folder_is_translated_subfolders_kept_and_both_ways(trained: Path) -> None:
    for name in ("in/a.png", "in/deep/b.jpg"):
        Path(name).parent.mkdir(parents=True, exist_ok=True)
        Image.effect_noise((32, 32), 80).convert("RGB").save(name)
    assert run(["translate", str(trained), "in", "out"]) == 0
    assert run(["translate", str(trained), "in", "back", "--direction", "b2a"]) == 0
    assert sorted(str(path) for path in Path("out").rglob("*.png")) == ["out/a.png", "out/deep/b.png"]
    assert not torch.equal(read_image(Path("out/a.png")), read_image(Path("back/a.png")))


@pytest.fixture
def ctrl_c() -> Iterator[None]:
    """Ctrl-C interrupts, also where the shell ignores it for what it starts in the background."""
    before = signal.signal(signal.SIGINT, signal.default_int_handler)
    yield
    signal.signal(signal.SIGINT, before)


@pytest.mark.usefixtures("ctrl_c")
@pytest.mark.parametrize(
    "error", [UserError("checkpoint.damaged", "damaged"), AttributeError("in the middle of nothing")]
)
def test_an_error_behind_a_ctrl_c_is_an_interruption(
    error: Exception, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    def fails(_: object) -> None:
        raise error

    def swallows_an_interrupt(_: object) -> None:
        with suppress(KeyboardInterrupt):
            os.kill(os.getpid(), signal.SIGINT)
            time.sleep(30)
        raise error

    monkeypatch.setattr("stylegan_lab.cli.evaluate.main", swallows_an_interrupt)
    assert run(["evaluate", "x"]) == 130
    assert "interrupted" in capsys.readouterr().err
    monkeypatch.setattr("stylegan_lab.cli.evaluate.main", fails)
    if isinstance(error, UserError):
        assert run(["evaluate", "x"]) == 2
    else:
        with pytest.raises(AttributeError):
            run(["evaluate", "x"])
    assert signal.getsignal(signal.SIGINT) is signal.default_int_handler


def test_a_translation_never_takes_the_place_of_its_image(trained: Path, capsys: pytest.CaptureFixture[str]) -> None:
    Path("in").mkdir()
    Image.effect_noise((32, 32), 80).convert("RGB").save("in/a.png")
    before = Path("in/a.png").read_bytes()
    for source, target in (("in", "in"), ("in", "./in"), ("in/a.png", "in/a.png"), ("in/a.png", "in")):
        assert run(["translate", str(trained), source, target]) == 2
        assert_refused(capsys.readouterr().err, "translate.output_is_input", "in/a.png")
    assert Path("in/a.png").read_bytes() == before


def test_half_of_an_image_is_translated(trained: Path) -> None:
    pair = Image.effect_noise((65, 32), 80).convert("RGB")
    pair.save("pair.png"), pair.crop((33, 0, 65, 32)).save("right.png")
    assert run(["translate", str(trained), "pair.png", "half.png", "--half", "right"]) == 0
    assert run(["translate", str(trained), "right.png", "whole.png"]) == 0
    assert torch.equal(read_image(Path("half.png")), read_image(Path("whole.png")))


def test_a_run_of_pairs_side_by_side_says_that_an_image_may_be_one(capsys: pytest.CaptureFixture[str]) -> None:
    for number in range(8):
        Path("pairs").mkdir(exist_ok=True)
        Image.effect_noise((64, 32), 10 * number).convert("RGB").save(f"pairs/{number}.png")
    given = [
        "model=pix2pix",
        "data=paired",
        "data.root=pairs",
        "data.size=32",
        "data.cache=false",
        "data.num_workers=0",
    ]
    given += [
        "experiment=tiny",
        "data.sides=BA",
        "iterations=2",
        "logger=none",
        "evaluate=false",
        "callbacks.validation=null",
        "callbacks.samples=null",
        "output_dir=run",
    ]
    assert train(*given) == 0
    assert run(["translate", "run", "pairs", "out"]) == 0
    assert capsys.readouterr().err.count("if it shows a pair: --half right") == 1
    assert run(["translate", "run", "pairs", "halves", "--half", "right"]) == 0
    assert "--half" not in capsys.readouterr().err and read_image(Path("halves/0.png")).shape == (3, 32, 32)


def test_translate_can_scale_first(trained: Path) -> None:
    Image.effect_noise((90, 60), 80).convert("RGB").save("in.png")
    assert run(["translate", str(trained), "in.png", "out.png", "--size", "32"]) == 0
    assert read_image(Path("out.png")).shape == (3, 32, 48)


def final_weights(folder: str) -> dict[str, torch.Tensor]:
    weights: dict[str, torch.Tensor] = read_checkpoint(Path(folder) / "checkpoints" / "last.ckpt")["state_dict"]
    return weights


def weights_are_equal(one: dict[str, torch.Tensor], other: dict[str, torch.Tensor]) -> bool:
    return one.keys() == other.keys() and all(torch.equal(one[name], other[name]) for name in one)


def test_the_same_seed_gives_the_same_weights_whatever_the_workers() -> None:
    short = [*QUICK, "iterations=3", "callbacks.validation.every=2", "callbacks.samples.every=2"]
    assert train(*short, "output_dir=one", "data.num_workers=0") == 0
    assert train(*short, "output_dir=two", "data.num_workers=2") == 0
    assert train(*short, "output_dir=three", "seed=1") == 0
    assert weights_are_equal(final_weights("one"), final_weights("two"))
    assert not weights_are_equal(final_weights("one"), final_weights("three"))


def test_a_resumed_run_ends_as_if_never_interrupted(capsys: pytest.CaptureFixture[str]) -> None:
    """In the middle of an epoch (of 4 batches) and at its end; constant rates, because the budget changes."""
    steady = [
        *QUICK,
        "callbacks.validation=null",
        "callbacks.samples.every=2",
        "schedule=constant",
        "data.train_images=8",
        "model.pool_size=3",
    ]
    assert train(*steady, "output_dir=whole", "iterations=6") == 0
    whole = read_checkpoint(Path("whole/checkpoints/last.ckpt"))
    for stopped in (3, 4):
        folder = f"stopped-{stopped}"
        assert train(*steady, f"output_dir={folder}", f"iterations={stopped}") == 0
        assert train(f"resume={folder}", "iterations=6") == 0
        assert f"{stopped} of 6 iterations are done ({stopped:06d}.ckpt)" in capsys.readouterr().out
        resumed = read_checkpoint(Path(folder, "checkpoints/last.ckpt"))
        assert weights_are_equal(whole["state_dict"], resumed["state_dict"])
        assert all(resumed[counter] == whole[counter] for counter in ("epoch", "global_step", "loops"))
        assert {row["iteration"] for row in read_metrics(Path(folder, "metrics.jsonl"))} >= {2, 4, 6}


def test_a_run_goes_on_from_an_earlier_checkpoint_too(capsys: pytest.CaptureFixture[str]) -> None:
    assert train(*PLAIN, "output_dir=here", "iterations=1") == 0
    earlier = Path("here/checkpoints/earlier.ckpt")
    earlier.write_bytes(Path("here/checkpoints/last.ckpt").read_bytes())
    assert train("resume=here", "iterations=2") == 0
    assert train(f"resume={earlier}", "iterations=2") == 0
    assert capsys.readouterr().out.count("1 of 2 iterations are done") == 2 and earlier.exists()
    assert train("resume=here", "iterations=2") == 0
    assert "nothing is left to train" in capsys.readouterr().out


def test_weights_of_other_nets_are_told(trained: Path, capsys: pytest.CaptureFixture[str]) -> None:
    shutil.copytree(trained, "one")
    path = Path("one/checkpoints/last.ckpt")
    contents = torch.load(path, weights_only=True)
    contents["config"]["generator"]["channels"] = contents["config"]["model"]["generator"]["channels"] = 8
    write_checkpoint(contents, path)
    assert run(["evaluate", "one"]) == 2
    assert_refused(capsys.readouterr().err, "checkpoint.weights_mismatch", "size mismatch for a_to_b.")


def test_lost_averages_are_not_replaced_by_the_trained_weights(
    trained: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    shutil.copytree(trained, "run")
    path = Path("run/checkpoints/last.ckpt")
    contents = torch.load(path, weights_only=True)
    del contents["ema"]["b_to_a"]
    write_checkpoint(contents, path)
    assert run(["evaluate", "run"]) == 2
    assert_refused(capsys.readouterr().err, "checkpoint.section_missing", "ema.b_to_a", "--no-ema")
    del contents["ema"]
    with refused("checkpoint.section_missing", "ema.a_to_b, ema.b_to_a are"):
        restore_module(contents)
    assert restore_module(contents, use_ema=False).iteration == contents["iteration"]


def test_output_dir_goes_on_by_itself_and_refuses_another_experiment(capsys: pytest.CaptureFixture[str]) -> None:
    assert train(*PLAIN, "output_dir=here", "iterations=1") == 0
    assert train(*PLAIN, "output_dir=here", "iterations=2") == 0
    assert read_checkpoint(Path("here/checkpoints/last.ckpt"))["iteration"] == 2
    assert train(*PLAIN, "output_dir=here", "model.cycle_weight=3") == 2
    assert_refused(capsys.readouterr().err, "resume.settings_changed", "here", "model.cycle_weight=3 (was 10.0)")


@pytest.mark.usefixtures("forked_processes")
def test_a_repeated_sweep_goes_on_with_each_of_its_jobs() -> None:
    sweep = ["-m", *PLAIN, "loss=lsgan,hinge", "output_dir=both"]
    assert train(*sweep, "iterations=4") == 0
    assert train(*sweep, "iterations=6") == 0
    said = [Path(f"both/trials/{number}.txt").read_text() for number in (0, 1)]
    assert all("4 of 6 iterations are done (000004.ckpt)" in each for each in said)
    assert sorted(path.name for path in Path("both").iterdir() if path.is_dir()) == ["0", "1", "trials"]
    configs = [Path(f"both/{number}/config.yaml").read_text() for number in (0, 1)]
    assert ["LSGANLoss" in config for config in configs] == [True, False]


def test_what_cannot_go_on_is_answered_with_a_sentence(trained: Path, capsys: pytest.CaptureFixture[str]) -> None:
    shutil.copytree(trained, "one")
    for name in ("config.yaml", "overrides.txt", "environment.json"):
        kept = Path(f"one/{name}").rename(f"one/kept-{name}")
        assert train("experiment=smoke", "output_dir=one", "iterations=12") == 2
        assert_refused(capsys.readouterr().err, "run.file_missing", "one", name)
        kept.rename(f"one/{name}")
    whole = Path("one/config.yaml").read_text()
    for damaged in (": : [", "junk", "data: 3"):
        Path("one/config.yaml").write_text(damaged)
        assert train("resume=one", "iterations=12") == 2
        assert_refused(capsys.readouterr().err, "run.config_damaged", "one", "config.yaml")
    Path("one/config.yaml").write_text(whole)
    for overrides, code, *named in [
        (["resume="], "resume.empty", "resume="),
        (["resume=one", "output_dir=two"], "resume.other_folder", "resume=one", "output_dir=two"),
        (["resume=one", "seed=3", "dry_run=true"], "resume.settings_changed", "one", "seed=3 (was 0)"),
        (["resume=one", "callbacks.ema=null"], "resume.settings_changed", "callbacks.ema"),
        (["resume=one", "optimizer.lr=1"], "resume.settings_changed", "optimizer.lr=1 (was 0.0002)"),
        (["resume=one", "data.batch_size=4"], "resume.batch_changed", "data.batch_size", "1 x 2 samples"),
    ]:
        assert train(*overrides) == 2
        assert_refused(capsys.readouterr().err, code, *named)


def test_a_budget_that_is_spent_already_changes_nothing(trained: Path, capsys: pytest.CaptureFixture[str]) -> None:
    shutil.copytree(trained, "one")
    assert train("resume=one", "iterations=2", "evaluate=false") == 0
    assert "nothing is left to train: 000008.ckpt is at iteration 8" in capsys.readouterr().out
    assert Path("one/overrides.txt").read_text() == (trained / "overrides.txt").read_text()


def test_names_that_are_files_of_their_own_are_gone_back_to_as_well(
    trained: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """In a folder that was copied, last.ckpt is not a link."""
    shutil.copytree(trained, "one")
    for path in Path("one/checkpoints").glob("0*.ckpt"):
        path.write_bytes(b"")
    assert train("resume=one", "iterations=10", "logger=none", "evaluate=false") == 0
    assert "000008.ckpt damaged; resuming from last.ckpt" in capsys.readouterr().out


def test_a_dry_run_prints_the_plan_and_leaves_nothing(capsys: pytest.CaptureFixture[str]) -> None:
    assert train("experiment=smoke", "dry_run=true") == 0
    out = capsys.readouterr().out
    assert "a_to_b 8,739" in out and "8 iterations = 16 images" in out
    assert not Path("runs").exists()


@pytest.mark.parametrize(
    ("model", "named", "steps"),
    [
        (
            "wgan",
            "loss=wgan_scheduled, generator=dcgan, discriminator=dcgan, latents=normal, data=",
            "none of them: their first step is iteration 100",
        ),
        (
            "wgan_gp",
            "loss=wgan_gp, generator=wgan_gp_resnet, discriminator=wgan_gp_resnet, latents=normal_128, data=",
            "1 of them",
        ),
        ("johnson", "model=johnson, generator=resnet_tiny, data=", None),
        (
            "perceptual loss=wgan features=colors model.adversarial_weight=0",
            "model=perceptual, loss=wgan, generator=",
            None,
        ),
    ],
)
def test_the_plan_names_what_a_model_takes_and_how_often_its_generators_are_updated(
    model: str, named: str, steps: str | None, capsys: pytest.CaptureFixture[str]
) -> None:
    experiment = "smoke_generation" if model.startswith("wgan") else "smoke"
    assert train(f"experiment={experiment}", *f"model={model}".split(), "dry_run=true") == 0
    out = capsys.readouterr().out
    assert named in out
    assert f"generators are updated in {steps}\n" in out if steps else "generators are updated" not in out


@pytest.mark.parametrize(("budget", "iterations"), [("iterations=3", 3), ("epochs=2", 16), ("images=10", 5)])
def test_a_budget_on_the_command_line_replaces_the_experiment_s(
    budget: str, iterations: int, capsys: pytest.CaptureFixture[str]
) -> None:
    assert train("experiment=smoke", "dry_run=true", budget) == 0
    assert f" {iterations} iterations" in capsys.readouterr().out


def test_overfitting_plays_one_batch_again_and_again() -> None:
    assert train(*PLAIN, "overfit_batches=1", "trainer.log_every_n_steps=1", "model.pool_size=0",
                 "optimizer.lr=0.005", "iterations=40", "callbacks.checkpointing.every=0",
                 "schedule=constant") == 0  # fmt: skip
    cycle = [
        row["loss/generators_a_cycle"]
        for row in read_metrics(only_run() / "metrics.jsonl")
        if "loss/generators_a_cycle" in row
    ]
    assert min(cycle[-5:]) < 0.7 * cycle[0]


@pytest.mark.parametrize("loss", ["nonsaturating_r1", "wgan", "wgan_gp", "r3gan"])
def test_other_games_are_played(loss: str) -> None:
    assert train(*PLAIN, f"loss={loss}", "iterations=5", "discriminator=resnet", "discriminator.channels=4") == 0


def test_two_runs_of_the_same_second_have_folders_of_their_own() -> None:
    for _ in range(2):
        assert train(*PLAIN, "iterations=1") == 0
    assert len(list(Path("runs/smoke").iterdir())) == 2


MISTAKES: dict[str, tuple[str, str, list[str]]] = {  # the command, and the code and names of its error
    "an unknown command": ("tran", "cli.unknown_command", ["tran ", "did you mean train?"]),
    "a misspelt choice": (
        "train model=cyclgan",
        "config.unknown_choice",
        ["model=cyclgan", "did you mean cyclegan?", "choices: adain, cgan, cut, cyclegan, dcgan, "],
    ),
    "an unknown choice": (
        "train loss=x",
        "config.unknown_choice",
        ["loss=x ", "choices: hinge, hinge_r1, lsgan, lsgan_r1, nonsaturating"],
    ),
    "a misspelt setting": ("train iteratoins=5", "config.unknown_setting", ["iteratoins", "did you mean iterations?"]),
    "a misspelt group": ("train modle=cyclegan", "config.unknown_setting", ["modle", "did you mean model?"]),
    "a misspelt setting of a group": (
        "train data.siz=32",
        "config.unknown_setting",
        ["data.siz ", "did you mean data.size?"],
    ),
    "a setting without its group": (
        "train cycle_weight=5",
        "config.unknown_setting",
        ["cycle_weight", "did you mean model.cycle_weight?"],
    ),
    "a setting its group lacks": (
        "train data.flavour=1",
        "config.unknown_setting",
        ["data.flavour", "data has: source, target, size"],
    ),
    "a setting added by force": (
        "train ++iteratoins=5",
        "config.unknown_setting",
        ["iteratoins ", "did you mean iterations?"],
    ),
    "a group's setting added by force": (
        "train +data.siz=5",
        "config.unknown_setting",
        ["data.siz ", "UnpairedScenesDataModule", "did you mean size?"],
    ),
    "no value": ("train iterations", "config.override_syntax", ["iterations", "KEY=VALUE"]),
    "a broken list": ("train optimizer.betas=[0.5", "config.override_syntax", ["optimizer.betas=[0.5"]),
    "a wrong type": ("train iterations=many", "config.wrong_type", ["iterations=many", "a whole number or null"]),
    "a wrong type in a group": ("train data.size=large", "config.wrong_type", ["data.size=large", "a whole number"]),
    "a wrong type of a number": (
        "train model.cycle_weight=yes",
        "config.wrong_type",
        ["model.cycle_weight=yes", "a number"],
    ),
    "a value where an object is due": (
        "train model.loss=hinge",
        "config.wrong_type",
        ["model.loss=hinge", "an object (AdversarialLoss)"],
    ),
    "a wrong range": ("train data.batch_size=0", "config.too_small", ["data.batch_size=0", "at least 1"]),
    "a wrong range of a net": ("train generator.blocks=-1", "config.too_small", ["generator.blocks=-1", "at least 0"]),
    "a rate below 0": ("train experiment=smoke optimizer.lr=-1", "config.invalid_optimizer", ["optimizer.lr=-1"]),
    "a rate that is no number": ("train optimizer.lr=abc", "config.wrong_type", ["optimizer.lr=abc", "a number"]),
    "a wrong second moment": (
        "train experiment=smoke optimizer.betas=[0.5,2]",
        "config.invalid_optimizer",
        ["optimizer.betas=[0.5, 2]"],
    ),
    "a misspelt part": (
        "train generator.up=tranposed",
        "config.unknown_choice",
        ["generator.up=tranposed", "did you mean transposed?"],
    ),
    "a misspelt style": (
        "train data.target=ukioe",
        "config.unknown_choice",
        ["data.target=ukioe", "did you mean ukiyoe?"],
    ),
    "two budgets": ("train iterations=3 epochs=2", "training.several_budgets", ["iterations=3", "epochs=2"]),
    "a budget of nothing": ("train iterations=0", "config.too_small", ["iterations=0", "at least 1"]),
    "Lightning's own budget": ("train +trainer.max_epochs=3", "config.synonym", ["trainer.max_epochs", "epochs=N"]),
    "a trainer's misspelt setting": (
        "train +trainer.profilr=simple",
        "config.unknown_setting",
        ["trainer.profilr", "Trainer", "did you mean profiler?"],
    ),
    "a batch too large": (
        "train data.batch_size=500",
        "data.batch_too_large",
        ["data.batch_size=500", "data.batch_size=400"],
    ),
    "a size the net cannot take": (
        "train experiment=smoke data.size=30",
        "network.size_unsupported",
        ["data.size=30", "a_to_b", "multiples of 4 from 16 on"],
    ),
    "an unknown precision": (
        "train precision=8",
        "config.unknown_choice",
        ["precision=8 ", "choices: auto, 32, 16, bf16"],
    ),
    "a GPU where there is none": ("train strategy=gpu", "device.no_gpu", ["strategy.accelerator=gpu", "strategy=cpu"]),
    "a GPU's precision": (
        "train precision=16",
        "device.precision_needs_gpu",
        ["precision=16 (16-mixed)", "precision=bf16"],
    ),
    "Lightning's accumulation": (
        "train +trainer.accumulate_grad_batches=2",
        "config.synonym",
        ["trainer.accumulate_grad_batches", "micro_batches=N"],
    ),
    "Lightning's clipping": (
        "train +trainer.gradient_clip_val=1",
        "config.synonym",
        ["trainer.gradient_clip_val", "model.clip_gradients=NORM"],
    ),
    "FSDP": (
        "train strategy.strategy=fsdp",
        "device.unsupported_strategy",
        ["strategy.strategy=fsdp", "optimized in turn", "ddp"],
    ),
    "DeepSpeed": (
        "train strategy.strategy=deepspeed_stage_2",
        "device.unsupported_strategy",
        ["strategy.strategy=deepspeed_stage_2", "DeepSpeed drives one optimizer"],
    ),
    "batch norms synchronized without GPUs": (
        "train strategy=cpu strategy.sync_batchnorm=true",
        "device.sync_batchnorm_needs_gpu",
        ["strategy.sync_batchnorm=true", "GPUs only"],
    ),
    "parts that do not come out even": (
        "train data.batch_size=4 micro_batches=3",
        "training.batch_not_divisible",
        ["data.batch_size=4", "micro_batches=2"],
    ),
    "a model of classes and data without any": (
        "train experiment=smoke model=cgan data=scenes_unpaired",
        "config.missing_in_data",
        ["model.classes", "data.classes", "data=labelled"],
    ),
    "no such run": ("evaluate nothing", "run.not_found", ["nothing "]),
    "no such run to resume": ("train resume=nothing", "run.not_found", ["nothing "]),
    "resume=auto nowhere": ("train resume=auto", "resume.no_folder", ["output_dir="]),
    "an unwritable folder": (
        "train experiment=smoke output_dir=file/run",
        "run.not_writable",
        ["file/run", "Not a directory"],
    ),
    "an unwritable parent": (
        "train experiment=smoke runs_dir=file",
        "run.not_writable",
        ["file/smoke", "Not a directory"],
    ),
    "code that is not trusted": (
        "train model._target_=os.system",
        "security.untrusted_package",
        ["model._target_=os.system"],
    ),
    "code that does not exist": (
        "train trust=[mylab] model._target_=mylab.Net",
        "config.class_not_found",
        ["model._target_=mylab.Net"],
    ),
    "a plugin that is not installed": (
        "train -m hydra/launcher=joblib",
        "config.unknown_choice",
        ["hydra/launcher=joblib", "pip install 'stylegan_lab[cluster]'"],
    ),
    "no model": ("train ~model", "config.removed_setting", ["~model"]),
    "no optimizer": ("train ~optimizer", "config.removed_setting", ["~optimizer"]),
    "no classes, and another setting is removed": (
        "train ~callbacks.samples model=cgan data=scenes_unpaired",
        "config.missing_in_data",
        ["data.classes"],
    ),
    "no loss": ("train loss=null", "config.missing_choice", ["loss=null", "hinge, hinge_r1, lsgan"]),
    "dashes": ("train --experiment=smoke", "cli.setting_with_dashes", ["--experiment=smoke: ", " experiment=smoke"]),
    "an unknown flag": ("train --multrun", "cli.unknown_flag", ["--multrun", "did you mean --multirun?"]),
    "an interval below 0": (
        "train experiment=smoke callbacks.samples.every=-1",
        "config.too_small",
        ["callbacks.samples.every=-1", "at least 0"],
    ),
    "a monitor that is no score": (
        "train experiment=smoke callbacks.checkpointing.monitor=val/sim",
        "config.unknown_choice",
        ["=val/sim ", "did you mean val/ssim?"],
    ),
    "a mark that is not taken": (
        "train experiment=smoke callbacks.checkpointing.monitor=val/translation_accuracy",
        "checkpoint.monitor_not_computed",
        ["val/translation_accuracy", "callbacks.validation.classifier_metrics=true", "every > 0"],
    ),
    "a mark that cannot be had": (
        "train experiment=smoke callbacks.checkpointing.monitor=val/class_consistency callbacks.validation.classifier_metrics=true",
        "checkpoint.monitor_unavailable",
        ["val/class_consistency", "model.classes"],
    ),
    "a mark that is better higher": (
        "train experiment=smoke callbacks.checkpointing.monitor=val/translation_accuracy "
        "callbacks.validation.classifier_metrics=true",
        "checkpoint.monitor_direction",
        ["callbacks.checkpointing.higher_is_better=true"],
    ),
    "no device": ("train strategy.devices=0", "config.too_small", ["strategy.devices=0", "at least 1"]),
    "a trainer's wrong value": (
        "train experiment=smoke trainer.profiler=x",
        "training.invalid_trainer",
        ["trainer or strategy"],
    ),
    "a discriminator too deep": (
        "train experiment=smoke discriminator.layers=9",
        "network.size_unsupported",
        ["discriminator_a (PatchDiscriminator)", "sizes from 2048 on"],
    ),
    "a sweep that resumes": ("train -m resume=x", "resume.in_sweep", ["resume=", "-m"]),
    "a command without its words": ("evaluate", "cli.wrong_arguments", ["RUN", "stylegan-lab evaluate --help"]),
    "a wrong word of a command": ("evaluate x --split all", "cli.wrong_arguments", ["--split"]),
    "no checkpoint at all": ("evaluate file", "run.not_found", ["file "]),
}


@pytest.mark.parametrize("name", MISTAKES)
def test_a_mistake_is_answered_with_a_sentence_and_leaves_nothing(
    name: str, capsys: pytest.CaptureFixture[str]
) -> None:
    Path("file").touch()
    command, code, named = MISTAKES[name]
    assert run(command.split()) == 2
    told = capsys.readouterr().err
    assert_refused(told, code, *named)
    assert "Traceback" not in told and len(told.splitlines()) <= 3
    assert [path.name for path in Path().iterdir()] == ["file"], "no run's folder is left behind"


def test_hydra_composes_the_config_of_a_training_once(monkeypatch: pytest.MonkeyPatch) -> None:
    """Unless `hydra.mode` may be set, which Hydra reads in another composition. No config of the package sets it."""
    composed: list[str] = []
    load_configuration = ConfigLoaderImpl.load_configuration

    def count(self: ConfigLoaderImpl, config_name: str, *given: Any, **named: Any) -> Any:
        composed.append(config_name)
        return load_configuration(self, config_name, *given, **named)

    monkeypatch.setattr(ConfigLoaderImpl, "load_configuration", count)
    assert train("experiment=smoke", "dry_run=true") == 0 and len(composed) == 1
    of_package = [yaml.safe_load(path.read_text()) or {} for path in CONF.rglob("*.yaml")]
    assert not any("mode" in (config.get("hydra") or {}) for config in of_package)
    assert train("experiment=smoke", "dry_run=true", "hydra.mode=RUN") == 0 and len(composed) == 3
    Path("mine").mkdir()
    assert train("--config-dir", "mine", "experiment=smoke", "dry_run=true") == 0 and len(composed) == 5


def test_debugging_shows_the_traceback(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("STYLEGAN_LAB_DEBUG", "1")
    with refused("config.unknown_setting", "iteratoins") as raised:
        run(["train", "iteratoins=5"])
    assert raised.value.__cause__ is not None


def test_a_typo_in_a_config_file_is_no_silent_default(capsys: pytest.CaptureFixture[str]) -> None:
    Path("mine/experiment").mkdir(parents=True)
    Path("mine/experiment/typo.yaml").write_text("# @package _global_\niteratoins: 5\n")
    assert run(["train", "--config-dir", "mine", "experiment=typo"]) == 2
    assert_refused(capsys.readouterr().err, "config.unknown_setting", "iteratoins ", "did you mean iterations?")


def test_a_model_that_needs_pairs_says_which_data_have_them(capsys: pytest.CaptureFixture[str]) -> None:
    Path("pairlab.py").write_text(
        "from stylegan_lab.images.batch import PairedBatch\n"
        "from stylegan_lab.models.translation.cyclegan import CycleGAN\n\n\n"
        "class Paired(CycleGAN):\n    batch_type = PairedBatch\n"
    )
    command = ["train", "trust=[pairlab]", "model._target_=pairlab.Paired", "dry_run=true"]
    assert run(command) == 2
    told = capsys.readouterr().err
    assert_refused(told, "model.data_mismatch", "model=Paired ", "data=scenes_unpaired ")
    assert_names(told, "(try data=", " or scenes_paired or ", "or model=adain or cut or cyclegan")
    assert run([*command, "data=scenes_paired"]) == 0


@pytest.mark.usefixtures("forked_processes")
def test_one_failing_job_of_a_sweep_is_told_and_the_others_go_on(capsys: pytest.CaptureFixture[str]) -> None:
    assert train("-m", *PLAIN, "iterations=1", "data.size=30,32") == 2
    assert_refused(capsys.readouterr().err, "network.size_unsupported", "data.size=30")
    assert len(list(Path("runs/sweeps").glob("*/*/checkpoints/last.ckpt"))) == 1


def test_translate_answers_mistakes(trained: Path, capsys: pytest.CaptureFixture[str]) -> None:
    Path("empty").mkdir()
    for arguments, code, named in [
        (["nowhere", "out"], "image.not_found", "nowhere"),
        (["empty", "out"], "translate.no_input_files", "empty"),
        (["empty", "out.png"], "translate.output_not_a_folder", "out.png"),
    ]:
        assert run(["translate", str(trained), *arguments]) == 2
        assert_refused(capsys.readouterr().err, code, named)
    Image.new("RGB", (32, 32)).save("in.png")
    assert run(["translate", str(trained), "in.png", "out.png", "--direction", "c2d"]) == 2
    assert_refused(capsys.readouterr().err, "translate.unknown_direction", "--direction c2d", "a2b and b2a")
    Path("damaged.ckpt").write_bytes((trained / "checkpoints" / "last.ckpt").read_bytes()[:-3000])
    for arguments, code, named in [
        ([str(trained), "in.png", "in.png/out.png"], "image.not_writable", "in.png/out.png"),
        (["damaged.ckpt", "in.png", "out.png"], "checkpoint.damaged", "damaged.ckpt"),
    ]:
        assert run(["translate", *arguments]) == 2
        assert_refused(capsys.readouterr().err, code, named)
    assert run(["translate", str(trained), "in.png", "out.png", "--checkpoint", "first"]) == 2
    names = "000004, 000008, best, last"
    assert_refused(capsys.readouterr().err, "checkpoint.not_found", str(trained), "first", names)


def test_help_names_every_command_without_loading_what_it_does_not_need() -> None:
    """Under a second is kept by importing neither torch nor Lightning; no test asserts on time."""
    helps = [[], *([command] for command in COMMANDS)]
    code = (
        "import sys; from stylegan_lab.cli.main import run\n"
        f"for command in {helps}:\n"
        "    try: run([*command, '--help'])\n"
        "    except SystemExit as left: assert not left.code\n"
        "    print(sorted({'torch', 'lightning', 'hydra'} & sys.modules.keys()), end='END')"
    )
    out = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True).stdout
    usage, *explained = out.split("END")[:-1]
    assert all(command in usage for command in COMMANDS) and usage.endswith("[]") and len(explained) == len(COMMANDS)
    for command, text in zip(COMMANDS, explained, strict=True):
        assert f"stylegan-lab {command}" in text and text.endswith("[]")


def test_the_help_of_score_names_every_choice(capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit):
        run(["score", "--help"])
    words = set(re.findall(r"\w+", capsys.readouterr().out))
    choices = {*EXTRACTORS, *FILTERS, *FEATURE_COMPARISONS, "is", *IMAGE_METRICS, *PERCEPTUAL_METRICS}
    assert choices <= words


def test_the_package_is_a_program_too() -> None:
    out = subprocess.run(
        [sys.executable, "-m", "stylegan_lab", "--version"], capture_output=True, text=True, check=True
    ).stdout
    assert out.strip()[0].isdigit()


def test_a_reader_that_has_read_enough_is_no_mistake() -> None:
    command = f"{sys.executable} -m stylegan_lab data list --json | head -c 10 > head.txt; echo ${{PIPESTATUS[0]}}"
    done = subprocess.run(["bash", "-c", command], capture_output=True, text=True)
    assert done.stderr == "" and done.stdout.strip() in ("0", "141")
