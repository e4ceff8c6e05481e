"""Where the configs stand: beside the package in a checkout, inside it when installed."""

from pathlib import Path

PACKAGE = Path(__file__).resolve().parent
CONF = next(folder for folder in (PACKAGE.parent / "conf", PACKAGE / "conf") if (folder / "train.yaml").is_file())
BASELINES = CONF.parent / "baselines"
