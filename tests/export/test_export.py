"""Exports: each file gives the model's images at any size, says where it comes from, and is written whole or not at all."""

import importlib.util
import json
import sys
from collections.abc import Callable
from pathlib import Path
from types import ModuleType, SimpleNamespace
from typing import Any

import pytest
import safetensors
import torch
from torch import Tensor

import stylegan_lab
from stylegan_lab import LoadedModel, UserError
from stylegan_lab.cli.main import run
from stylegan_lab.export import formats
from stylegan_lab.export.exportable import exportable
from stylegan_lab.export.formats import FORMATS, export_file, max_difference
from stylegan_lab.images.image_io import read_image, write_image
from stylegan_lab.training import image_translator

SMALL = ["logger=none", "evaluate=false", "iterations=1", "callbacks.validation=null"]
MODELS = {
    "cyclegan": ["experiment=smoke", "generator.channels=4"],
    "pix2pix": ["experiment=smoke", "model=pix2pix", "generator.channels=4", "generator.norm=batch", "generator.dropout=0.5"],
    "multidomain": ["experiment=smoke", "model=multidomain", "data=scenes_domains", "generator.channels=4"],
    "stargan2": ["experiment=smoke", "model=stargan2", "data=scenes_domains", "generator=stargan2_small"],
    "unsb": ["experiment=smoke", "model=unsb", "generator=unsb_tiny", "discriminator=unsb_tiny"],
    "johnson": ["experiment=smoke", "model=johnson", "generator=johnson", "generator.channels=4", "generator.blocks=2"],
    "adain": ["experiment=smoke", "model=adain", "generator=adain_decoder", "generator.width=0.1"],
    "superres": ["experiment=smoke", "data=scenes_superres", "model=perceptual", "model.paired=true", "generator=srresnet_small"],
    "classes": ["experiment=smoke_generation", "data=scenes_labelled", "model=cgan", "model.classes=${data.classes}"],
    "stylegan2": ["experiment=smoke_generation", "model=stylegan2", "generator=stylegan2_small", "discriminator=stylegan2_small",
                  "loss=stylegan2"],
}  # fmt: skip
PRESENT = [name for name in ("onnx", "onnxscript", "onnxruntime") if importlib.util.find_spec(name)]
needs_onnx = pytest.mark.skipif(len(PRESENT) < 3, reason="needs the extra `export`: onnx, onnxscript, onnxruntime")
Trained = Callable[[str], LoadedModel]


@pytest.fixture(scope="module")
def trained(tmp_path_factory: pytest.TempPathFactory) -> Trained:
    folder, built = tmp_path_factory.mktemp("trained"), dict[str, LoadedModel]()

    def load(name: str) -> LoadedModel:
        if name not in built:
            built[name] = stylegan_lab.load(stylegan_lab.train(*MODELS[name], *SMALL, f"output_dir={folder / name}"))
        return built[name]

    return load


@pytest.mark.parametrize("kind", ["safetensors", "pt2", pytest.param("onnx", marks=needs_onnx)])
def test_files_have_the_outputs_and_the_description_of_the_model(kind: str, trained: Trained) -> None:
    model, path = trained("cyclegan"), Path(f"new/model.{kind}")
    assert run(["export", model.path, str(path), "--license", "cc-by-4.0", "--direction", "b2a"]) == 0
    about, output = read_file(kind, path)
    assert about["license"] == "cc-by-4.0" and about["direction"] == "b2a" and about["model"] == "CycleGAN"
    assert json.loads(about["config"])["model"]["cycle_weight"] == 10 and about["multiple_of"] == "4"
    image = torch.rand(3, 3, 40, 64) * 2 - 1
    expected = torch.cat([model.module.translate(each, "b2a") for each in image.split(1)])
    torch.testing.assert_close(output(image), expected, rtol=0, atol=1e-4)
    assert [each.name for each in path.parent.iterdir()] == [path.name]


def read_file(kind: str, path: Path) -> tuple[dict[str, str], Callable[[Tensor], Tensor]]:
    if kind == "safetensors":
        with safetensors.safe_open(path, framework="pt") as file:
            return file.metadata(), lambda image: stylegan_lab.load(path).module.translate(image, "b2a")
    if kind == "pt2":
        extra = {"metadata.json": ""}
        program = torch.export.load(path, extra_files=extra).module()
        return json.loads(extra["metadata.json"]), program
    import onnxruntime

    session = onnxruntime.InferenceSession(str(path))
    about = session.get_modelmeta().custom_metadata_map
    return about, lambda image: torch.from_numpy(session.run(None, {"image": image.numpy()})[0])


@pytest.mark.parametrize("name", ["pix2pix", "multidomain", "stargan2", "johnson", "adain", "superres", "classes"])
def test_every_kind_of_model_becomes_one_graph(name: str, trained: Trained) -> None:
    exported = exportable(trained(name), "a2b", "unknown")
    assert export_file(exported, "pt2", Path("model.pt2")) < 1e-4
    assert (name in ("pix2pix", "stargan2")) == bool(exported.notes)


def test_batch_norms_of_training_mode_become_those_of_each_image(trained: Trained) -> None:
    """pix2pix normalizes with the statistics of the image. Without dropout, the export equals the model."""
    model = trained("pix2pix")
    for layer in model.module.modules():
        if isinstance(layer, torch.nn.Dropout):
            layer.p = 0.0
    exported = exportable(model, "a2b", "unknown")
    images = exported.examples[0][0]
    assert exported.module is not None
    torch.testing.assert_close(exported.module(images), model.module.translate(images), rtol=0, atol=1e-5)


