"""What a config may build: our own classes, a list of exact names, and packages the user trusts."""

from pathlib import Path

import pytest
from omegaconf import OmegaConf

from stylegan_lab.instantiate import instantiate, instantiate_each
from stylegan_lab.mistake import Mistake
from stylegan_lab.modules.schedules import LinearDecay

DECAY = {"_target_": "stylegan_lab.modules.schedules.LinearDecay", "constant": 0.25}


def test_our_own_are_built() -> None:
    assert isinstance(instantiate(DECAY), LinearDecay)


@pytest.mark.parametrize(
    "target",
    ["torch.load", "torch.hub.load", "builtins.open", "os.system", "shutil.rmtree", "functools.partial",
     "stylegan_lab.runs.os.remove", "stylegan_lab.environment.subprocess.run", "lightning.Trainer.fit"],
)  # fmt: skip
def test_others_are_refused_also_by_a_detour(target: str) -> None:
    with pytest.raises(Mistake, match="is not allowed"):
        instantiate({"nested": {"deep": [{"_target_": target}]}})


def test_a_trusted_package_is_built(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "mylab.py").write_text("class Schedule:\n    def __init__(self, speed): self.speed = speed\n")
    monkeypatch.syspath_prepend(tmp_path)
    config = {"_target_": "mylab.Schedule", "speed": 2}
    with pytest.raises(Mistake, match=r"trust=\[mylab\]"):
        instantiate(config)
    assert instantiate(config, trust=["mylab"]).speed == 2


def test_a_name_that_does_not_exist_is_told() -> None:
    with pytest.raises(Mistake, match=r"_target_=stylegan_lab.nets.nothing.Net cannot be found"):
        instantiate({"_target_": "stylegan_lab.nets.nothing.Net"})


def test_none_leaves_an_entry_out() -> None:
    config = OmegaConf.create({"first": DECAY, "second": None})
    assert instantiate_each(config).keys() == {"first"}
