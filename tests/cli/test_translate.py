"""`translate`: every image-to-image model is trained briefly and then applied."""

import errno
import io
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from types import SimpleNamespace

import numpy as np
import pytest
import torch
from PIL import Image, ImageCms

from stylegan_lab.cli.main import run
from stylegan_lab.cli.translate import batches
from stylegan_lab.cli.translate_files import TranslationFiles, list_files
from stylegan_lab.images.image_io import read_image
from stylegan_lab.images.photograph import Photograph, read_photograph
from stylegan_lab.training import image_translator
from tests.refusals import assert_refused, refused

SMALL = [
    "experiment=smoke", "logger=none", "evaluate=false", "iterations=1", "discriminator.channels=2",
    "callbacks.validation=null", "callbacks.samples=null", "output_dir=run",
]  # fmt: skip
RESNET = [*SMALL, "generator.channels=2"]
ADAIN = [*SMALL, "model=adain", "generator=adain_decoder", "generator.width=0.1"]
COMMANDS = {
    **{
        model: [*RESNET, f"model={model}"]
        for model in ("cyclegan", "pix2pix", "cut", "fastcut", "multidomain", "perceptual", "johnson")
    },
    "stargan2": [*SMALL, "model=stargan2", "generator=stargan2_small", "generator.channels=2"],
    "unsb": [*RESNET, "model=unsb", "generator=unsb_tiny", "discriminator=unsb_tiny"],
    "adain": ADAIN,
}
SUPERRES = ["model=perceptual", "model.paired=true", "data=scenes_superres", "generator=srresnet_small"]


@pytest.fixture(autouse=True)
def images() -> None:
    Image.effect_noise((50, 38), 60).convert("RGB").save("photo.png")
    Image.linear_gradient("L").convert("RGB").save("style.png")


def images_are_equal(one: str, other: str) -> bool:
    return bool((read_image(Path(one)) == read_image(Path(other))).all())


@pytest.mark.parametrize("model", COMMANDS)
def test_every_model_trains_and_translates(train_once: Callable[..., None], model: str) -> None:
    train_once(*COMMANDS[model])
    assert run(["translate", "run", "photo.png", "out.png"]) == 0
    assert read_image(Path("out.png")).shape == (3, 38, 50)


def test_unreadable_files_of_a_folder_are_skipped_and_listed(
    train_once: Callable[..., None], capsys: pytest.CaptureFixture[str]
) -> None:
    train_once(*RESNET)
    Path("in").mkdir()
    for name in ("a.png", "c.png"):
        Image.new("RGB", (32, 32)).save(Path("in") / name)
    Path("in/b.png").write_bytes(b"not an image")
    assert run(["translate", "run", "in", "out"]) == 2
    assert_refused(capsys.readouterr().err, "image.unknown_format", "in/b.png", "2 of 3 are translated")
    assert sorted(path.name for path in Path("out").iterdir()) == ["a.png", "c.png"]


