"""The folders of the configs and baselines. They are next to the package in a checkout, and inside it after an installation."""

from pathlib import Path

PACKAGE = Path(__file__).resolve().parent.parent
CONF = next(folder for folder in (PACKAGE.parent / "conf", PACKAGE / "conf") if (folder / "train.yaml").is_file())
BASELINES = CONF.parent / "baselines"


def config_choices(group: str) -> dict[str, Path]:
    """Return the config files of a group, by the name of the choice and sorted by it."""
    return {path.stem: path for path in sorted((CONF / group).glob("*.yaml"))}
