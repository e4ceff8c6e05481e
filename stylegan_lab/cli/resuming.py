"""Going on with a run: its own overrides first, the new ones after; only budget and logging may differ."""

from pathlib import Path
from typing import Any

from omegaconf import OmegaConf

from stylegan_lab.mistake import Mistake

MAY_DIFFER = ("iterations", "epochs", "images", "logger", "callbacks", "trainer", "strategy", "resume", "evaluate",
              "output_dir", "runs_dir", "name", "dry_run", "trust", "experiment")  # fmt: skip
BUDGETS = {"iterations", "epochs", "images"}


def overrides_to_resume(arguments: list[str], sweep: bool) -> list[str]:
    """The arguments, with those of the run that `resume=` or `output_dir=` points to put before them."""
    given = dict(argument.split("=", 1) for argument in arguments if "=" in argument)
    resume, output = given.get("resume", "auto" if "output_dir" in given else ""), given.get("output_dir")
    if resume in ("", "null"):
        return arguments
    if sweep:
        raise Mistake("resume= goes on with one run, and -m starts several: leave one of them out")
    if resume == "auto":
        if output is None:
            raise Mistake("resume=auto needs output_dir=FOLDER, where the run to go on with is kept")
        if not (Path(output) / "checkpoints" / "last.ckpt").is_file():
            return [argument for argument in arguments if not argument.startswith("resume=")]
        resume = output
    from stylegan_lab.runs import find_run

    run, checkpoint = find_run(resume)
    place = run.folder if checkpoint == "last" else Path(checkpoint)
    run.checkpoint(checkpoint)
    asked = (run.folder / "overrides.txt").read_text(encoding="utf-8").splitlines()
    replaced = {_key(argument) for argument in arguments} | {"resume", "output_dir", "trust"}
    if BUDGETS & replaced:
        replaced |= BUDGETS
    kept = [override for override in asked if _key(override) not in replaced]
    mine = [argument for argument in arguments if _key(argument) not in ("resume", "output_dir")]
    return [*kept, *mine, f"resume={place}"]


def check_unchanged(run: Any, config: dict[str, Any]) -> None:
    """Refuse, by name, every difference that would make it another experiment."""
    before = OmegaConf.to_container(OmegaConf.load(run.folder / "config.yaml"))
    was, now = _flat(before), _flat(config)
    changed = [
        f"{key}={now.get(key)} (was {was.get(key)})"
        for key in sorted(was.keys() | now.keys())
        if key.split(".")[0] not in MAY_DIFFER and was.get(key) != now.get(key)
    ]
    if changed:
        raise Mistake(
            f"resume={run.folder} cannot change {', '.join(changed[:5])}{' and more' if len(changed) > 5 else ''}; "
            "only budget, logging and devices may change. Start a new run for another experiment"
        )


def _key(override: str) -> str:
    return override.split("=")[0].lstrip("+~")


def _flat(config: Any, prefix: str = "") -> dict[str, Any]:
    if not isinstance(config, dict):
        return {prefix: config}
    return {
        key: value
        for name, each in config.items()
        for key, value in _flat(each, f"{prefix}.{name}".lstrip(".")).items()
    }
