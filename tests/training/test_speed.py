"""Settings that change the speed only: the same results to a tolerance, and checkpoints that fit all of them."""

import shutil
from collections.abc import Callable, Iterator
from copy import deepcopy
from functools import cache
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
import torch
from omegaconf import DictConfig, OmegaConf
from torch import Tensor, nn

import stylegan_lab
from stylegan_lab.callbacks.ema import evaluation_mode
from stylegan_lab.cli.main import run
from stylegan_lab.config.compose import compose_config as compose
from stylegan_lab.evaluation.device import metric_device, metrics_on
from stylegan_lab.evaluation.feature_extractors import MetricFeatures
from stylegan_lab.losses.gan_loss import AdversarialLoss, LSGANLoss
from stylegan_lab.losses.regularizers import R1, DriftPenalty
from stylegan_lab.models.base import BaseModel
from stylegan_lab.networks.layers.norms import InstanceNorm
from stylegan_lab.precision import use_tf32
from stylegan_lab.runs.checkpoint import read_checkpoint
from stylegan_lab.runs.run import Run
from stylegan_lab.training import speed
from stylegan_lab.training.experiment import build_data, build_module
from stylegan_lab.training.hardware import SLOW_BF16, training_device

# SGD, because Adam's first steps turn rounding errors into steps of full size.
QUICK = [
    "experiment=smoke",
    "schedule=constant",
    "logger=none",
    "evaluate=false",
    "optimizer=sgd",
    "optimizer.lr=1e-3",
    "callbacks.progress_bar=null",
    "callbacks.validation=null",
    "callbacks.samples=null",
]
MODELS = {
    "cyclegan": [],
    # Features that are never 0 in all channels, and a small weight: normalizing amplifies what is near 0, and rounding with it.
    "cut": ["model=cut", "model.nce_layers=[0,12]", "model.nce_weight=0.01"],
    "pix2pix": ["model=pix2pix", "data=scenes_paired", "generator=unet32", "generator.channels=4"],
}
GENERATION = ["experiment=smoke_generation", *QUICK[1:]]
Compose = Callable[..., DictConfig]

# torch.compile looks at it, and hides the warning in another way than by a filter.
pytestmark = pytest.mark.filterwarnings("ignore:The .grad attribute of a Tensor")


@pytest.fixture
def compiled_graphs(monkeypatch: pytest.MonkeyPatch) -> Iterator[list[Any]]:
    """torch.compile with a backend that runs the captured graphs as they are, and the list of those graphs."""
    graphs: list[Any] = []

    def backend(graph: torch.fx.GraphModule, _: Any, **__: Any) -> Any:
        graphs.append(graph)
        return graph.forward

    monkeypatch.setattr(speed, "BACKEND", backend)
    torch.compiler.reset()
    yield graphs
    torch.compiler.reset()


