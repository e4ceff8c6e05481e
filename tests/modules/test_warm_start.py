"""A warm start: what fits is taken, what does not is named, and nothing at all is a mistake."""

from pathlib import Path

import pytest
import torch

from stylegan_lab.checkpoint import write_checkpoint
from stylegan_lab.cli.main import run
from stylegan_lab.mistake import Mistake
from stylegan_lab.modules.warm_start import warm_start
from stylegan_lab.nets.patch_critic import PatchCritic
from stylegan_lab.nets.resnet_translator import ResNetTranslator


def translator(channels: int = 4, blocks: int = 1) -> ResNetTranslator:
    return ResNetTranslator(channels=channels, blocks=blocks)


def saved(**nets: torch.nn.Module) -> str:
    state = {f"{name}.{key}": value for name, net in nets.items() for key, value in net.state_dict().items()}
    write_checkpoint({"config": {}, "state_dict": state, "iteration": 1}, Path("made.ckpt").absolute())
    return "made.ckpt"


def test_each_net_takes_the_one_that_fits_whatever_its_name() -> None:
    a_to_b, critic_b, mine, critic = (
        translator(),
        PatchCritic(channels=4, layers=2),
        translator(),
        PatchCritic(channels=4, layers=2),
    )
    told = warm_start({"translator": mine, "critic": critic}, saved(a_to_b=a_to_b, critic_b=critic_b))
    assert all(torch.equal(one, other) for one, other in zip(mine.parameters(), a_to_b.parameters(), strict=True))
    assert all(torch.equal(one, other) for one, other in zip(critic.parameters(), critic_b.parameters(), strict=True))
    count = len(mine.state_dict())
    assert told[0] == f"translator: {count} of {count} tensors from a_to_b"


def test_of_two_that_fit_the_target_domain_s_is_taken() -> None:
    nets = {name: PatchCritic(channels=4, layers=2) for name in ("critic_a", "critic_b")}
    told = warm_start({"critic": (mine := PatchCritic(channels=4, layers=2))}, saved(**nets))
    assert "from critic_b" in told[0]
    assert torch.equal(next(mine.parameters()), next(nets["critic_b"].parameters()))


def test_averages_come_before_weights_as_trained() -> None:
    trained, averaged, mine = translator(), translator(), translator()
    state = {f"translator.{key}": value for key, value in trained.state_dict().items()}
    contents = {"config": {}, "state_dict": state, "iteration": 1, "ema": {"translator": averaged.state_dict()}}
    write_checkpoint(contents, Path("made.ckpt").absolute())
    warm_start({"translator": mine}, "made.ckpt")
    assert torch.equal(next(mine.parameters()), next(averaged.parameters()))


def test_what_does_not_fit_is_named() -> None:
    mine = translator(blocks=2)
    (told,) = warm_start({"translator": mine}, saved(translator=translator(blocks=1)))
    assert "tensors from translator; not: " in told and " more" in told


def test_nothing_that_fits_is_a_mistake() -> None:
    with pytest.raises(Mistake, match="nothing in it fits translator; it holds a_to_b"):
        warm_start(
            {"translator": translator(channels=4)}, saved(a_to_b=PatchCritic(image_channels=5, channels=7, layers=2))
        )
    with pytest.raises(Mistake, match="init_from=nowhere is neither a run with a checkpoint nor a checkpoint"):
        warm_start({"translator": translator()}, "nowhere")


def test_a_run_starts_from_another_once(capsys: pytest.CaptureFixture[str]) -> None:
    quick = ["experiment=smoke", "logger=none", "evaluate=false", "callbacks.samples=null", "callbacks.scoring=null"]
    assert run(["train", *quick, "output_dir=first", "iterations=2"]) == 0
    warm = [*quick, "model=perceptual", "features=colours", "model.init_from=first", "output_dir=second"]
    assert run(["train", *warm, "iterations=2"]) == 0
    assert run(["train", *warm, "iterations=4"]) == 0
    assert capsys.readouterr().out.count("tensors from a_to_b") == 1, "a resumed run has begun already"
