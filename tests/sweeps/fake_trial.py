"""Stands in for a training: takes its command, leaves what a run leaves, scores by a formula, saves and goes on."""

import json
import os
import signal
import sys
import time
from pathlib import Path
from typing import Any

given = dict(word.lstrip("+").split("=", 1) for word in sys.argv[1:] if "=" in word)
folder = Path(given["output_dir"])
weight, seed = float(given.get("model.cycle_weight", 10)), int(given.get("seed", 0))
budget, pause = int(given["iterations"]), float(given.get("vars.pause", 0))


def leave(*_: Any) -> None:
    sys.exit(143)


signal.signal(signal.SIGTERM, leave)
if weight == 13:
    print("Traceback of something", file=sys.stderr)
    sys.exit("stylegan-lab: thirteen brings no luck")
folder.mkdir(parents=True, exist_ok=True)
record = folder / "metrics.jsonl"
played = len(record.read_text().splitlines()) if record.exists() else 0
(folder / "pid").write_text(str(os.getpid()))
(folder / "environment.json").write_text(
    json.dumps({name: os.environ.get(name) for name in ("CUDA_VISIBLE_DEVICES", "OMP_NUM_THREADS")})
)
with (folder / "log.txt").open("a") as log:
    log.write(f"{played} of {budget} iterations are played\n")
with record.open("a") as rows:
    for iteration in range(played + 1, budget + 1):
        time.sleep(pause)
        scores = {"val/sliced_wasserstein": abs(weight - 7) + seed + 1 / iteration, "val/content_kept": 1 / weight}
        rows.write(json.dumps({"iteration": iteration, "time": time.time(), "loss/g": 1.0, **scores}) + "\n")
        rows.flush()
        if weight == 17 and iteration == 2 and not played:
            os.kill(os.getpid(), signal.SIGKILL)
