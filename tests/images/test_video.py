"""Videos are compared as PyAV itself reads them: frames, their times, and the packets of their sound."""

import os
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
import torch
from PIL import Image
from torch import Tensor

pytest.importorskip("av")

from stylegan_lab.errors import UserError
from stylegan_lab.images.video import transform_video, write_video
from stylegan_lab.images.video_reader import VideoReader, check_complete, is_video
from tests.images.clips import av, colors, read_colors, read_times, sound_packets, write_clip, write_gif
from tests.refusals import refused

UNEVEN = [0, 0.1, 0.15, 0.4, 0.5, 1.0]  # a variable frame rate


def convert(source: Path, target: Path, transform=lambda frames: frames, max_frames: int = 4) -> list[str]:
    with VideoReader(source) as reader:
        return transform_video(reader, target, transform, max_frames, max_pixels=10**6)


@pytest.mark.parametrize("kind", [".mp4", ".mov", ".mkv", ".webm"])
def test_frames_times_and_sound_are_kept(kind: str, tmp_path: Path) -> None:
    source, target = write_clip(tmp_path / f"in{kind}", colors(6), UNEVEN, sound=True), tmp_path / f"new/out{kind}"
    assert convert(source, target) == []
    assert read_times(target) == read_times(source) and len(read_times(source)) == 6
    assert sound_packets(target) == sound_packets(source) and len(sound_packets(source)) > 10
    assert np.abs(np.array(read_colors(target), int) - np.array(read_colors(source), int)).mean() < 3
    assert [path.name for path in target.parent.iterdir()] == [target.name]


@pytest.mark.parametrize(
    ("kinds", "codecs"), [((".mp4", ".webm"), "from aac to libopus"), ((".webm", ".mov"), "from opus to aac")]
)
def test_sound_that_a_container_cannot_hold_is_encoded_again(
    kinds: tuple[str, str], codecs: str, tmp_path: Path
) -> None:
    source, target = write_clip(tmp_path / f"in{kinds[0]}", colors(12), sound=True), tmp_path / f"out{kinds[1]}"
    (note,) = convert(source, target)
    assert codecs in note and str(target) in note
    assert sound_packets(target)[-1][0] == pytest.approx(sound_packets(source)[-1][0], abs=0.03)
    assert read_times(target) == read_times(source)


def test_sound_is_copied_to_another_container(tmp_path: Path) -> None:
    source, target = write_clip(tmp_path / "in.webm", colors(12), sound=True), tmp_path / "out.mkv"
    assert convert(source, target) == []
    assert [content for _, content in sound_packets(target)] == [content for _, content in sound_packets(source)]


def test_a_gif_has_no_sound_which_is_said(tmp_path: Path) -> None:
    source, target = write_clip(tmp_path / "in.mp4", colors(3), sound=True), tmp_path / "out.gif"
    (note,) = convert(source, target)
    assert "sound" in note and read_times(target) == read_times(source)


def test_streams_that_are_left_out_are_named_once(tmp_path: Path) -> None:
    with av.open(str(tmp_path / "in.mkv"), "w") as container:
        video = container.add_stream("libx264", 10, width=32, height=24, pix_fmt="yuv420p")
        for name in ("one.txt", "two.txt"):
            container.add_attachment(name, "text/plain", b"words")
        for frame in colors(3):
            container.mux(video.encode(av.VideoFrame.from_ndarray(frame, format="rgb24")))
        container.mux(video.encode(None))
    target = tmp_path / "out.mkv"
    assert convert(tmp_path / "in.mkv", target) == [f"{target}: its attachment streams are left out"]


