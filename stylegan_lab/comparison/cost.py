"""What a run has cost: images seen, time, GPU-hours, memory; from cost.json, or from the pace it recorded."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from stylegan_lab.runs import Run


@dataclass(frozen=True)
class Cost:
    """None: nobody wrote it down."""

    images: int | None = None
    seconds: float | None = None
    gpu_hours: float | None = None
    peak_bytes: int | None = None
    hardware: str = ""


def cost_of(
    folder: Path,
    config: Mapping[str, Any],
    environment: Mapping[str, Any],
    rows: Sequence[Mapping[str, float]],
    iteration: int,
) -> Cost:
    ranks = int(environment.get("world_size") or 1)
    batch = (config.get("data") or {}).get("batch_size")
    images = iteration * batch * ranks if isinstance(batch, int) else None
    sittings = Run(folder).sittings()
    if sittings:
        peaks = [each["peak_bytes"] for each in sittings if each.get("peak_bytes")]
        return Cost(
            images,
            sum(each["seconds"] for each in sittings),
            sum(each["seconds"] * each["gpus"] for each in sittings) / 3600,
            max(peaks, default=None),
            ", ".join(dict.fromkeys(each["hardware"] for each in sittings)),
        )
    seconds = _by_pace(rows, batch * ranks) if isinstance(batch, int) else None
    gpus = environment.get("gpus") or []
    on_gpu = bool(gpus) and (config.get("strategy") or {}).get("accelerator") != "cpu"
    used = (
        f"{f'{ranks} x ' if ranks > 1 else ''}{gpus[0]}" if on_gpu else f"{environment.get('threads', '?')} CPU threads"
    )
    hours = None if seconds is None or not environment else seconds / 3600 * ranks * on_gpu
    return Cost(images, seconds, hours, None, used if environment else "")


def _by_pace(rows: Sequence[Mapping[str, float]], batch: int) -> float | None:
    """Each line of the record says how fast the iterations since the last one were played; pauses are none of it."""
    seconds, before = 0.0, 0
    for row in rows:
        if pace := row.get("images_per_second"):
            seconds += (row["iteration"] - before) * batch / pace
            before = int(row["iteration"])
    return seconds or None
