"""A warm start: what fits is taken, what does not is named, and nothing at all is a mistake."""

from pathlib import Path

import pytest
import torch

from stylegan_lab.cli.main import run
from stylegan_lab.models.warm_start import warm_start
from stylegan_lab.networks.discriminators.patch import PatchDiscriminator
from stylegan_lab.networks.generators.resnet import ResNetGenerator
from stylegan_lab.runs.checkpoint import write_checkpoint
from tests.refusals import refused


def generator(channels: int = 4, blocks: int = 1) -> ResNetGenerator:
    return ResNetGenerator(channels=channels, blocks=blocks)


def save_networks(**nets: torch.nn.Module) -> str:
    state = {f"{name}.{key}": value for name, net in nets.items() for key, value in net.state_dict().items()}
    write_checkpoint({"config": {}, "state_dict": state, "iteration": 1}, Path("made.ckpt").absolute())
    return "made.ckpt"


def test_each_net_takes_the_one_that_fits_whatever_its_name() -> None:
    a_to_b, discriminator_b, mine, discriminator = (
        generator(),
        PatchDiscriminator(channels=4, layers=2),
        generator(),
        PatchDiscriminator(channels=4, layers=2),
    )
    sentences = warm_start(
        {"generator": mine, "discriminator": discriminator},
        save_networks(a_to_b=a_to_b, discriminator_b=discriminator_b),
    )
    assert all(torch.equal(one, other) for one, other in zip(mine.parameters(), a_to_b.parameters(), strict=True))
    assert all(
        torch.equal(one, other)
        for one, other in zip(discriminator.parameters(), discriminator_b.parameters(), strict=True)
    )
    count = len(mine.state_dict())
    assert sentences[0] == f"generator: {count} of {count} tensors from a_to_b"


def test_of_two_matching_networks_the_target_domain_s_is_used() -> None:
    nets = {name: PatchDiscriminator(channels=4, layers=2) for name in ("discriminator_a", "discriminator_b")}
    sentences = warm_start({"discriminator": (mine := PatchDiscriminator(channels=4, layers=2))}, save_networks(**nets))
    assert "from discriminator_b" in sentences[0]
    assert torch.equal(next(mine.parameters()), next(nets["discriminator_b"].parameters()))


def test_averages_come_before_weights_as_trained() -> None:
    trained, averaged, mine = generator(), generator(), generator()
    state = {f"generator.{key}": value for key, value in trained.state_dict().items()}
    contents = {"config": {}, "state_dict": state, "iteration": 1, "ema": {"generator": averaged.state_dict()}}
    write_checkpoint(contents, Path("made.ckpt").absolute())
    warm_start({"generator": mine}, "made.ckpt")
    assert torch.equal(next(mine.parameters()), next(averaged.parameters()))


def test_what_does_not_fit_is_named() -> None:
    mine = generator(blocks=2)
    (sentences,) = warm_start({"generator": mine}, save_networks(generator=generator(blocks=1)))
    assert "tensors from generator; not: " in sentences and " more" in sentences


def test_nothing_that_fits_is_a_mistake() -> None:
    with refused("model.init_from_mismatch", "model.init_from=", "a_to_b", "generator"):
        warm_start(
            {"generator": generator(channels=4)},
            save_networks(a_to_b=PatchDiscriminator(image_channels=5, channels=7, layers=2)),
        )
    with refused("checkpoint.not_found", "model.init_from=nowhere"):
        warm_start({"generator": generator()}, "nowhere")


def test_a_run_starts_from_another_once(capsys: pytest.CaptureFixture[str]) -> None:
    quick = ["experiment=smoke", "logger=none", "evaluate=false", "callbacks.samples=null", "callbacks.validation=null"]
    assert run(["train", *quick, "output_dir=first", "iterations=2"]) == 0
    warm = [*quick, "model=perceptual", "features=colors", "model.init_from=first", "output_dir=second"]
    assert run(["train", *warm, "iterations=2"]) == 0
    assert run(["train", *warm, "iterations=4"]) == 0
    assert capsys.readouterr().out.count("tensors from a_to_b") == 1, "a resumed run has begun already"
