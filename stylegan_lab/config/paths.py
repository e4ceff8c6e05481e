"""The folders of the configs and baselines: next to the package in a checkout, inside it when installed."""

from pathlib import Path

PACKAGE = Path(__file__).resolve().parent.parent
CONF = next(folder for folder in (PACKAGE.parent / "conf", PACKAGE / "conf") if (folder / "train.yaml").is_file())
BASELINES = CONF.parent / "baselines"


def config_choices(group: str) -> dict[str, Path]:
    """The files of a config group by the name of the choice, sorted."""
    return {path.stem: path for path in sorted((CONF / group).glob("*.yaml"))}
