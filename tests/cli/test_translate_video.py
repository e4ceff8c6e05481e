"""`translate` of videos: every frame is translated as an image would be."""

from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from PIL import Image
from torch import Tensor

pytest.importorskip("av")

from stylegan_lab.cli.main import run
from stylegan_lab.cli.translate_files import list_files
from stylegan_lab.images.image_io import read_image
from stylegan_lab.images.steady import Steadier
from tests.cli.test_translate import COMMANDS, RESNET, SUPERRES
from tests.images.clips import colors, read_colors, read_times, sound_packets, write_clip, write_gif
from tests.refusals import assert_refused, refused

MODELS = {
    "cyclegan": (COMMANDS["cyclegan"], ["--direction", "b2a"]),
    "pix2pix": (COMMANDS["pix2pix"], []),
    "stargan2": (COMMANDS["stargan2"], ["--to", "ink", "--seed", "3", "--batch-size", "2"]),
    "unsb": (COMMANDS["unsb"], ["--seed", "3"]),
    "adain": (COMMANDS["adain"], ["--reference", "style.png"]),
    "superres": ([*RESNET, *SUPERRES, "data.factor=2"], []),
}


@pytest.mark.parametrize("model", MODELS)
def test_every_frame_is_translated_as_an_image(train_once: Callable[..., None], model: str) -> None:
    """The frames of a still video stay equal too, since a model that draws random numbers draws the same for each."""
    training, options = MODELS[model]
    train_once(*training)
    Image.linear_gradient("L").convert("RGB").save("style.png")
    Image.fromarray(colors(1)[0]).save("frame.png")
    write_clip(Path("clip.mp4"), [colors(1)[0]] * 3, sound=True)
    assert run(["translate", "run", "clip.mp4", "out.mp4", *options]) == 0
    assert run(["translate", "run", "frame.png", "out.png", *options]) == 0
    assert read_times(Path("out.mp4")) == read_times(Path("clip.mp4"))
    assert sound_packets(Path("out.mp4")) == sound_packets(Path("clip.mp4")) != []
    image = (read_image(Path("out.png")).permute(1, 2, 0).numpy() + 1) * 127.5
    # what 4:2:0 keeps: averages of two by two pixels
    means = [each.reshape(len(each) // 2, 2, -1, 2, 3).mean((1, 3)) for each in (image, *read_colors(Path("out.mp4")))]
    assert len(means) == 4 and all(np.abs(each - means[0]).mean() < 12 for each in means[1:])
    assert all(np.abs(each - means[1]).mean() < 2 for each in means[2:])


def test_a_batch_of_frames_on_a_cpu_has_few_pixels(
    train_once: Callable[..., None], monkeypatch: pytest.MonkeyPatch
) -> None:
    train_once(*RESNET)
    write_clip(Path("clip.mp4"), colors(5))
    sizes: list[int] = []

    def translate(translator: Callable[..., Tensor], frames: Tensor, *_: Any) -> Tensor:
        sizes.append(len(frames))
        return translator(frames)

    monkeypatch.setattr("stylegan_lab.cli.translate.translate_at_size", translate)
    monkeypatch.setattr("stylegan_lab.cli.translate.CPU_BATCH_PIXELS", 2 * 24 * 32)
    monkeypatch.setattr("stylegan_lab.training.loaded_model.default_device", lambda: torch.device("cpu"))
    assert run(["translate", "run", "clip.mp4", "out.mp4"]) == 0
    assert run(["translate", "run", "clip.mp4", "out.mp4", "--batch-size", "4"]) == 0
    assert sizes == [2, 2, 1, 4, 1]


def test_exports_translate_videos_too(train_once: Callable[..., None]) -> None:
    pytest.importorskip("onnxruntime")
    pytest.importorskip("onnxscript")
    train_once(*RESNET, "generator.blocks=0", "generator.n_downsample=1", "generator.norm=none")  # a small ONNX graph
    write_clip(Path("clip.mp4"), colors(3))
    for name in ("run", "model.safetensors", "model.onnx"):
        assert name == "run" or run(["export", "run", name]) == 0
        assert run(["translate", name, "clip.mp4", f"{name}.mp4"]) == 0
    of_run, *others = (read_colors(Path(f"{name}.mp4")) for name in ("run", "model.safetensors", "model.onnx"))
    for frames in others:
        assert np.abs(np.array(frames, int) - np.array(of_run, int)).mean() < 1


def test_folders_hold_images_and_videos_and_what_fails_is_listed(
    train_once: Callable[..., None], capsys: pytest.CaptureFixture[str]
) -> None:
    train_once(*RESNET)
    Path("in/sub").mkdir(parents=True)
    Image.new("RGB", (32, 32)).save("in/a.png")
    Image.new("RGB", (32, 32)).save("in/still.gif")
    write_gif(Path("in/moving.gif"), [100, 50], 0)
    clip = write_clip(Path("in/sub/clip.mp4"), colors(3))
    Path("in/broken.mp4").write_bytes(clip.read_bytes()[:-200])
    assert run(["translate", "run", "in", "out"]) == 2
    assert_refused(capsys.readouterr().err, "video.truncated", "in/broken.mp4", "4 of 5 are translated")
    written = sorted(str(path.relative_to("out")) for path in Path("out").rglob("*") if path.is_file())
    assert written == ["a.png", "moving.gif", "still.png", "sub/clip.mp4"]
    assert run(["translate", "run", "in/**/*.mp4", "in/*.gif", "more"]) == 2
    assert sorted(path.name for path in Path("more").iterdir()) == ["clip.mp4", "moving.gif", "still.png"]


@pytest.mark.parametrize(
    ("source", "target", "code"),
    [
        ("clip.mp4", "out.png", "translate.wrong_output_type"),
        ("clip.mp4", "-", "translate.wrong_output_type"),
        ("photo.png", "out.mp4", "translate.wrong_output_type"),
        ("clip.mp4", "clip.mp4", "translate.output_is_input"),
        ("clip.mp4", ".", "translate.output_is_input"),
    ],
)
def test_an_input_and_its_output_are_of_one_kind(source: str, target: str, code: str) -> None:
    write_clip(Path("clip.mp4"), colors(2))
    Image.new("RGB", (8, 8)).save("photo.png")
    with refused(code, source):
        list_files([source], target)


def test_a_moving_gif_becomes_a_video_or_its_first_image() -> None:
    gif = str(write_gif(Path("in.gif"), [100, 50], 0))
    assert [each.is_video for target in ("out.mp4", "out.gif", "out") for each in list_files([gif], target)] == [
        True
    ] * 3
    assert [each.is_video for each in list_files([gif], "out.png")] == [False]


def test_steady_reduces_flicker_and_checks_its_strength(
    train_once: Callable[..., None], capsys: pytest.CaptureFixture[str]
) -> None:
    train_once(*RESNET)
    rng = np.random.default_rng(0)
    noisy = [np.clip(colors(1)[0] + rng.normal(0, 6, (24, 32, 3)), 0, 255).astype(np.uint8) for _ in range(8)]
    write_clip(Path("clip.mp4"), noisy)
    for name, options in {"plain.mp4": [], "steady.mp4": ["--steady"], "more.mp4": ["--steady", "0.9"]}.items():
        assert run(["translate", "run", "clip.mp4", name, *options]) == 0
    plain, steady, more = (np.array(read_colors(Path(name)), int) for name in ("plain.mp4", "steady.mp4", "more.mp4"))
    changes = [np.abs(np.diff(each[2:], axis=0)).mean() for each in (plain, steady, more)]
    assert max(changes[1:]) < 0.75 * changes[0]  # H.264 adds flicker of its own
    for wrong in ("1", "-0.5"):
        assert run(["translate", "run", "clip.mp4", "out.mp4", f"--steady={wrong}"]) == 2
        assert_refused(capsys.readouterr().err, "cli.out_of_range", f"--steady={wrong}")
        assert not Path("out.mp4").exists()


def test_an_interrupted_translation_leaves_nothing(
    train_once: Callable[..., None], monkeypatch: pytest.MonkeyPatch
) -> None:
    train_once(*RESNET)
    write_clip(Path("clip.mp4"), colors(20), sound=True)

    def interrupted(*_: object) -> None:
        raise KeyboardInterrupt

    monkeypatch.setattr(Steadier, "__call__", interrupted)
    assert run(["translate", "run", "clip.mp4", "out", "--steady"]) == 130
    assert list(Path("out").iterdir()) == []


def test_halves_are_for_images(capsys: pytest.CaptureFixture[str]) -> None:
    write_clip(Path("clip.mp4"), colors(2))
    assert run(["translate", "run", "clip.mp4", "out.mp4", "--half", "left"]) == 2
    assert_refused(capsys.readouterr().err, "translate.half_of_video", "--half left", "clip.mp4")