@pytest.fixture
def with_gpu(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(torch.cuda, "is_available", lambda: True)


@pytest.fixture(scope="module")
def plain_run(tmp_path_factory: pytest.TempPathFactory) -> Callable[[str], Run]:
    """Train one of MODELS for 3 iterations without any of the settings, and keep the checkpoint of each iteration."""
    runs: dict[str, Run] = {}

    def run_of(model: str) -> Run:
        if model not in runs:
            folder = tmp_path_factory.mktemp("plain") / "run"
            every = ["callbacks.checkpointing.every=1", "callbacks.checkpointing.keep=3"]
            runs[model] = stylegan_lab.train(*QUICK, *MODELS[model], "iterations=3", *every, f"output_dir={folder}")
        return runs[model]

    return run_of


@cache
def composed(strategy: str) -> DictConfig:
    return compose([f"strategy={strategy}"])


def config_with(*settings: str, strategy: str = "single") -> DictConfig:
    """A config with these settings of single values, for which it is not composed anew."""
    return OmegaConf.merge(composed(strategy), OmegaConf.from_dotlist([*settings]))  # type: ignore[return-value]


def weights(run: Run, checkpoint: str = "last") -> dict[str, Tensor]:
    contents = read_checkpoint(run.checkpoint(checkpoint))
    averages = {f"ema.{net}.{key}": value for net, state in contents["ema"].items() for key, value in state.items()}
    return {**contents["state_dict"], **averages}


def assert_same(found: dict[str, Tensor], expected: dict[str, Tensor], **tolerance: float) -> None:
    assert found.keys() == expected.keys()
    for name in expected:
        torch.testing.assert_close(found[name], expected[name], **tolerance, msg=name)


@pytest.mark.parametrize("model", MODELS)
def test_compiled_and_plain_trainings_continue_each_other(
    model: str, compiled_graphs: list[Any], plain_run: Callable[[str], Run]
) -> None:
    plain = plain_run(model)
    assert not compiled_graphs
    stylegan_lab.train(*QUICK, *MODELS[model], "iterations=1", "compile=true", "output_dir=run")
    assert len(compiled_graphs) > 1  # the first is that of the trial
    compiled_graphs.clear()
    uncompiled = stylegan_lab.train("resume=run", "iterations=2", "compile=false")
    assert not compiled_graphs
    assert_same(weights(uncompiled), weights(plain, "000002"), rtol=1e-5, atol=1e-6)
    compiled = stylegan_lab.train("resume=run", "iterations=3", "compile=reduce-overhead")
    assert compiled_graphs
    assert_same(weights(compiled), weights(plain), rtol=1e-5, atol=1e-6)


@pytest.mark.parametrize("loss", ["wgan_gp", "nonsaturating_r1", "r3gan"])
def test_a_loss_with_gradient_penalties_trains_the_same_when_compiled(
    loss: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """aot_eager cannot differentiate twice, as inductor cannot."""
    monkeypatch.setattr(speed, "BACKEND", "aot_eager")
    runs = [stylegan_lab.train(*GENERATION, f"loss={loss}", "iterations=2", f"compile={on}", f"output_dir=run_{on}")
            for on in ("false", "true")]  # fmt: skip
    assert_same(weights(runs[1]), weights(runs[0]), rtol=1e-4, atol=1e-6)


def test_networks_whose_gradient_is_penalized_are_not_compiled(compose_config: Compose) -> None:
    def names(*overrides: str) -> set[str]:
        module = build_module(compose_config(*overrides))
        assert isinstance(module, BaseModel)
        found = {each: name for name, each in module.named_modules()}
        return {found[each] for each in module.compilable_networks}

    assert names(*GENERATION) == {"generator", "discriminator"}
    assert names(*GENERATION, "loss=wgan_gp") == {"generator"}
    networks = ["generator=stylegan2_small", "discriminator=stylegan2_small", "latents.size=16"]
    assert names(*GENERATION, "model=stylegan2", *networks) == {"generator.mapping"}
    assert names(*QUICK, "model=cut") == {"generator.layers.12", "projector", "discriminator"}


def test_a_regularizer_that_does_not_say_so_may_differentiate_twice() -> None:
    class Unknown(DriftPenalty):
        needs_double_backward = True

    def needs(**regularizers: Any) -> bool:
        return AdversarialLoss(LSGANLoss(), regularizers).needs_double_backward

    assert not needs() and not needs(drift=DriftPenalty())
    assert needs(r1=R1()) and needs(drift=DriftPenalty(), unknown=Unknown())


def test_validation_compiles_nothing_for_its_batch_sizes(compose_config: Compose, compiled_graphs: list[Any]) -> None:
    module = build_module(compose_config(*QUICK))
    assert isinstance(module, BaseModel)
    for network in module.compilable_networks:
        speed.compile_network(network, "default", module.device)
    images = torch.rand(3, 3, 32, 32)
    with evaluation_mode(type("", (), {"callbacks": ()})(), module):
        plain = module.translate(images)
    assert not compiled_graphs
    torch.testing.assert_close(module.translate(images), plain)
    assert compiled_graphs


def test_networks_stay_uncompiled_where_compiling_fails(
    monkeypatch: pytest.MonkeyPatch, plain_run: Callable[[str], Run]
) -> None:
    def no_compiler(*_: Any, **__: Any) -> Any:
        raise RuntimeError("no compiler\nand much more")

    plain = plain_run("cyclegan")
    monkeypatch.setattr(speed, "BACKEND", no_compiler)
    problem = speed.compile_problem(torch.device("cpu"))
    assert problem and "\n" not in problem
    fallen_back = stylegan_lab.train(*QUICK, "iterations=2", "compile=true", "output_dir=run")
    assert_same(weights(fallen_back), weights(plain, "000002"), rtol=0, atol=0)
    assert problem in Path("run/log.txt").read_text()


@pytest.mark.skipif(not any(map(shutil.which, ("g++", "c++", "clang++"))), reason="torch.compile needs a C++ compiler")
@pytest.mark.filterwarnings("ignore")  # of the compilers
def test_inductor_computes_the_same_outputs_and_gradients() -> None:
    torch.manual_seed(0)
    plain = nn.Sequential(nn.Conv2d(3, 4, 3), nn.GroupNorm(4, 4), nn.ReLU(), nn.Conv2d(4, 1, 3))
    compiled = deepcopy(plain)
    assert speed.compile_problem(torch.device("cpu")) is None
    speed.compile_network(compiled, "default", torch.device("cpu"))
    image = torch.rand(2, 3, 8, 8)
    for network in (plain, compiled):
        network(image).square().mean().backward()
    torch.testing.assert_close(compiled(image), plain(image), rtol=1e-4, atol=1e-5)
    assert list(compiled.state_dict()) == list(plain.state_dict())
    for one, other in zip(compiled.parameters(), plain.parameters(), strict=True):
        torch.testing.assert_close(one.grad, other.grad, rtol=1e-4, atol=1e-5)


@pytest.mark.parametrize("model", MODELS)
def test_channels_last_and_contiguous_trainings_continue_each_other(
    model: str, plain_run: Callable[[str], Run]
) -> None:
    plain = plain_run(model)
    assert all(value.is_contiguous() for value in weights(plain).values())
    # Batch norms amplify rounding: without AVX-512, weights differ by up to 1e-4 after updates of up to 4e-3.
    tolerance = {"rtol": 1e-3, "atol": 3e-4}
    stylegan_lab.train(*QUICK, *MODELS[model], "iterations=1", "channels_last=true", "output_dir=run")
    contiguous = stylegan_lab.train("resume=run", "iterations=2", "channels_last=false")
    assert_same(weights(contiguous), weights(plain, "000002"), **tolerance)
    channels_last = stylegan_lab.train("resume=run", "iterations=3", "channels_last=true")
    assert any(not value.is_contiguous() for value in weights(channels_last).values())
    assert_same(weights(channels_last), weights(plain), **tolerance)


def test_training_batches_are_channels_last() -> None:
    batch = {
        "a": torch.rand(2, 3, 4, 4),
        "nested": {"b": torch.rand(2, 3, 4, 4)},
        "label": torch.arange(2),
        "names": ["x"],
    }
    expected = deepcopy(batch)
    speed.ChannelsLast().on_train_batch_start(None, None, batch, 0)  # type: ignore[arg-type]
    assert batch["a"].is_contiguous(memory_format=torch.channels_last)  # type: ignore[union-attr]
    assert batch["nested"]["b"].is_contiguous(memory_format=torch.channels_last)  # type: ignore[index, call-overload]
    torch.testing.assert_close(batch["a"], expected["a"])
    assert (batch["label"] == expected["label"]).all() and batch["names"] == ["x"]


@pytest.mark.parametrize("has_bf16", [False, True])
def test_bf16_on_a_cpu_that_has_none_is_pointed_out(
    has_bf16: bool, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr(torch.cpu, "get_capabilities", lambda: {"avx512_bf16": has_bf16})
    smoke = ["train", "experiment=smoke", "dry_run=true", "strategy=cpu"]
    assert run([*smoke, "precision=bf16"]) == 0
    assert (SLOW_BF16 in capsys.readouterr().out) is not has_bf16
    assert run([*smoke, "precision=auto"]) == 0
    assert ("bf16-mixed" in (out := capsys.readouterr().out)) is has_bf16 and SLOW_BF16 not in out


@pytest.mark.usefixtures("with_gpu")
def test_channels_last_by_default_in_half_precision_where_it_is_faster() -> None:
    def chosen(*settings: str, strategy: str = "single", norm: nn.Module = nn.Identity()) -> bool:  # noqa: B008
        return speed.uses_channels_last(config_with(*settings, strategy=strategy), nn.Sequential(norm))

    assert chosen("precision=bf16") and chosen("precision=16", strategy="gpu")
    assert not chosen() and not chosen("precision=bf16", strategy="cpu")
    assert chosen("precision=bf16", strategy="cpu", norm=InstanceNorm(4))
    assert not chosen("precision=32", strategy="cpu", norm=InstanceNorm(4))
    assert not chosen("precision=bf16", strategy="cpu", norm=nn.Sequential(InstanceNorm(4), nn.GroupNorm(4, 4)))
    assert chosen("channels_last=true", strategy="cpu") and not chosen("channels_last=false", "precision=bf16")


LAYOUTS = (torch.contiguous_format, torch.channels_last)
OPTIMIZERS: dict[str, tuple[Callable[..., torch.optim.Optimizer], list[dict[str, bool]]]] = {
    "adam": (torch.optim.Adam, [{}, {"fused": True}, {"foreach": True}]),
    "adamw": (torch.optim.AdamW, [{}, {"fused": True}, {"foreach": True}]),
    "sgd": (
        lambda each, **kernel: torch.optim.SGD(each, momentum=0.9, **kernel),
        [{}, {"fused": True}, {"foreach": True}],
    ),
    "rmsprop": (lambda each, **kernel: torch.optim.RMSprop(each, momentum=0.9, **kernel), [{}, {"foreach": True}]),
}


@pytest.mark.parametrize("name", OPTIMIZERS)
@pytest.mark.parametrize(
    "layouts", [(torch.contiguous_format, torch.channels_last), (torch.channels_last, torch.contiguous_format)]
)
def test_states_fit_other_kernels_and_layouts(name: str, layouts: tuple[torch.memory_format, ...]) -> None:
    """Two steps, a checkpoint, and two steps with other kernels in another layout are four steps."""
    build, kernels = OPTIMIZERS[name]
    rng = torch.Generator().manual_seed(0)
    start, gradients = torch.randn(4, 3, 2, 2, generator=rng), torch.randn(4, 4, 3, 2, 2, generator=rng)

    def steps(optimizer: torch.optim.Optimizer, weight: Tensor, numbers: range) -> None:
        for number in numbers:
            weight.grad = torch.empty_like(weight).copy_(gradients[number])
            optimizer.step()

    def weight_in(layout: torch.memory_format, values: Tensor) -> nn.Parameter:
        return nn.Parameter(values.detach().clone(memory_format=layout))

    expected = weight_in(torch.contiguous_format, start)
    steps(build([expected], lr=0.1), expected, range(4))
    for first in kernels:
        for second in kernels:
            before = weight_in(layouts[0], start)
            saved = build([before], lr=0.1, **first)
            steps(saved, before, range(2))
            after = weight_in(layouts[1], before)
            loaded = build([after], lr=0.1, **second)
            speed.keep_kernels(loaded)
            loaded.load_state_dict(deepcopy(saved.state_dict()))
            assert bool(loaded.param_groups[0].get("fused")) == second.get("fused", False)
            steps(loaded, after, range(2, 4))
            torch.testing.assert_close(after, expected, rtol=1e-5, atol=1e-6, check_stride=False)


@pytest.mark.parametrize(
    ("choice", "fused"), [("adam", True), ("adam_stylegan2", True), ("sgd", True), ("rmsprop", None)]
)
def test_optimizers_are_fused_where_they_can_be(choice: str, fused: bool | None, compose_config: Compose) -> None:
    def setting(*overrides: str) -> Any:
        module = build_module(compose_config("experiment=smoke", f"optimizer={choice}", *overrides))
        assert isinstance(module, BaseModel)
        return module.players[0].optimizer.param_groups[0].get("fused")

    assert setting() is fused
    if fused:
        assert setting("optimizer.fused=false") is False


def test_fused_and_plain_trainings_continue_each_other() -> None:
    plain = stylegan_lab.train(
        *QUICK, "optimizer.momentum=0.9", "optimizer.fused=false", "iterations=3", "output_dir=plain"
    )
    stylegan_lab.train(*QUICK, "optimizer.momentum=0.9", "iterations=1", "output_dir=run")
    run = stylegan_lab.train("resume=run", "optimizer.fused=false", "iterations=2")
    run = stylegan_lab.train("resume=run", "optimizer.fused=true", "iterations=3")
    assert_same(weights(run), weights(plain), rtol=1e-4, atol=1e-6)


def tf32_flags() -> tuple[bool, bool]:
    return torch.backends.cuda.matmul.allow_tf32, torch.backends.cudnn.allow_tf32


def test_metrics_are_computed_without_tf32() -> None:
    seen = []

    def net(images: Tensor) -> Tensor:
        seen.append(tf32_flags())
        return images.mean((2, 3))

    before = tf32_flags()
    with use_tf32(True):
        MetricFeatures("net", "mean", net, "none", 8).vectors(torch.rand(2, 3, 8, 8))
        assert tf32_flags() == (True, True)
    assert seen == [(False, False)] and tf32_flags() == before


@pytest.mark.usefixtures("with_gpu")
def test_tf32_is_used_by_trainings_on_gpus_only() -> None:
    def within(*settings: str, strategy: str = "single") -> tuple[bool, bool]:
        with speed.training_hardware(config_with(*settings, strategy=strategy)):
            return tf32_flags()

    before = tf32_flags()
    assert within() == (True, True) and within("tf32=false") == (False, False)
    with use_tf32(False):
        assert within(strategy="cpu") == (False, False)
    assert tf32_flags() == before


@pytest.mark.usefixtures("with_gpu")
def test_a_training_on_the_cpu_does_not_use_the_gpu() -> None:
    def device(strategy: str = "single", *settings: str) -> str:
        config = config_with(*settings, strategy=strategy)
        with speed.training_hardware(config):
            assert metric_device() == training_device(config)
        return training_device(config).type

    assert [device(), device("gpu"), device("cpu")] == ["cuda", "cuda", "cpu"]
    assert device("ddp", "strategy.accelerator=cpu", "strategy.devices=2") == "cpu"
    assert metric_device().type == "cuda"
    with metrics_on(torch.device("cpu")):
        assert metric_device().type == "cpu"


@pytest.mark.usefixtures("with_gpu")
@pytest.mark.parametrize("device", ["cpu", "cuda"])
def test_batches_are_pinned_for_trainings_on_a_gpu_only(device: str, compose_config: Compose) -> None:
    data = build_data(compose_config(*QUICK))
    strategy = SimpleNamespace(root_device=torch.device(device))
    data.trainer = SimpleNamespace(global_rank=0, world_size=1, lightning_module=None, strategy=strategy)  # type: ignore[assignment]
    assert data.train_dataloader().pin_memory is (device == "cuda")


def test_cudnn_benchmark_is_on_for_gpus(monkeypatch: pytest.MonkeyPatch) -> None:
    def chosen(*settings: str, strategy: str = "single") -> bool | None:
        return speed.uses_cudnn_benchmark(config_with(*settings, strategy=strategy))

    assert chosen() is None
    monkeypatch.setattr(torch.cuda, "is_available", lambda: True)
    assert chosen() is True and chosen("trainer.benchmark=false") is False and chosen(strategy="cpu") is None
    assert chosen("deterministic=true") is chosen("deterministic=warn") is None
    assert chosen("deterministic=true", "trainer.benchmark=true") is True


@pytest.mark.parametrize(
    ("size", "batch_size", "given", "threads"), [(32, 2, None, 1), (64, 1, None, 1), (64, 2, None, 2), (32, 2, "2", 2)]
)
def test_tiny_trainings_use_one_thread_unless_the_user_says_otherwise(
    size: int,
    batch_size: int,
    given: str | None,
    threads: int,
    compose_config: Compose,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.delenv("OMP_NUM_THREADS", raising=False)
    if given:
        monkeypatch.setenv("OMP_NUM_THREADS", given)
    before = torch.get_num_threads()
    torch.set_num_threads(2)
    try:
        config = compose_config(f"data.size={size}", f"data.batch_size={batch_size}", "strategy=cpu")
        with speed.training_threads(config, build_data(config)):
            assert torch.get_num_threads() == threads
        assert torch.get_num_threads() == 2
    finally:
        torch.set_num_threads(before)
