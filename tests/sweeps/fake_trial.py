"""Stands in for a training process: takes the same command, writes the same files, computes scores by a formula, and resumes."""

import json
import os
import signal
import sys
import time
from pathlib import Path
from typing import Any

overrides = dict(word.lstrip("+").split("=", 1) for word in sys.argv[1:] if "=" in word)
folder = Path(overrides["output_dir"])
weight, seed = float(overrides.get("model.cycle_weight", 10)), int(overrides.get("seed", 0))
max_iterations, pause = int(overrides["iterations"]), float(overrides.get("vars.pause", 0))


def stop(*_: Any) -> None:
    sys.exit(143)


signal.signal(signal.SIGTERM, stop)
if weight == 13:
    print("Traceback of something", file=sys.stderr)
    sys.exit("stylegan-lab: thirteen brings no luck")
folder.mkdir(parents=True, exist_ok=True)
metrics = folder / "metrics.jsonl"
done = len(metrics.read_text().splitlines()) if metrics.exists() else 0
(folder / "pid").write_text(str(os.getpid()))
(folder / "environment.json").write_text(
    json.dumps({name: os.environ.get(name) for name in ("CUDA_VISIBLE_DEVICES", "OMP_NUM_THREADS")})
)
with (folder / "log.txt").open("a") as log:
    log.write(f"{done} of {max_iterations} iterations are done\n")


def write_state(status: str, iteration: int) -> None:
    state = {"schema": 1, "status": status, "budget": max_iterations, "iteration": iteration, "sessions": []}
    if status == "finished":
        state |= {"monitor": "val/sliced_wasserstein", "best_score": abs(weight - 7) + seed + 1 / max_iterations}
    (folder / "run.json").write_text(json.dumps(state))


write_state("running", done)
with metrics.open("a") as rows:
    for iteration in range(done + 1, max_iterations + 1):
        time.sleep(pause)
        scores = {"val/sliced_wasserstein": abs(weight - 7) + seed + 1 / iteration, "val/edge_correlation": 1 / weight}
        rows.write(json.dumps({"iteration": iteration, "time": time.time(), "loss/g": 1.0, **scores}) + "\n")
        rows.flush()
        if weight == 17 and iteration == 2 and not done:
            os.kill(os.getpid(), signal.SIGKILL)
write_state("finished", max(done, max_iterations))