def test_a_model_of_several_random_steps_is_refused_as_a_graph_and_keeps_its_weights(
    trained: Trained, capsys: pytest.CaptureFixture[str]
) -> None:
    path = trained("unsb").path
    assert run(["export", path, "model.pt2"]) == 2 and not Path("model.pt2").exists()
    assert "safetensors" in capsys.readouterr().err
    assert run(["export", path, "model.safetensors"]) == 0
    image = torch.rand(3, 32, 32)
    assert torch.equal(stylegan_lab.load("model.safetensors").translate(image), trained("unsb").translate(image))


def test_latents_of_a_style_based_generator_become_images(trained: Trained) -> None:
    model = trained("stylegan2")
    assert run(["export", model.path, "model.safetensors"]) == 0
    again = stylegan_lab.load("model.safetensors")
    assert again.generate(1, seed=5)[0].tobytes() == model.generate(1, seed=5)[0].tobytes()


def test_a_file_that_differs_from_the_model_is_not_written(trained: Trained, monkeypatch: pytest.MonkeyPatch) -> None:
    exported = exportable(trained("cyclegan"), "a2b", "unknown")
    assert max_difference(exported, lambda inputs: exported.reference(*inputs), exported.examples) == 0

    def broken(exported: Any, path: Path) -> Any:
        path.write_text("x")
        return lambda inputs: exported.reference(*inputs) + 0.01

    monkeypatch.setitem(FORMATS, "pt2", broken)
    Path("model.pt2").write_text("old")
    with pytest.raises(UserError):
        export_file(exported, "pt2", Path("model.pt2"))
    assert Path("model.pt2").read_text() == "old" and [each.name for each in Path().iterdir()] == ["model.pt2"]


@needs_onnx
def test_an_onnx_file_translates_images_of_any_size(trained: Trained, monkeypatch: pytest.MonkeyPatch) -> None:
    path = trained("cyclegan").path
    write_image(torch.rand(3, 45, 70) * 2 - 1, Path("photo.png"))
    assert run(["export", path, "model.onnx"]) == 0
    for model, out in ((path, "run.png"), ("model.onnx", "onnx.png")):
        assert run(["translate", model, "photo.png", out]) == 0
    difference = read_image(Path("run.png")) - read_image(Path("onnx.png"))
    assert difference.shape == (3, 45, 70) and difference.abs().max() <= 2 / 255 + 1e-6
    monkeypatch.setattr(image_translator, "WHOLE_PIXELS", {"cpu": 100})
    assert run(["translate", "model.onnx", "photo.png", "tiles.png"]) == 0
    assert read_image(Path("tiles.png")).shape == (3, 45, 70)
    assert run(["translate", "model.onnx", "photo.png", "out.png", "--direction", "b2a"]) == 2
    Path("other.onnx").write_bytes(b"no model")
    assert run(["translate", "other.onnx", "photo.png", "out.png"]) == 2


def test_missing_packages_are_named_with_their_extra(
    trained: Trained, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setitem(sys.modules, "onnxscript", None)
    assert run(["export", trained("cyclegan").path, "model.onnx"]) == 2
    assert "stylegan_lab[export]" in capsys.readouterr().err and not Path("model.onnx").exists()


def test_the_hub_folder_has_weights_config_and_a_card(trained: Trained, monkeypatch: pytest.MonkeyPatch) -> None:
    path = Path(trained("cyclegan").path)
    scores = {
        "split": "test",
        "iteration": 1,
        "metrics": {"fid": 12.345},
        "protocol": {"fid": "pool3"},
        "better": {"fid": "lower"},
    }
    (path / "scores.json").write_text(json.dumps(scores))
    calls: list[tuple[str, Any]] = []
    api = SimpleNamespace(
        create_repo=lambda name, **options: calls.append(("create", name)),
        upload_folder=lambda **options: calls.append(("upload", Path(options["folder_path"]).name)),
    )
    hub = ModuleType("huggingface_hub")
    hub.HfApi = lambda: api  # type: ignore[attr-defined]
    monkeypatch.setitem(sys.modules, "huggingface_hub", hub)
    assert run(["export", str(path), "card", "--license", "mit", "--push", "me/model"]) == 0
    assert calls == [("create", "me/model"), ("upload", "card")]
    card = Path("card/README.md").read_text()
    assert card.startswith("---\nlicense: mit\n") and "12.35" in card and "pool3" in card
    assert {each.name for each in Path("card").iterdir()} == {
        "README.md",
        "config.json",
        "model.safetensors",
        "samples.png",
    }
    assert str(path.parent) not in card + Path("card/config.json").read_text()
    model = stylegan_lab.load("card/model.safetensors")
    image = torch.rand(3, 32, 32)
    assert torch.equal(model.translate(image), trained("cyclegan").translate(image))


def test_damaged_weights_are_refused(trained: Trained) -> None:
    Path("model.safetensors").write_bytes(b"no weights")
    for name in ("model.safetensors", "missing.safetensors"):
        with pytest.raises(UserError, match=name):
            stylegan_lab.load(name)
    assert run(["export", trained("cyclegan").path, "model.xyz"]) == 2
    assert formats.TOLERANCE < 1 / 255
