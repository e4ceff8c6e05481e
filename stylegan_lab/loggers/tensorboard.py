"""TensorBoard: event files under the run, for `tensorboard --logdir runs`."""

from lightning.pytorch.loggers import Logger

from stylegan_lab.loggers.mirror import Mirror
from stylegan_lab.mistake import Mistake
from stylegan_lab.runs import Run


def tensorboard_logger(run: Run) -> Logger:
    try:
        import tensorboard  # noqa: F401
    except ImportError:
        raise Mistake("logger=tensorboard needs the extra `track`: pip install 'stylegan_lab[track]'") from None

    def make() -> Logger:
        from lightning.pytorch.loggers import TensorBoardLogger

        return TensorBoardLogger(save_dir=str(run.folder), name="tensorboard", version="")

    return Mirror("tensorboard", make)
