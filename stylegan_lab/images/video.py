"""Writing videos: .gif, or .mp4 where ffmpeg is installed."""

import shutil
import subprocess
from collections.abc import Iterable
from pathlib import Path
from tempfile import TemporaryDirectory

from torch import Tensor

from stylegan_lab.errors import UserError
from stylegan_lab.images.image_io import to_pil, write_image

VIDEO_SUFFIXES = (".gif", ".mp4")


def write_video(frames: Iterable[Tensor], path: Path, fps: int) -> Path:
    """Write frames (C, H, W) in [-1, 1] in the format of the suffix. A .gif plays in a loop."""
    path.parent.mkdir(parents=True, exist_ok=True)
    (_write_mp4 if path.suffix.lower() == ".mp4" else _write_gif)(frames, path, fps)
    return path


def _write_gif(frames: Iterable[Tensor], path: Path, fps: int) -> None:
    first, *rest = [to_pil(frame) for frame in frames]
    partial = path.with_name(f".{path.name}.gif")
    first.save(partial, save_all=True, append_images=rest, duration=1000 // fps, loop=0)
    partial.replace(path)


def _write_mp4(frames: Iterable[Tensor], path: Path, fps: int) -> None:
    if (ffmpeg := shutil.which("ffmpeg")) is None:
        raise UserError(
            f"{path}: .mp4 files need the program ffmpeg, which is not installed; install it, or write a .gif"
        )
    with TemporaryDirectory(dir=path.parent) as folder:
        for index, frame in enumerate(frames):
            write_image(frame, Path(folder) / f"{index:06d}.png")
        video = Path(folder) / "video.mp4"
        even_size = "scale=trunc(iw/2)*2:trunc(ih/2)*2"  # yuv420p needs it
        command = [ffmpeg, "-loglevel", "error", "-framerate", str(fps), "-i", f"{folder}/%06d.png"]
        command += ["-vf", even_size, "-pix_fmt", "yuv420p", str(video)]
        done = subprocess.run(command, capture_output=True, text=True)
        if done.returncode:
            raise UserError(f"{path}: ffmpeg failed: {done.stderr.strip().splitlines()[-1]}")
        video.replace(path)
