"""What a config may build: our own classes, a list of exact names, and packages the user trusts."""

from pathlib import Path

import pytest
from omegaconf import OmegaConf

from stylegan_lab.cli.main import run
from stylegan_lab.config.instantiate import instantiate, instantiate_each
from stylegan_lab.models.lr_schedules import LinearDecayLR
from tests.refusals import assert_refused, refused

DECAY = {"_target_": "stylegan_lab.models.lr_schedules.LinearDecayLR", "constant": 0.25}


def test_our_own_are_built() -> None:
    assert isinstance(instantiate(DECAY), LinearDecayLR)


@pytest.mark.parametrize(
    "target",
    ["torch.load", "torch.hub.load", "builtins.open", "os.system", "shutil.rmtree", "functools.partial",
     "stylegan_lab.runs.run.os.remove", "stylegan_lab.runs.environment.subprocess.run", "lightning.Trainer.fit",
     "stylegan_lab.train", "stylegan_lab.cli.train.main", "stylegan_lab.config.instantiate.instantiate",
     "stylegan_lab.models.base.instantiate", "stylegan_lab.models.translation.cut.CUT.load_from_checkpoint",
     "stylegan_lab.files.atomic_write.write_text_atomic"],
)  # fmt: skip
def test_others_are_refused_also_by_a_detour(target: str) -> None:
    code = "security.not_buildable" if target.startswith("stylegan_lab") else "security.untrusted_package"
    with refused(code, target):
        instantiate({"nested": {"deep": [{"_target_": target}]}})


HIDDEN = "${oc.create:{_target_:os.mkdir,path:marker}}"


@pytest.mark.parametrize(
    ("config", "code"),
    [
        ({"_target_": DECAY["_target_"], "_args_": [HIDDEN]}, "security.untrusted_package"),
        (OmegaConf.create({"_target_": DECAY["_target_"], "_args_": [f"\\{HIDDEN}"]}), "security.hidden_interpolation"),
        (
            {"_target_": "torch.optim.Adam", "_partial_": True, "betas": ({"_target_": "os.mkdir", "path": "marker"},)},
            "security.untrusted_package",
        ),
    ],
    ids=["interpolation", "escaped interpolation", "tuple"],
)
def test_nothing_is_hidden_from_the_check(
    config: object, code: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Hydra resolves interpolations and converts tuples, and then builds what they hold."""
    monkeypatch.chdir(tmp_path)
    with refused(code, "model"):
        instantiate(config, where="model")
    assert not Path("marker").exists()


def test_a_trusted_package_is_built(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "mylab.py").write_text("class Schedule:\n    def __init__(self, speed): self.speed = speed\n")
    monkeypatch.syspath_prepend(tmp_path)
    config = {"_target_": "mylab.Schedule", "speed": 2}
    with refused("security.untrusted_package", "mylab.Schedule", "trust=[mylab]"):
        instantiate(config)
    assert instantiate(config, trust=["mylab"]).speed == 2


def test_a_name_that_does_not_exist_is_told() -> None:
    with refused("config.class_not_found", "_target_=stylegan_lab.networks.nothing.Net"):
        instantiate({"_target_": "stylegan_lab.networks.nothing.Net"})


def test_none_leaves_an_entry_out() -> None:
    config = OmegaConf.create({"first": DECAY, "second": None})
    assert instantiate_each(config).keys() == {"first"}


CSV_LOGGER = {"_target_": "lightning.pytorch.loggers.CSVLogger", "save_dir": "logs"}
MONITOR = {"_target_": "lightning.pytorch.callbacks.LearningRateMonitor"}


@pytest.mark.parametrize("override", ["callbacks.ema=on", "logger=wandb logger.wandb=online"])
def test_a_value_in_the_place_of_a_group_is_refused(override: str, capsys: pytest.CaptureFixture[str]) -> None:
    assert run(["train", "experiment=smoke", "dry_run=true", *override.split()]) == 2
    assert_refused(capsys.readouterr().err, "config.wrong_type", override.split()[-1].split("=")[0])


def test_lightning_s_callbacks_and_loggers_are_built_in_their_groups_only() -> None:
    """The config of a model, a network or a data module can come with a checkpoint from elsewhere."""
    instantiate(MONITOR, where="callbacks.lr"), instantiate(CSV_LOGGER, where="logger.csv")
    for config, where in ((MONITOR, "logger.lr"), (CSV_LOGGER, "callbacks.csv"), (CSV_LOGGER, "model"), (MONITOR, "")):
        with refused("security.untrusted_package", str(config["_target_"])):
            instantiate({"nested": config}, where=where)


@pytest.mark.parametrize(
    "target",
    ["lightning.pytorch.callbacks.model_checkpoint.shutil.rmtree", "lightning.pytorch.callbacks.timer.time.sleep",
     "lightning.pytorch.callbacks.ModelCheckpoint.format_checkpoint_name", "lightning.pytorch.Trainer",
     "lightning.pytorch.callbacks.model_checkpoint.get_filesystem"],
)  # fmt: skip
def test_only_classes_of_lightning_s_packages_are_built(target: str) -> None:
    with refused("security.untrusted_package", target):
        instantiate({"_target_": target}, where="callbacks.mine")


@pytest.mark.parametrize(
    ("where", "config"),
    [
        ("callbacks.mine", {"_target_": "lightning.pytorch.callbacks.LambdaCallback", "on_fit_start": {"_target_": "os.system"}}),
        ("callbacks.mine", {"_target_": "lightning.pytorch.callbacks.LambdaCallback",
                            "on_fit_start": {"_target_": "hydra.utils.get_method", "path": "os.abort"}}),
        ("logger.mine", {"_target_": "lightning.pytorch.loggers.WandbLogger",
                         "experiment": {"_target_": "torch.load", "f": "model.pt"}}),
    ],
)  # fmt: skip
def test_arguments_of_allowed_classes_open_no_way_to_others(where: str, config: dict[str, object]) -> None:
    with refused("security.untrusted_package", where):
        instantiate(config, where=where)


def test_the_name_of_the_other_lightning_package_is_answered_with_the_right_one() -> None:
    with refused("config.synonym", "callbacks.timer._target_", " lightning.pytorch.callbacks.Timer"):
        instantiate({"_target_": "pytorch_lightning.callbacks.Timer"}, where="callbacks.timer")
