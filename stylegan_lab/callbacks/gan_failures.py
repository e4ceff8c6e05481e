"""Warnings of GAN failures that cause no NaN: the discriminator overpowers the generator, or the generator collapses to few
modes."""

from collections import defaultdict, deque
from typing import Any, ClassVar

import lightning as L
from lightning.fabric.utilities import move_data_to_device

from stylegan_lab.callbacks.ema import evaluation_mode, find_callback
from stylegan_lab.callbacks.validation import Validation
from stylegan_lab.errors import check_at_least
from stylegan_lab.evaluation.image_metrics import diversity
from stylegan_lab.models.base import BaseModel
from stylegan_lab.runs.run import Run

DOCS_PAGE = "docs/troubleshooting.md"


MIN_LOGGED = 3  # iterations by which discriminators are judged at the first validation


class GANFailureWarnings(L.Callback):
    """Writes a warning to the log when a failure begins, and again if it comes back.

    Failures are also checked at the first validation, because short trainings end before the first regular check.
    """

    needs: ClassVar = ("latest_stats", "fake_and_real")  # of the module

    def __init__(
        self,
        every: int = 1000,
        num_images: int = 16,
        min_diversity: float = 0.1,
        max_win_rate: float = 0.99,
        patience: int = 20,
    ) -> None:
        check_at_least("callbacks.gan_failures.every", every, 0)
        check_at_least("callbacks.gan_failures.num_images", num_images, 2)
        check_at_least("callbacks.gan_failures.patience", patience, 1)
        self.every, self.num_images = every, num_images
        self.min_diversity, self.max_win_rate = min_diversity, max_win_rate
        self.patience = patience
        self._win_rates: dict[str, deque[float]] = defaultdict(lambda: deque(maxlen=patience))
        self._active: set[str] = set()

    def on_train_batch_end(self, trainer: L.Trainer, pl_module: BaseModel, *_: Any) -> None:
        is_first = pl_module.iteration == _first_validation(trainer, pl_module)
        if pl_module.should_log:
            self._check_discriminators(
                trainer, pl_module, min(self.patience, MIN_LOGGED) if is_first else self.patience
            )
        if self.every and (pl_module.iteration % self.every == 0 or is_first):
            self._check_diversity(trainer, pl_module)

    def _check_discriminators(self, trainer: L.Trainer, module: BaseModel, patience: int) -> None:
        for name, stat in module.latest_stats.items():
            if name.endswith("_d_win_rate"):
                recent = self._win_rates[name]
                recent.append(float(stat))
                warning = (
                    f"{name.removesuffix('_d_win_rate')} is overpowered: it ranked over {self.max_win_rate:.0%} of all "
                    f"real images above "
                    f"fake ones in {len(recent)} logged iterations in a row, so generators learn little. See {DOCS_PAGE}"
                )
                is_certain = len(recent) >= patience or _kind(warning) in self._active
                self._warn_if(is_certain and min(recent) > self.max_win_rate, trainer, module, warning)

    def _check_diversity(self, trainer: L.Trainer, module: BaseModel) -> None:
        data = trainer.datamodule  # type: ignore[attr-defined]
        batch = move_data_to_device(data.first_batch("val", self.num_images), module.device)
        with evaluation_mode(trainer, module):
            ratios = {
                name: diversity(fake, real)
                for name, (fake, real) in module.fake_and_real(batch).items()
                if min(len(fake), len(real)) > 1  # a single image has no diversity
            }
        for name, ratio in ratios.items():
            for logger in trainer.loggers:
                logger.log_metrics({f"diversity/{name}": ratio}, step=module.iteration)
            warning = (
                f"{name} may have collapsed: the diversity of its images is {ratio:.2f} of that of real images "
                f"(below {self.min_diversity}). See samples/ and {DOCS_PAGE}"
            )
            self._warn_if(ratio < self.min_diversity, trainer, module, warning)

    def _warn_if(self, failing: bool, trainer: L.Trainer, module: BaseModel, warning: str) -> None:
        kind = _kind(warning)
        if failing and kind not in self._active and trainer.is_global_zero:
            Run.from_trainer(trainer).log(f"iteration {module.iteration}: {warning}")
        self._active = self._active | {kind} if failing else self._active - {kind}
        module.active_warnings = self._active


def _kind(warning: str) -> str:
    return warning.split(":")[0]


def _first_validation(trainer: L.Trainer, module: BaseModel) -> int | None:
    """The iteration of the first validation, or None if there is none."""
    validation = find_callback(trainer, Validation)
    if validation is None or not validation.every:
        return None
    return min(validation.every, module.max_iterations or validation.every)
