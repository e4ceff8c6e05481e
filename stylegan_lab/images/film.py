"""Films: pictures one after the other in a .gif, or in an .mp4 where ffmpeg is installed."""

import shutil
import subprocess
from collections.abc import Iterable
from pathlib import Path
from tempfile import TemporaryDirectory

from torch import Tensor

from stylegan_lab.images.write import as_picture, write_picture
from stylegan_lab.mistake import Mistake

FILMS = (".gif", ".mp4")


def write_film(frames: Iterable[Tensor], path: Path, per_second: int) -> Path:
    """Images (C, H, W) in [-1, 1]; it goes on from its beginning."""
    path.parent.mkdir(parents=True, exist_ok=True)
    (_write_mp4 if path.suffix.lower() == ".mp4" else _write_gif)(frames, path, per_second)
    return path


def _write_gif(frames: Iterable[Tensor], path: Path, per_second: int) -> None:
    first, *rest = [as_picture(frame) for frame in frames]
    partial = path.with_name(f".{path.name}.gif")
    first.save(partial, save_all=True, append_images=rest, duration=1000 // per_second, loop=0)
    partial.replace(path)


def _write_mp4(frames: Iterable[Tensor], path: Path, per_second: int) -> None:
    if (ffmpeg := shutil.which("ffmpeg")) is None:
        raise Mistake(f"{path}: writing .mp4 takes the program ffmpeg, which is not installed; a .gif needs nothing")
    with TemporaryDirectory(dir=path.parent) as folder:
        for number, frame in enumerate(frames):
            write_picture(frame, Path(folder) / f"{number:06d}.png")
        film = Path(folder) / "film.mp4"
        even = "scale=trunc(iw/2)*2:trunc(ih/2)*2"
        command = [ffmpeg, "-loglevel", "error", "-framerate", str(per_second), "-i", f"{folder}/%06d.png"]
        done = subprocess.run([*command, "-vf", even, "-pix_fmt", "yuv420p", str(film)], capture_output=True, text=True)
        if done.returncode:
            raise Mistake(f"{path}: ffmpeg could not write it: {done.stderr.strip().splitlines()[-1]}")
        film.replace(path)
