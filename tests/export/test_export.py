"""Exports: each file gives the model's images at any size, says where it comes from, and is written whole or not at all."""

import base64
import importlib.util
import json
import shutil
import sys
import threading
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from functools import cache
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

import pytest
import safetensors
import torch
from torch import Tensor

import stylegan_lab
from stylegan_lab import LoadedModel
from stylegan_lab.cli.main import run
from stylegan_lab.config.compose import compose_config
from stylegan_lab.export import formats
from stylegan_lab.export.exportable import exportable
from stylegan_lab.export.formats import FORMATS, export_file, max_difference
from stylegan_lab.images.image_io import read_image, write_image
from stylegan_lab.models.base import BaseModel
from stylegan_lab.training import image_translator
from stylegan_lab.training.experiment import build_module
from stylegan_lab.training.image_translator import ModelTranslator
from tests.importing.restated import ResNet, UNet, randomize
from tests.refusals import assert_refused, refused

SMALL = ["logger=none", "evaluate=false", "iterations=1", "callbacks.validation=null"]
# Small, as tracing takes about a second for each norm. Together they have each kind of norm and of resampling.
MODELS = {
    "cyclegan": ["experiment=smoke", "generator.blocks=0", "generator.n_downsample=1", "generator.down=antialiased",
                 "generator.up=antialiased"],
    "pix2pix": ["experiment=smoke", "model=pix2pix", "generator.channels=2", "generator.n_downsample=1", "generator.norm=batch",
                "generator.dropout=0.5"],
    "multidomain": ["experiment=smoke", "model=multidomain", "data=scenes_domains", "generator.channels=2", "generator.blocks=0",
                    "generator.n_downsample=1", "generator.up=resize"],
    "stargan2": ["experiment=smoke", "model=stargan2", "data=scenes_domains", "generator=stargan2_small", "generator.channels=2",
                 "generator.max_channels=4", "generator.n_downsample=1"],
    "unsb": ["experiment=smoke", "model=unsb", "generator=unsb_tiny", "discriminator=unsb_tiny"],
    "johnson": ["experiment=smoke", "model=johnson", "generator=fast_neural_style", "generator.channels=2", "generator.blocks=1"],
    "adain": ["experiment=smoke", "model=adain", "generator=adain_decoder", "generator.width=0.1"],
    "superres": ["experiment=smoke", "data=scenes_superres", "model=perceptual", "model.paired=true", "generator=srresnet_small",
                 "generator.channels=2", "generator.blocks=1"],
    "classes": ["experiment=smoke_generation", "data=scenes_labelled", "data.size=16", "model=cgan",
                "model.classes=${data.classes}"],
    "stylegan2": ["experiment=smoke_generation", "model=stylegan2", "generator=stylegan2_small", "data.size=16",
                  "generator.mapping_layers=1", "discriminator=stylegan2_small", "loss=stylegan2"],
}  # fmt: skip
PRESENT = [name for name in ("onnx", "onnxscript", "onnxruntime") if importlib.util.find_spec(name)]
ONNX = ["onnx"] if len(PRESENT) == 3 else []
needs_onnx = pytest.mark.skipif(not ONNX, reason="needs the extra `export`: onnx, onnxscript, onnxruntime")
TRAINED = {"cyclegan", "unsb", "stylegan2"}  # for the others, a training adds nothing that an export uses
Models = Callable[[str], LoadedModel]


@pytest.fixture(scope="module")
def trained(tmp_path_factory: pytest.TempPathFactory) -> Models:
    """Models by their names in MODELS. Some are trained for an iteration."""
    folder = tmp_path_factory.mktemp("trained")

    @cache
    def load(name: str) -> LoadedModel:
        if name not in TRAINED:
            return build([*MODELS[name], *SMALL])
        return stylegan_lab.load(stylegan_lab.train(*MODELS[name], *SMALL, f"output_dir={folder / name}"))

    return load


