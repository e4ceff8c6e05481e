"""stylegan_lab: GAN image translation, style transfer and generation on Lightning and Hydra.

import stylegan_lab

run = stylegan_lab.train("experiment=demo")
model = stylegan_lab.load(run)
image = model.translate(image)
scores = stylegan_lab.evaluate(run)
table = stylegan_lab.compare("runs/")
"""

from importlib import import_module, metadata
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from stylegan_lab.errors import UserError as UserError
    from stylegan_lab.reporting.comparison import RunComparison as RunComparison
    from stylegan_lab.reporting.comparison import compare as compare
    from stylegan_lab.runs.run import Run as Run
    from stylegan_lab.training.evaluate import evaluate as evaluate
    from stylegan_lab.training.loaded_model import LoadedModel as LoadedModel
    from stylegan_lab.training.loaded_model import load as load
    from stylegan_lab.training.train import train as train

    __version__: str

# Imported when they are first used: torch and Lightning take seconds.
_MODULES = {
    "LoadedModel": "training.loaded_model",
    "Run": "runs.run",
    "RunComparison": "reporting.comparison",
    "UserError": "errors",
    "compare": "reporting.comparison",
    "evaluate": "training.evaluate",
    "load": "training.loaded_model",
    "train": "training.train",
}
__all__ = ["LoadedModel", "Run", "RunComparison", "UserError", "__version__", "compare", "evaluate", "load", "train"]

if not TYPE_CHECKING:  # a type checker sees the imports above

    def __getattr__(name: str) -> object:
        if name == "__version__":
            return metadata.version("stylegan_lab")
        if name not in _MODULES:
            raise AttributeError(f"module {__name__!r} has no attribute {name!r}; it has: {', '.join(__all__)}")
        return getattr(import_module(f"{__name__}.{_MODULES[name]}"), name)


def __dir__() -> list[str]:
    return sorted({*globals(), *__all__})