def test_a_file_that_cannot_be_written_stops_the_others_only_if_the_disk_is_full(
    train_once: Callable[..., None], capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    train_once(*RESNET)
    for name in ("in", "out/b.png/folder"):
        Path(name).mkdir(parents=True)
    for name in ("a.png", "b.png", "c.png"):
        Image.new("RGB", (32, 32)).save(Path("in") / name)
    assert run(["translate", "run", "in", "out"]) == 2
    assert_refused(capsys.readouterr().err, "image.not_writable", "out/b.png", "2 of 3 are translated")
    assert Path("out/a.png").exists() and Path("out/c.png").exists()

    def no_space(_: int) -> None:
        tried.append(1)
        raise OSError(errno.ENOSPC, "No space left on device")

    tried: list[int] = []
    monkeypatch.setattr("os.fsync", no_space)
    assert run(["translate", "run", "in", "other"]) == 2
    err = capsys.readouterr().err
    assert_refused(err, "image.not_writable", "No space left")
    assert "are translated" not in err and len(tried) == 1


@pytest.mark.usefixtures("forked_processes")
def test_an_error_is_printed_without_a_traceback() -> None:
    command = [sys.executable, "-m", "stylegan_lab", "train", "data=unpaired", "data.root=nowhere", "dry_run=true"]
    done = subprocess.run(command, capture_output=True, text=True)
    assert done.returncode == 2 and len(done.stderr.splitlines()) == 1 and done.stderr.startswith("stylegan-lab: ")
    assert_refused(done.stderr, "data.folder_missing", "nowhere")


@pytest.mark.parametrize("factor", [2, 4])
def test_super_resolution_enlarges_images(factor: int, capsys: pytest.CaptureFixture[str]) -> None:
    assert run(["train", *RESNET, *SUPERRES, f"data.factor={factor}", "evaluate=true"]) == 0
    assert "untranslated" in capsys.readouterr().out
    assert run(["translate", "run", "photo.png", "out.png"]) == 0
    assert read_image(Path("out.png")).shape == (3, 38 * factor, 50 * factor)


@pytest.mark.parametrize(
    ("settings", "code", "named"),
    [
        (["generator=srresnet_small"], "model.network_mismatch", ["generator=srresnet_small", "model=cyclegan"]),
        (
            [*SUPERRES[:3], "generator=resnet_tiny"],
            "model.factor_mismatch",
            ["1 times", "data=scenes_superres", "2 times"],
        ),
        ([*SUPERRES, "generator.factor=4"], "model.factor_mismatch", ["generator.factor=2"]),
        ([*SUPERRES, "model.paired=false"], "model.pairs_needed", ["model.paired=true"]),
        ([*SUPERRES, "data.factor=3"], "data.size_not_divisible", ["data.size=32", "data.factor=3"]),
    ],
)
def test_super_resolution_needs_a_generator_that_fits_the_data(
    settings: list[str], code: str, named: list[str], capsys: pytest.CaptureFixture[str]
) -> None:
    assert run(["train", *RESNET, *settings]) == 2
    assert_refused(capsys.readouterr().err, code, *named)


def test_a_multidomain_run_translates_to_each_domain_and_follows_references(
    train_once: Callable[..., None], capsys: pytest.CaptureFixture[str]
) -> None:
    train_once(*COMMANDS["stargan2"])
    for name, options in {
        "default.png": [], "named.png": ["--to", "ukiyoe"], "ink.png": ["--to", "ink"],
        "like.png": ["--to", "ink", "--reference", "style.png"], "again.png": ["--to", "ink", "--reference", "style.png"],
    }.items():  # fmt: skip
        assert run(["translate", "run", "photo.png", name, *options]) == 0
    assert capsys.readouterr().err.count("translating to ukiyoe; other choices of --to: photo, ink, sketch") == 1
    assert images_are_equal("default.png", "named.png") and images_are_equal("like.png", "again.png")
    assert not images_are_equal("default.png", "ink.png") and not images_are_equal("ink.png", "like.png")


def test_references_need_a_model_that_can_use_them(
    train_once: Callable[..., None], capsys: pytest.CaptureFixture[str]
) -> None:
    train_once(*ADAIN)
    assert run(["translate", "run", "photo.png", "out.png", "--reference", "style.png"]) == 0
    assert run(["translate", "run", "photo.png", "out.png", "--reference", "none.png"]) == 2
    assert_refused(capsys.readouterr().err, "image.not_found", "none.png")
    train_once(*COMMANDS["multidomain"], to="other")
    assert run(["translate", "other", "photo.png", "out.png", "--reference", "style.png"]) == 2
    assert_refused(capsys.readouterr().err, "model.no_references", "MultiDomain", "model=stargan2")


def write_photos(*names: str) -> None:
    for name in names:
        Path(name).parent.mkdir(parents=True, exist_ok=True)
        Image.effect_noise((24, 20), 60).convert("RGB").save(name)


def targets(*inputs: str, out: str = "out") -> list[str]:
    return [str(each.target) for each in list_files(inputs, out)]


def test_files_folders_and_patterns_become_outputs() -> None:
    write_photos("in/a.png", "in/sub/b.jpg", "other/c.png", "d.png")
    assert targets("d.png", out="x.webp") == ["x.webp"] and targets("d.png") == ["out/d.png"]
    assert targets("in") == ["out/a.png", "out/sub/b.png"]
    assert targets("in", "other", "d.png") == ["out/in/a.png", "out/in/sub/b.png", "out/other/c.png", "out/d.png"]
    assert targets("in/**/*.jpg", "d.png") == ["out/b.png", "out/d.png"]
    assert targets("-") == ["out/stdin.png"] and targets("-", out="-") == ["None"]
    write_photos("in/out/a.png")  # an earlier output
    assert targets("in", out="in/out") == ["in/out/a.png", "in/out/sub/b.png"]


@pytest.mark.parametrize(
    ("inputs", "out", "code", "named"),
    [
        (["in"], "in", "translate.output_is_input", "in/a.png"),
        (["in/a.png", "d.png"], "d.png", "translate.output_not_a_folder", "d.png"),
        (["d.png", "in/a.png"], ".", "translate.output_is_input", "d.png"),
        (["in/a.png", "in/a.jpg"], "out", "translate.outputs_collide", "in/a.jpg"),
        (["in"], "-", "translate.output_not_a_folder", "in"),
        (["nothing.png"], "out", "image.not_found", "nothing.png"),
        (["nothing/*.png"], "out", "translate.no_input_files", "nothing/*.png"),
        (["empty"], "out", "translate.no_input_files", "empty"),
    ],
)
def test_inputs_are_never_overwritten_and_every_output_has_one_input(
    inputs: list[str], out: str, code: str, named: str
) -> None:
    write_photos("in/a.png", "in/a.jpg" if "in/a.jpg" in inputs else "d.png", "d.png")
    Path("empty").mkdir()
    with refused(code, named):
        list_files(inputs, out)


def test_images_of_one_size_are_batched_in_any_order() -> None:
    def item(name: str, height: int) -> tuple[TranslationFiles, Photograph]:
        return TranslationFiles(Path(name), None), Photograph(torch.zeros(3, height, 4))

    items = [item("a", 4), item("b", 8), item("c", 4), item("d", 8), item("e", 4)]
    assert [[each.name for each, _ in batch] for batch in batches(items, 2)] == [["a", "c"], ["b", "d"], ["e"]]
    large = [item("a", 4), item("b", 400_000), item("c", 4)]
    assert [[each.name for each, _ in batch] for batch in batches(large, 8)] == [["a"], ["b"], ["c"]]


def test_a_pipe_is_translated_like_a_file(
    train_once: Callable[..., None], monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    train_once(*RESNET)
    assert run(["translate", "run", "photo.png", "out.png"]) == 0
    written = io.BytesIO()
    monkeypatch.setattr(sys, "stdin", SimpleNamespace(buffer=io.BytesIO(Path("photo.png").read_bytes())))
    with monkeypatch.context() as patched:
        patched.setattr(sys, "stdout", SimpleNamespace(buffer=written))
        assert run(["translate", "run", "-", "-"]) == 0
    assert np.array_equal(np.asarray(Image.open(written)), np.asarray(Image.open("out.png")))
    monkeypatch.setattr(sys, "stdin", SimpleNamespace(buffer=io.BytesIO(b"no image")))
    assert run(["translate", "run", "-", "new.png"]) == 2
    assert_refused(capsys.readouterr().err, "image.unknown_format", "standard input")
    assert not Path("new.png").exists()


def test_alpha_bit_depth_profile_and_orientation_are_kept(train_once: Callable[..., None]) -> None:
    train_once(*RESNET)
    profile = ImageCms.ImageCmsProfile(ImageCms.createProfile("sRGB")).tobytes()
    image = Image.effect_noise((50, 38), 60).convert("RGB")
    image.putalpha(Image.linear_gradient("L").resize(image.size))
    exif = Image.Exif()
    exif[0x0112] = 6  # rotated
    image.save("in.png", icc_profile=profile, exif=exif)
    assert run(["translate", "run", "in.png", "out.png"]) == 0
    before, after, plain = read_photograph(Path("in.png")), read_photograph(Path("out.png")), read_image(Path("in.png"))
    assert after.colors.shape == before.colors.shape == plain.shape == (3, 50, 38) and after.icc_profile == profile
    assert after.alpha is not None and before.alpha is not None and torch.equal(after.alpha, before.alpha)
    deep = Image.fromarray((np.random.default_rng(0).random((40, 36)) * 65535).astype(np.uint16))
    deep.save("deep.png")
    assert run(["translate", "run", "deep.png", "out.png"]) == 0
    colors = read_photograph(Path("out.png")).colors
    assert colors.is_floating_point() and len(((colors + 1) * 32767.5).round().unique()) > 256 * 3


def test_a_large_image_is_translated_in_strips_with_the_same_result(
    train_once: Callable[..., None], monkeypatch: pytest.MonkeyPatch
) -> None:
    for model in ("cyclegan", "pix2pix", "multidomain", "stargan2"):
        train_once(*COMMANDS[model], to=model)
        assert run(["translate", model, "photo.png", "whole.png"]) == 0
        with monkeypatch.context() as patched:
            patched.setattr(image_translator, "WHOLE_PIXELS", {"cpu": 100})
            patched.setattr(image_translator.ImageTranslator, "_whole", None)
            assert run(["translate", model, "photo.png", "strips.png"]) == 0
        difference = read_image(Path("whole.png")) - read_image(Path("strips.png"))
        assert difference.abs().max() <= 2 / 255 + 1e-6, model  # one level, where rounding decides


def test_models_of_several_steps_translate_large_images_in_tiles(
    train_once: Callable[..., None], monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    train_once(*ADAIN)
    monkeypatch.setattr(image_translator, "WHOLE_PIXELS", {"cpu": 100})
    assert run(["translate", "run", "photo.png", "out.png"]) == 0
    assert "tiles" in capsys.readouterr().err and read_image(Path("out.png")).shape == (3, 38, 50)


def test_bf16_differs_by_rounding_in_whole_images_and_in_strips(
    train_once: Callable[..., None], monkeypatch: pytest.MonkeyPatch
) -> None:
    train_once(*RESNET)
    for name, options in {"float32.png": [], "bf16.png": ["--precision", "bf16"]}.items():
        assert run(["translate", "run", "photo.png", name, *options]) == 0
    monkeypatch.setattr(image_translator, "WHOLE_PIXELS", {"cpu": 100})
    assert run(["translate", "run", "photo.png", "strips.png", "--precision", "bf16"]) == 0
    assert not images_are_equal("float32.png", "bf16.png")
    for name in ("bf16.png", "strips.png"):
        assert (read_image(Path("float32.png")) - read_image(Path(name))).abs().mean() < 0.02


def test_a_batch_on_a_cpu_has_few_pixels() -> None:
    items = [(TranslationFiles(Path(str(index)), None), Photograph(torch.zeros(3, 4, 4))) for index in range(5)]
    assert [len(batch) for batch in batches(items, 8, pixels=40)] == [2, 2, 1]
    assert [len(batch) for batch in batches(items, 8, pixels=1)] == [1] * 5


def test_images_of_a_folder_become_the_files_of_their_names(train_once: Callable[..., None]) -> None:
    """They are read before and written after they are translated, by threads of their own."""
    train_once(*RESNET)
    Path("in").mkdir()
    for index in range(5):
        Image.effect_noise((24, 20 + index % 2), 20 * index + 5).convert("RGB").save(f"in/{index}.png")
        assert run(["translate", "run", f"in/{index}.png", f"one/{index}.png"]) == 0
    assert run(["translate", "run", "in", "out"]) == 0
    for index in range(5):  # in batches, whose rounding differs
        difference = read_image(Path(f"one/{index}.png")) - read_image(Path(f"out/{index}.png"))
        assert difference.abs().max() <= 2 / 255 + 1e-6
    Path("blocked").write_text("a file")
    assert run(["translate", "run", "in", "blocked/out"]) == 2