def build(overrides: list[str]) -> LoadedModel:
    config = compose_config(overrides)
    module = build_module(config)
    assert isinstance(module, BaseModel)
    return LoadedModel(module.eval().requires_grad_(False), config, "model")


@pytest.fixture(scope="module")
def exported_files(trained: Models, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with the exports of cyclegan's direction b2a in each format."""
    folder = tmp_path_factory.mktemp("exported") / "new"
    for kind in ("safetensors", "pt2", *ONNX):
        about = ["--license", "cc-by-4.0", "--direction", "b2a"]
        assert run(["export", trained("cyclegan").path, str(folder / f"model.{kind}"), *about]) == 0
    return folder


def test_files_are_written_without_others(exported_files: Path) -> None:
    assert {each.name for each in exported_files.iterdir()} == {
        f"model.{kind}" for kind in ("safetensors", "pt2", *ONNX)
    }


@pytest.mark.parametrize("kind", ["safetensors", "pt2", pytest.param("onnx", marks=needs_onnx)])
def test_files_have_the_outputs_and_the_description_of_the_model(
    kind: str, trained: Models, exported_files: Path
) -> None:
    model = trained("cyclegan")
    about, output = read_file(kind, exported_files / f"model.{kind}")
    assert about["license"] == "cc-by-4.0" and about["direction"] == "b2a" and about["model"] == "CycleGAN"
    assert json.loads(about["config"])["model"]["cycle_weight"] == 10 and about["multiple_of"] == "2"
    image = torch.rand(3, 3, 40, 64) * 2 - 1
    expected = torch.cat([model.module.translate(each, "b2a") for each in image.split(1)])
    torch.testing.assert_close(output(image), expected, rtol=0, atol=1e-4)


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


GRAPHS = ["pix2pix", "multidomain", "stargan2", "johnson", "adain", "superres", "classes", "stylegan2"]


@pytest.mark.parametrize("name", GRAPHS)
def test_every_kind_of_model_becomes_one_graph(name: str, trained: Models, monkeypatch: pytest.MonkeyPatch) -> None:
    """Parity is checked with examples that differ in batch size, height and width, and in ONNX also with the smallest image: one
    multiple, which torch.export alone would refuse."""
    model = trained(name)
    exported = exportable(model, "a2b", "unknown")
    assert (name in ("pix2pix", "stargan2")) == bool(exported.notes)
    shapes = [inputs[0].shape for inputs in exported.examples]
    assert all(len({shape[axis] for shape in shapes}) == 2 for axis in ((0, 2, 3) if len(shapes[0]) == 4 else (0,)))
    assert (exported.smallest is None) == (name in ("classes", "stylegan2")), "images from noise have one size"
    if exported.smallest is not None:
        assert exported.smallest[0].shape[2] == int(exported.metadata["min_size"])
        assert exported.smallest[0].shape[2] == ModelTranslator(model.module).smallest
    program = formats.trace(exported)
    assert not any("discriminator" in name for name in program.state_dict)
    monkeypatch.setattr(formats, "trace", lambda _: program)  # both formats are made of it
    for kind in ("pt2", *ONNX):
        file = Path(f"model.{kind}")
        assert export_file(exported, kind, file) < 1e-4
        assert str(Path(stylegan_lab.__file__).parent).encode() not in file.read_bytes()  # no paths of this machine


@pytest.mark.parametrize(
    "network", [ResNet(blocks=1, levels=1, up="nearest"), UNet(3, norm="instance")], ids=["ResNet", "U-Net"]
)
@pytest.mark.parametrize("kind", ["safetensors", pytest.param("onnx", marks=needs_onnx)])
def test_an_imported_network_translates_the_same_after_it_is_exported(kind: str, network: torch.nn.Module) -> None:
    torch.save(randomize(network).state_dict(), "net.pth")
    assert run(["import", "net.pth", "--output", "run", "discriminator.channels=2"]) == 0
    assert run(["export", "run", f"model.{kind}"]) == 0
    write_image(torch.rand(3, 27, 30, generator=torch.Generator().manual_seed(0)) * 2 - 1, Path("photo.png"))
    for model, out in (("run", "run.png"), (f"model.{kind}", "exported.png")):
        assert run(["translate", model, "photo.png", out]) == 0
    images = [read_image(Path(name)) for name in ("run.png", "exported.png")]
    assert images[0].std() > 0.05
    assert (images[0] - images[1]).abs().max() <= (0 if kind == "safetensors" else 2 / 255 + 1e-6)  # one level


@needs_onnx
def test_onnx_files_of_other_programs_are_refused(trained: Models, capsys: pytest.CaptureFixture[str]) -> None:
    write_image(torch.zeros(3, 32, 32), Path("photo.png"))
    write_onnx(Path("other.onnx"), {})
    write_onnx(Path("noise.onnx"), exportable(trained("stylegan2"), "", "unknown").metadata)
    for file in ("other.onnx", "noise.onnx"):
        assert run(["translate", file, "photo.png", "out.png"]) == 2
        assert_refused(capsys.readouterr().err, "export.not_an_export", file, "stylegan-lab export")
        assert not Path("out.png").exists()


def write_onnx(path: Path, metadata: Mapping[str, str]) -> None:
    """Write a model that returns its image, in a version of the format that all releases of ONNX Runtime read."""
    import onnx
    from onnx import helper

    image, output = (
        helper.make_tensor_value_info(name, onnx.TensorProto.FLOAT, [1, 3, 32, 32]) for name in ("image", "output")
    )
    graph = helper.make_graph([helper.make_node("Identity", ["image"], ["output"])], "graph", [image], [output])
    model = helper.make_model(graph, ir_version=10, opset_imports=[helper.make_opsetid("", 18)])
    helper.set_model_props(model, dict(metadata))
    onnx.save(model, path)


def test_batch_norms_of_training_mode_become_those_of_each_image() -> None:
    """pix2pix normalizes with the statistics of the image. Without dropout, the export equals the model."""
    model = build([*MODELS["pix2pix"], *SMALL])
    for layer in model.module.modules():
        if isinstance(layer, torch.nn.Dropout):
            layer.p = 0.0
    exported = exportable(model, "a2b", "unknown")
    images = exported.examples[0][0]
    assert exported.module is not None
    torch.testing.assert_close(exported.module(images), model.module.translate(images), rtol=0, atol=1e-5)


def test_a_model_of_several_random_steps_is_refused_as_a_graph_and_keeps_its_weights(
    trained: Models, capsys: pytest.CaptureFixture[str]
) -> None:
    path = trained("unsb").path
    assert run(["export", path, "model.pt2"]) == 2 and not Path("model.pt2").exists()
    assert_refused(capsys.readouterr().err, "export.several_steps", "--to safetensors")
    assert run(["export", path, "model.safetensors"]) == 0
    image = torch.rand(3, 32, 32)
    assert torch.equal(stylegan_lab.load("model.safetensors").translate(image), trained("unsb").translate(image))


def test_latents_of_a_style_based_generator_become_images(trained: Models) -> None:
    model = trained("stylegan2")
    assert run(["export", model.path, "model.safetensors"]) == 0
    again = stylegan_lab.load("model.safetensors")
    assert again.generate(1, seed=5)[0].tobytes() == model.generate(1, seed=5)[0].tobytes()


def test_a_file_that_differs_from_the_model_is_not_written(trained: Models, monkeypatch: pytest.MonkeyPatch) -> None:
    exported = exportable(trained("cyclegan"), "a2b", "unknown")
    assert max_difference(exported, lambda inputs: exported.reference(*inputs), exported.examples) == 0

    def broken(exported: Any, path: Path) -> Any:
        path.write_text("x")
        return lambda inputs: exported.reference(*inputs) + 0.01

    monkeypatch.setitem(FORMATS, "pt2", broken)
    Path("model.pt2").write_text("old")
    with refused("export.outputs_differ", "model.pt2"):
        export_file(exported, "pt2", Path("model.pt2"))
    assert Path("model.pt2").read_text() == "old" and [each.name for each in Path().iterdir()] == ["model.pt2"]


@needs_onnx
def test_an_onnx_file_translates_images_of_any_size(
    trained: Models, exported_files: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    path, file = trained("cyclegan").path, str(exported_files / "model.onnx")
    write_image(torch.rand(3, 45, 70) * 2 - 1, Path("photo.png"))
    assert run(["translate", path, "photo.png", "run.png", "--direction", "b2a"]) == 0
    assert run(["translate", file, "photo.png", "onnx.png"]) == 0
    difference = read_image(Path("run.png")) - read_image(Path("onnx.png"))
    assert difference.shape == (3, 45, 70) and difference.abs().max() <= 2 / 255 + 1e-6
    monkeypatch.setattr(image_translator, "WHOLE_PIXELS", {"cpu": 100})
    assert run(["translate", file, "photo.png", "tiles.png"]) == 0
    assert read_image(Path("tiles.png")).shape == (3, 45, 70)
    assert run(["translate", file, "photo.png", "out.png", "--direction", "a2b"]) == 2
    Path("other.onnx").write_bytes(b"no model")
    capsys.readouterr()
    assert run(["translate", "other.onnx", "photo.png", "out.png"]) == 2
    assert_refused(capsys.readouterr().err, "export.unreadable", "other.onnx")


def test_missing_packages_are_named_with_their_extra(
    trained: Models, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setitem(sys.modules, "onnxscript", None)
    assert run(["export", trained("cyclegan").path, "model.onnx"]) == 2
    assert_refused(capsys.readouterr().err, "export.package_missing", "onnxscript", "stylegan_lab[export]")
    assert not Path("model.onnx").exists()


def test_the_hub_folder_has_weights_config_and_a_card(trained: Models) -> None:
    path = Path(trained("cyclegan").path)
    scores = {
        "split": "test",
        "iteration": 1,
        "metrics": {"fid": 12.345},
        "protocol": {"fid": "pool3"},
        "better": {"fid": "lower"},
    }
    (path / "scores.json").write_text(json.dumps(scores))
    assert run(["export", str(path), "card", "--license", "mit"]) == 0
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


class Hub:
    """What `--push` uses of the hub's HTTP API. `committed` are the files it was sent; `status` refuses new repositories."""

    def __init__(self) -> None:
        self.committed: dict[str, bytes] = {}
        self.status = 200
        self.tokens: set[str | None] = set()

    def answer(self, path: str, body: bytes) -> tuple[int, Any]:
        match path.split("?")[0].split("/")[1:]:
            case ["api", "repos", "create"]:
                about = json.loads(body)
                return self.status, {"url": f"{self.url}/me/{about['name']}", "error": "no"}
            case ["api", "validate-yaml"]:
                return 200, {"errors": [], "warnings": []}
            case ["api", "models", "me", "model", "preupload", "main"]:
                files = [each["path"] for each in json.loads(body)["files"]]
                return 200, {
                    "files": [{"path": each, "uploadMode": "regular", "shouldIgnore": False} for each in files]
                }
            case ["api", "models", "me", "model", "commit", "main"]:
                for line in map(json.loads, body.splitlines()):
                    if line["key"] == "file":
                        self.committed[line["value"]["path"]] = base64.b64decode(line["value"]["content"])
                return 200, {"commitUrl": f"{self.url}/me/model/commit/1", "commitOid": "1"}
        return 404, {"error": f"{path} is not used"}

    @contextmanager
    def running(self) -> Iterator["Hub"]:
        hub = self

        class Handler(BaseHTTPRequestHandler):
            def do_POST(self) -> None:
                hub.tokens.add(self.headers.get("Authorization"))
                status, answer = hub.answer(self.path, self.rfile.read(int(self.headers["Content-Length"])))
                content = json.dumps(answer).encode()
                self.send_response(status)
                self.send_header("Content-Type", "application/json")
                self.send_header("Content-Length", str(len(content)))
                self.end_headers()
                self.wfile.write(content)

            def log_message(self, *_: Any) -> None:
                pass

        with ThreadingHTTPServer(("127.0.0.1", 0), Handler) as server:
            server.daemon_threads = True
            self.url = f"http://127.0.0.1:{server.server_port}"
            threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.01}, daemon=True).start()
            yield self
            server.shutdown()


@pytest.fixture
def hub(monkeypatch: pytest.MonkeyPatch) -> Iterator[Hub]:
    constants = pytest.importorskip("huggingface_hub.constants")
    with Hub().running() as running:
        monkeypatch.setattr(constants, "ENDPOINT", running.url)
        monkeypatch.setattr(constants, "HF_HUB_OFFLINE", False)
        monkeypatch.setenv("HF_TOKEN", "hf_token")
        yield running


def test_the_folder_is_uploaded_to_the_hub(trained: Models, hub: Hub, capsys: pytest.CaptureFixture[str]) -> None:
    Path("card").mkdir()
    for name in ("samples.png", "notes.txt"):
        Path("card", name).write_text("of something else")
    assert run(["export", trained("cyclegan").path, "card", "--push", "me/model"]) == 0
    assert f"pushed     {hub.url}/me/model" in capsys.readouterr().out and hub.tokens == {"Bearer hf_token"}
    written = {each.name: each.read_bytes() for each in Path("card").iterdir()}
    assert written.pop("notes.txt") == b"of something else" and hub.committed == written


def test_samples_of_an_earlier_export_are_not_left(trained: Models) -> None:
    shutil.copytree(trained("cyclegan").path, "run")
    for name in ("first", "second"):
        assert run(["export", "run", "card", "--to", "hub"]) == 0
        assert Path("card/samples.png").exists() is (name == "first")
        shutil.rmtree("run/samples", ignore_errors=True)


@pytest.mark.parametrize(
    ("problem", "code", "advice"),
    [
        ("login", "export.hub_login_missing", "hf auth login"),
        ("rights", "export.hub_not_allowed", "token that may write"),
        ("network", "export.hub_unreachable", "network"),
        ("offline", "export.hub_offline", "HF_HUB_OFFLINE"),
        ("name", "export.hub_invalid_name", "me/ukiyoe"),
    ],
)
def test_an_upload_that_fails_says_what_to_do_and_keeps_the_folder(
    problem: str,
    code: str,
    advice: str,
    trained: Models,
    hub: Hub,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    from huggingface_hub import constants

    hub.status = {"login": 401, "rights": 403}.get(problem, 200)
    if problem == "network":
        monkeypatch.setattr(constants, "ENDPOINT", "http://127.0.0.1:9")
    monkeypatch.setattr(constants, "HF_HUB_OFFLINE", problem == "offline")
    name = "a/b/c" if problem == "name" else "me/model"
    assert run(["export", trained("cyclegan").path, "card", "--push", name]) == 2
    said = " ".join(capsys.readouterr().err.split())
    assert_refused(said, code, f"--push {name}", advice)
    assert "Traceback" not in said
    assert Path("card/model.safetensors").exists() and not hub.committed


def test_damaged_weights_are_refused(trained: Models) -> None:
    Path("model.safetensors").write_bytes(b"no weights")
    for name, code in {"model.safetensors": "export.unreadable", "missing.safetensors": "export.not_found"}.items():
        with refused(code, name):
            stylegan_lab.load(name)
    assert run(["export", trained("cyclegan").path, "model.xyz"]) == 2
    assert formats.TOLERANCE < 1 / 255