@pytest.mark.skipif(not Path("/proc/self/fd").exists(), reason="open files are listed as Linux does it")
def test_files_are_closed_after_an_error(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    source, batches = write_clip(tmp_path / "in.mp4", colors(9), sound=True), []

    def transform(frames: Tensor) -> Tensor:
        batches.append(frames)
        if len(batches) == 2:
            raise RuntimeError
        return frames

    def open_files() -> list[str]:
        return [str(each) for each in Path("/proc/self/fd").iterdir() if each.resolve().is_relative_to(tmp_path)]

    with pytest.raises(RuntimeError) as kept:  # with the frames of all calls
        convert(source, tmp_path / "out.mp4", transform, max_frames=1)
    assert open_files() == []
    monkeypatch.setattr("stylegan_lab.images.video_reader.pixel_limit", lambda: 10)
    with refused("video.too_many_pixels", "at most 10") as error:
        VideoReader(source)
    assert open_files() == [] and kept.tb and error.tb


def test_batches_are_limited_in_frames_and_pixels(tmp_path: Path) -> None:
    source, sizes = write_clip(tmp_path / "in.mp4", colors(7)), []

    def transform(frames: Tensor) -> Tensor:
        assert frames.shape[1:] == (3, 24, 32) and frames.dtype == torch.uint8
        sizes.append(len(frames))
        return frames

    convert(source, tmp_path / "out.mp4", transform, max_frames=3)
    with VideoReader(source) as reader:
        assert reader.num_frames == 7
        transform_video(reader, tmp_path / "out.mp4", transform, max_frames=3, max_pixels=2 * 24 * 32)
    assert sizes == [3, 3, 1, 2, 2, 2, 1]


def test_frames_may_be_enlarged_and_odd_sizes_are_padded(tmp_path: Path) -> None:
    source = write_clip(tmp_path / "in.mp4", colors(2))
    frames = []

    def enlarge(images: Tensor) -> Tensor:
        larger = images.repeat_interleave(2, 2).repeat_interleave(2, 3)[:, :, :-1, :-1]
        frames.extend(larger)
        return larger

    convert(source, tmp_path / "out.mp4", enlarge)
    first = read_colors(tmp_path / "out.mp4")[0].astype(int)
    assert first.shape == (48, 64, 3)
    assert np.abs(first[:47, :63] - frames[0].permute(1, 2, 0).numpy()).mean() < 4
    assert np.abs(first[47] - first[46]).mean() < 4 and np.abs(first[:, 63] - first[:, 62]).mean() < 4
    convert(source, tmp_path / "out.gif", enlarge)
    assert read_colors(tmp_path / "out.gif")[0].shape == (47, 63, 3)


def test_rotation_is_applied(tmp_path: Path) -> None:
    plain, turned = (
        write_clip(tmp_path / "plain.mp4", colors(2)),
        write_clip(tmp_path / "turned.mp4", colors(2), rotation=90),
    )
    convert(turned, tmp_path / "out.mp4")
    before, after = read_colors(plain)[0].astype(int), read_colors(tmp_path / "out.mp4")[0].astype(int)
    assert after.shape == (32, 24, 3) and np.abs(after - np.rot90(before)).mean() < 4  # counterclockwise
    with VideoReader(tmp_path / "out.mp4") as reader:
        assert next(reader.frames()).colors.shape == (3, 32, 24)


@pytest.mark.parametrize("tags", [
    {},
    {"colorspace": 1, "color_primaries": 1, "color_trc": 1, "color_range": 1},
    {"colorspace": 5, "color_primaries": 5, "color_trc": 6, "color_range": 2},
])  # fmt: skip
def test_color_tags_are_kept_and_obeyed(tags: dict[str, int], tmp_path: Path) -> None:
    source = write_clip(tmp_path / "in.mp4", colors(2), tags=tags)
    seen = []
    convert(source, tmp_path / "out.mp4", lambda frames: seen.extend(frames) or frames)
    assert np.abs(seen[0].permute(1, 2, 0).numpy().astype(int) - colors(1)[0]).mean() < 4
    with VideoReader(source) as before, VideoReader(tmp_path / "out.mp4") as after:
        for name in ("colorspace", "color_primaries", "color_trc", "color_range"):
            assert getattr(after.stream, name) == getattr(before.stream, name), name
        assert (next(after.frames()).colors.int() - next(before.frames()).colors.int()).abs().float().mean() < 3


@pytest.mark.parametrize("loop", [None, 0, 3])
def test_gifs_keep_times_loops_and_transparency(loop: int | None, tmp_path: Path) -> None:
    source, target = write_gif(tmp_path / "in.gif", [100, 30, 270, 70], loop, transparent=True), tmp_path / "out.gif"
    convert(source, target)
    with Image.open(source) as before, Image.open(target) as after:
        assert after.info.get("loop") == before.info.get("loop") == loop
        assert after.n_frames == before.n_frames == 4
        for index in range(4):
            before.seek(index)
            after.seek(index)
            assert after.info["duration"] == before.info["duration"]
            one, other = (np.asarray(each.convert("RGBA")).astype(int) for each in (before, after))
            assert (one[..., 3] == other[..., 3]).all() and np.abs(one - other)[..., :3][one[..., 3] > 0].mean() < 4


def test_a_gif_becomes_a_video_on_white_and_back(tmp_path: Path) -> None:
    source = write_gif(tmp_path / "in.gif", [100, 30, 270, 70], 0, transparent=True)
    convert(source, tmp_path / "out.mp4")
    assert [time for time, _ in read_times(tmp_path / "out.mp4")] == [time for time, _ in read_times(source)]
    assert read_times(tmp_path / "out.mp4")[-1] == read_times(source)[-1]
    first = read_colors(tmp_path / "out.mp4")[0]
    assert first.shape == (14, 18, 3) and first[1, 1].min() > 240 and abs(int(first[10, 10, 0]) - 250) < 12


def test_a_gif_of_a_fast_video_leaves_out_frames_and_keeps_the_time(tmp_path: Path) -> None:
    source = write_clip(tmp_path / "in.mp4", colors(25), [index / 100 for index in range(25)])
    convert(source, tmp_path / "out.gif")
    times = read_times(tmp_path / "out.gif")
    assert [float(time) for time, _ in times] == pytest.approx([index / 50 for index in range(13)])


def test_the_last_frame_of_a_gif_is_shown(tmp_path: Path) -> None:
    convert(write_clip(tmp_path / "in.mp4", colors(4), [0, 0.1, 0.197, 0.2]), tmp_path / "out.gif")
    assert [float(duration) for _, duration in read_times(tmp_path / "out.gif")] == pytest.approx([0.1, 0.1, 0.02])


def test_only_gifs_of_several_images_are_videos(tmp_path: Path) -> None:
    Image.new("RGB", (8, 8)).save(tmp_path / "still.gif")
    (tmp_path / "broken.gif").write_bytes(b"GIF8")
    moving = write_gif(tmp_path / "moving.gif", [100, 100], 0)
    assert is_video(moving) and is_video(Path("clip.MP4"))
    assert (
        not is_video(tmp_path / "still.gif") and not is_video(tmp_path / "broken.gif") and not is_video(Path("a.png"))
    )


@pytest.mark.parametrize("kind", [".mp4", ".mov", ".mkv", ".webm", ".gif"])
def test_a_video_that_is_cut_off_is_refused_wherever_it_is_cut(kind: str, tmp_path: Path) -> None:
    if kind == ".gif":
        source = write_gif(tmp_path / "whole.gif", [100] * 6, 0)
    else:
        source = write_clip(tmp_path / f"whole{kind}", colors(12), sound=True)
    check_complete(source)
    content = source.read_bytes()
    for length in (10, len(content) // 3, len(content) * 9 // 10, len(content) - 1):
        (tmp_path / f"cut{kind}").write_bytes(content[:length])
        has_header = kind == ".gif" or length > 10
        with refused("video.truncated" if has_header else "video.unknown_format", f"cut{kind}"):
            convert(tmp_path / f"cut{kind}", tmp_path / "out.mp4")
        assert not (tmp_path / "out.mp4").exists()
    source.write_bytes(content + bytes(1000))  # what cameras add
    check_complete(source)


def test_files_that_are_no_videos_are_named(tmp_path: Path) -> None:
    (tmp_path / "text.mp4").write_text("no video")
    (tmp_path / "list.mkv").write_text("#EXTM3U\n#EXT-X-TARGETDURATION:10\n#EXTINF:10,\nother.ts\n#EXT-X-ENDLIST\n")
    (tmp_path / "empty.mov").touch()
    unknown = dict.fromkeys(("text.mp4", "list.mkv", "empty.mov"), "video.unknown_format")
    for name, code in {**unknown, "absent.webm": "video.not_found"}.items():
        with refused(code, name):
            VideoReader(tmp_path / name)


@pytest.mark.parametrize("error", [KeyboardInterrupt(), UserError("video.unreadable", "broken"), RuntimeError()])
def test_what_is_interrupted_leaves_nothing(error: BaseException, tmp_path: Path) -> None:
    source, target = write_clip(tmp_path / "in.mp4", colors(9), sound=True), tmp_path / "out/out.mp4"
    batches = []

    def transform(frames: Tensor) -> Tensor:
        batches.append(frames)
        if len(batches) == 2:
            raise error
        return frames

    with pytest.raises(type(error)):
        convert(source, target, transform)
    assert list(target.parent.iterdir()) == []
    target.write_bytes(b"earlier")
    batches.clear()
    with pytest.raises(type(error)):
        convert(source, target, transform)
    assert target.read_bytes() == b"earlier" and len(list(target.parent.iterdir())) == 1


def test_a_target_that_cannot_be_written_is_named(tmp_path: Path) -> None:
    (tmp_path / "file").touch()
    with refused("video.not_writable", "out.mp4"):
        convert(write_clip(tmp_path / "in.mp4", colors(2)), tmp_path / "file" / "out.mp4")


@pytest.mark.skipif(not Path("/proc/self/status").exists(), reason="the peak is read as Linux has it")
def test_memory_does_not_grow_with_the_length(tmp_path: Path) -> None:
    """The peak of a process that converts a video of 55 MB of frames, and of one of 220 MB.

    Linux's ru_maxrss begins with the peak of the process that started it, and VmHWM does not.
    """
    peaks = []
    for count in (60, 240):
        source = write_clip(tmp_path / f"{count}.mp4", colors(2, 480, 640) * (count // 2))
        code = f"""
from pathlib import Path; from tests.images.test_video import convert
convert(Path({str(source)!r}), Path({str(tmp_path / "out.mp4")!r}), max_frames=1)
print(Path("/proc/self/status").read_text().split("VmHWM:")[1].split()[0])"""
        root = str(Path(__file__).parent.parent.parent)
        paths = os.pathsep.join([root, os.environ.get("PYTHONPATH", "")])
        done = subprocess.run(
            [sys.executable, "-c", code], env={**os.environ, "PYTHONPATH": paths}, check=True, capture_output=True
        )
        peaks.append(int(done.stdout) / 1000)
    assert peaks[1] - peaks[0] < 80


def test_without_pyav_the_extra_is_named(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    source = write_clip(tmp_path / "in.mp4", colors(2))
    monkeypatch.setitem(sys.modules, "av", None)
    with refused("video.package_missing", "in.mp4", "stylegan_lab[video]"):
        VideoReader(source)


@pytest.mark.parametrize("name", ["walk.mp4", "walk.webm", "walk.gif"])
def test_images_become_a_video(name: str, tmp_path: Path) -> None:
    frames = [torch.full((channels, 16, 16), value) for channels, value in ((3, -1.0), (3, 0.0), (1, 1.0))]
    read = read_colors(write_video(iter(frames), tmp_path / name, fps=20))
    assert [round(float(each.mean()) / 127.5) for each in read] == [0, 1, 2]
    assert [float(time) for time, _ in read_times(tmp_path / name)] == pytest.approx([0, 0.05, 0.1])
