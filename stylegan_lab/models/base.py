"""The base class of all models: a LightningModule with players, one iteration counter, and `optimize`."""

from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from contextlib import AbstractContextManager, ExitStack, contextmanager, nullcontext
from pathlib import Path
from typing import TYPE_CHECKING, Any, ClassVar, Protocol

import lightning as L
import torch
from lightning.pytorch.strategies import ParallelStrategy
from lightning.pytorch.utilities.types import OptimizerLRSchedulerConfig
from torch import Tensor, nn

from stylegan_lab.config.instantiate import instantiate
from stylegan_lab.distributed import GradientAverager, mean_over_ranks, rank, sync_batch_norm_buffers, world_size
from stylegan_lab.errors import UserError
from stylegan_lab.images.batch import BatchType, PairedBatch
from stylegan_lab.losses.extra import ExtraLoss, ExtraLosses
from stylegan_lab.losses.losses import Losses
from stylegan_lab.models.grad_scaler import GradScaler
from stylegan_lab.models.lr_schedules import IterationLR
from stylegan_lab.models.micro_batches import (
    SharedForward,
    merge_losses,
    micro_batch,
    num_micro_batches,
    num_rows,
    resolve_shared,
)
from stylegan_lab.models.player import Player
from stylegan_lab.rng import BatchPosition, batch_position, seeded
from stylegan_lab.runs.checkpoint import read_checkpoint

if TYPE_CHECKING:
    from typing_extensions import Self  # in typing from Python 3.11 on

OptimizerFactory = Callable[[Iterable[nn.Parameter]], torch.optim.Optimizer]
Schedule = Callable[[float], float]
LOGGED_STATS = ("d_win_rate", "ada_p")


NAMES_IN_TORCH = {"learning rate": "lr", "beta": "betas", "epsilon": "eps"}  # in the errors of its optimizers


class LossFunction(Protocol):
    """A function that returns losses, or yields them in groups. Each group is backpropagated before the next one is computed."""

    def __call__(self, *args: Any) -> Losses | Iterator[Losses]: ...


class BaseModel(L.LightningModule):
    """A model whose `training_step` updates one player after the other by calling `optimize`.

    `batch_type` is the kind of batch that the model trains on. `extra_draws` adds keys to training batches: {"a2": "a"} adds a
    second image `a2` of domain `a`, drawn independently of the first, with any data module. `ema_networks` names the networks
    that are used after training, of whose weights an EMA is kept. `network_arguments` names the arguments that the model passes
    to each network it builds, and `network_types` the base class that each network must have. Both are compared with the chosen
    networks when a config is checked.
    """

    batch_type: BatchType
    extra_draws: ClassVar[Mapping[str, str]] = {}
    ema_networks: tuple[str, ...] = ()
    directions: tuple[str, ...] = ("a2b",)
    supports_upscaling = False  # whether targets may be larger than inputs
    extra_loss_arguments: ClassVar[Sequence[str]] = ("fake", "input", "real")  # what `extra_losses` can be given
    translates_at_random = False  # whether `translate` draws random numbers, from `style_seed`
    style_seed = 0
    network_arguments: ClassVar[Mapping[str, tuple[str, ...]]] = {}
    network_types: ClassVar[Mapping[str, type]] = {}

    def __init__(
        self,
        schedule: Schedule,
        clip_gradients: float | None = None,
        extra_losses: Mapping[str, ExtraLoss | None] | None = None,
    ) -> None:
        super().__init__()
        self.automatic_optimization = False
        self.iteration = 0  # batches trained on; during a training step the number of its batch, from 1
        self.max_iterations: int | None = None  # length of the training, set by the StopAtMaxIterations callback
        self.config: dict[str, Any] = {}  # the config it was built from; saved in every checkpoint
        self.latest_scores: dict[str, float] = {}  # by name, with the `iteration` they were measured at
        self.latest_losses: dict[str, Tensor] = {}  # by PLAYER_LOSS, of this iteration
        self.latest_stats: dict[str, Tensor] = {}
        self.metrics_are_logged = False  # whether MetricLogger has logged this iteration's metrics
        self.active_warnings: set[str] = set()
        self.lr_scale = 1.0  # factor on the scheduled learning rate; NaNGuard lowers it after a divergence
        self.micro_batches = 1  # number of micro-batches that each batch is split into
        self._schedule = schedule
        self._clip = clip_gradients
        self.extra_losses = ExtraLosses(extra_losses or {}, self.extra_loss_arguments)
        self._players: list[Player] = []
        self._average_gradients = GradientAverager()
        self._draws = 0  # random draws in this iteration so far

    def add_player(self, name: str, *networks: nn.Module, optimizer: OptimizerFactory, lr_mult: float = 1.0) -> Player:
        """Add a player whose learning rate is `lr_mult` times the optimizer's own."""
        owned = {parameter for player in self._players for parameter in player.parameters()}
        parameters = [parameter for network in networks for parameter in network.parameters()]
        if owned.intersection(parameters):
            raise ValueError(f"player {name} shares parameters with another player")
        built = _build_optimizer(optimizer, parameters)
        for group in built.param_groups:
            group["initial_lr"] = group["lr"] = group["lr"] * lr_mult
        player = Player(name, len(self._players), networks, built)
        self._players.append(player)
        return player

    @property
    def players(self) -> Sequence[Player]:
        return tuple(self._players)

    @property
    def compilable_networks(self) -> Sequence[nn.Module]:
        """The networks that `compile=true` compiles: those of all players, unless a model overrides this.

        torch.compile does not support second derivatives, so a model leaves out networks that need them, such as discriminators
        with a gradient penalty. If a model calls the layers of a network one by one, it returns the parts to compile instead of
        the network.
        """
        return [network for player in self._players for network in player.networks]

    def configure_optimizers(self) -> list[OptimizerLRSchedulerConfig]:
        """An optimizer and a learning rate scheduler for each player. The model steps the schedulers itself."""
        return [
            {
                "optimizer": player.optimizer,
                "lr_scheduler": {
                    "scheduler": IterationLR(player.optimizer, lambda batches: self._lr_factor(batches)),
                    "interval": "step",
                    "name": f"lr-{player.name}",
                },
            }
            for player in self._players
        ]

    @classmethod
    def load_from_checkpoint(
        cls,
        checkpoint_path: Any,
        map_location: Any = None,
        hparams_file: Any = None,
        strict: bool | None = None,
        weights_only: bool | None = None,
        use_ema: bool = True,
        trust: Sequence[str] = (),
        **kwargs: Any,
    ) -> "Self":
        """Load a model from a checkpoint of a run. The checkpoint contains the config of the run.

        Args:
            map_location: The device of the model; by default the CPU.
            use_ema: Load the EMA weights of `ema_networks` if the checkpoint has them. False: load the trained weights, which a
                resumed training would start from.
            trust: Packages, besides this one, whose classes the checkpoint's config may name.
            kwargs: Constructor arguments. A checkpoint of a plain Lightning script has no config and needs all of them.
        """
        try:
            contents = read_checkpoint(Path(checkpoint_path))
        except UserError as error:
            if not kwargs:
                advice = f"a checkpoint of a plain Lightning script needs the arguments of {cls.__name__} by keyword"
                raise UserError(error.code, f"{error}; {advice}") from error
            return super().load_from_checkpoint(
                checkpoint_path, map_location, hparams_file, strict, weights_only, **kwargs
            )
        with torch.random.fork_rng([]):
            module = instantiate({**contents["config"]["model"], **kwargs}, trust, "model")
        if not isinstance(module, cls):
            kind = type(module).__name__
            raise UserError(
                "checkpoint.other_model",
                f"{checkpoint_path} is a checkpoint of {kind}; use {kind}.load_from_checkpoint",
            )
        module.config = contents["config"]
        module.load_weights(contents, use_ema)
        return module.to(map_location) if map_location is not None else module

    def load_weights(self, contents: Mapping[str, Any], use_ema: bool = True) -> None:
        """Load the weights and the iteration of a checkpoint. With `use_ema`, the EMA weights are loaded if the checkpoint has
        them."""
        try:
            self.load_state_dict(contents["state_dict"])
        except RuntimeError as error:
            differing = ";".join(line.strip() for line in str(error).splitlines()[1:3])
            why = "the checkpoint's weights do not fit the networks that its config describes"
            raise UserError("checkpoint.weights_mismatch", f"{why} ({differing}); use another checkpoint") from error
        self.iteration = contents["iteration"]
        if use_ema:
            self._check_averages(contents)
            for name, weights in contents.get("ema", {}).items():
                self.get_submodule(name).load_state_dict(weights)

    def _check_averages(self, contents: Mapping[str, Any]) -> None:
        """Refuse a checkpoint that has lost the EMA weights which its training kept."""
        kept = (contents["config"].get("callbacks") or {}).get("ema") and contents["iteration"]
        missing = [f"ema.{name}" for name in self.ema_networks if name not in contents.get("ema", {})]
        if kept and missing:
            raise UserError(
                "checkpoint.section_missing",
                f"{', '.join(missing)} {'is' if len(missing) == 1 else 'are'} missing in the checkpoint of iteration "
                f"{contents['iteration']}. Use another checkpoint of the run, or "
                "load this one without EMA weights (--no-ema, or use_ema=False)",
            )

    def load_feature_networks(self) -> list[str]:
        """Load the feature networks that only training needs, so that missing weights are reported before training starts.
        Returns sentences about these networks for the training plan."""
        return []

    def on_new_training(self) -> list[str]:
        """Called at the start of a new training, but not when a training is resumed. Returns sentences for the log."""
        return []

    def sanity_check(self, channels: int, size: int, factor: int = 1) -> None:
        """Apply the networks once to an empty image. Targets have sides of `size` pixels; the sides of inputs are `factor` times
        smaller."""
        image = torch.zeros(1, channels, size // factor, size // factor)
        found, expected = self.translate(image).shape[1:], (channels, size, size)
        if found != expected:
            sizes = ["x".join(map(str, shape)) for shape in (image.shape[1:], found, expected)]
            names = ", ".join(f"{name} ({type(self.get_submodule(name)).__name__})" for name in self.ema_networks[:1])
            raise UserError(
                "model.output_size_mismatch",
                f"{names or type(self).__name__} turns an image of {sizes[0]} into {sizes[1]}, but training needs {sizes[2]}; "
                "choose another data.size or another generator",
            )

    def forward(self, image: Tensor, direction: str = "a2b") -> Tensor:
        """Translate images."""
        return self.translate(image, direction)

    def predict_step(self, batch: Any, batch_idx: int, dataloader_idx: int = 0) -> Tensor:
        """Translate a tensor of images, or the images `a` of a batch."""
        translated: Tensor = self(batch if isinstance(batch, Tensor) else batch["a"])
        return translated

    def validation_step(self, batch: Any, batch_idx: int) -> Tensor:
        """Return the prediction for a batch. Metrics over all batches are logged at the end of the epoch, as `val/...` or
        `test/...`."""
        prediction = self.predict_step(batch, batch_idx)
        self._held_out.add(batch, prediction)
        return prediction

    test_step = validation_step

    def on_validation_epoch_start(self) -> None:
        """Collect predictions for `val/...` metrics in a plain Lightning script.

        With `stylegan-lab train`, the Validation callback scores the EMA weights instead.
        """
        from stylegan_lab.evaluation.collected_scores import CollectedImages  # which takes time to import

        data = getattr(self.trainer, "datamodule", None)
        self._held_out = CollectedImages(getattr(data, "has_true_pairs", self.batch_type is PairedBatch))

    on_test_epoch_start = on_validation_epoch_start

    def on_validation_epoch_end(self) -> None:
        if not self.trainer.sanity_checking:
            self._log_held_out("val")

    def on_test_epoch_end(self) -> None:
        self._log_held_out("test")

    def _log_held_out(self, split: str) -> None:
        scores = {f"{split}/{name}": value for name, value in self._held_out.scores().items()}
        self.log_dict(scores, sync_dist=self.trainer.world_size > 1)
        del self._held_out

    def translate(self, image: Tensor, direction: str = "a2b") -> Tensor:
        """Translate images from one domain to another, in one of the model's `directions`."""
        raise NotImplementedError

    def translate_like(self, image: Tensor, reference: Tensor, direction: str = "a2b") -> Tensor:
        """Translate images in the style of `reference`, an image (1, C, H, W) of the target domain."""
        raise UserError(
            "model.no_references",
            f"{type(self).__name__} does not support reference images; use a run of model=stargan2 or model=adain",
        )

    def sample_rows(self, batch: Any) -> Mapping[str, Tensor] | Sequence[Tensor]:
        """Return the rows of an image grid that shows the model's output for a batch. The pages that show the grid also show the
        names of the rows, if they have any."""
        raise NotImplementedError

    def fake_and_real(self, batch: Any) -> dict[str, tuple[Tensor, Tensor]]:
        """Return, for each direction, generated images and real images of the target domain. Images are translated one at a time,
        not as a batch."""
        ends = {"a2b": ("a", "b"), "b2a": ("b", "a")}
        return {
            name: (
                torch.cat([self.translate(image, name) for image in batch[ends[name][0]].split(1)]),
                batch[ends[name][1]],
            )
            for name in self.directions
        }

    def optimize(self, player: Player | Sequence[Player], losses: LossFunction, *args: Any) -> Losses:
        """Take one optimizer step of a player, or of several at once, on the sum of `losses(*args)`.

        Only the networks passed to `optimize` are updated; all others are frozen. With `micro_batches=N`, every tensor of `args`
        is split into N parts and `losses` is called once for each. The losses of several players are logged under the first
        player's name. Returns losses, statistics and outputs for the whole batch, detached from the graph.
        """
        players = [player] if isinstance(player, Player) else list(player)
        optimizers = [self._lightning_optimizer(each) for each in players]
        for optimizer in optimizers:
            optimizer.zero_grad()
        with self._frozen(other for other in self._players if other not in players), self._without_ddp_sync():
            done = self._accumulate_gradients(losses, args)
        self._average_gradients(parameter for each in players for parameter in each.parameters())
        stepping = [pair for pair in zip(players, optimizers, strict=True) if pair[0].has_gradients]
        self._unscale_and_clip([each for each, _ in stepping])
        for each, optimizer in stepping:
            each.step(optimizer.step)
        torch.clear_autocast_cache()  # it may hold half-precision copies of the old weights
        name = players[0].name
        self.latest_losses |= {f"{name}_{term}": loss for term, loss in done.losses.items()}
        self.latest_stats |= {f"{name}_{term}": stat for term, stat in done.stats.items()}
        return done

    def shared(self, function: Callable[..., Any], *args: Any) -> SharedForward:
        """Compute `function(*args)` for use in several calls of `optimize`. Pass the returned object as one of their `args`.
        Random draws in `function` are keyed (`keyed_draws`).

        `shared(...).detached` is the result, detached from the graph.
        """
        count, start = num_micro_batches(args, self.micro_batches), self._draws

        def compute(index: int) -> Any:
            now, self._draws = self._draws, start
            part = micro_batch(args, index, count)
            with self.keyed_draws(num_rows(part), index, count) as position, ExitStack() as stack:
                if count > 1:  # the second pass has to drop out what the first one did
                    stack.enter_context(seeded(position.dropout_seed(), self.device))
                result = function(*part)
            self._draws = max(now, self._draws)
            return result

        return SharedForward(compute, count)

    @contextmanager
    def keyed_draws(self, rows: int = 0, micro_batch: int = 0, micro_batches: int = 1) -> Iterator[BatchPosition]:
        """Within the block, random draws for a batch (rng.py) depend only on the seed, the iteration and the number of earlier
        draws in the iteration.

        `optimize` and `shared` do this by themselves. `rows` is the number of samples of the micro-batch.
        """
        seed = self.config.get("seed", 0)
        position = BatchPosition(
            seed, self.iteration, rank(), world_size(), micro_batch, micro_batches, self._draws, rows
        )
        with batch_position(position):
            yield position
        self._draws = position.draws

    @property
    def should_log(self) -> bool:
        """Whether this iteration's losses are logged."""
        every: int = self.trainer.log_every_n_steps  # type: ignore[attr-defined]
        return (every > 0 and self.iteration % every == 0) or self.iteration == self.max_iterations

    def on_fit_start(self) -> None:
        if self._grad_scaler is not None:  # with torch's own, the scale would change after each optimizer step
            self.trainer.precision_plugin.scaler = GradScaler(self.device.type)  # type: ignore[attr-defined]

    def on_train_start(self) -> None:
        if not self.trainer.should_stop:  # else nothing is left to train, and the optimizers stay as they were saved
            self._move_schedulers()

    def on_train_batch_start(self, batch: Any, batch_idx: int) -> None:
        self.iteration += 1
        self._draws = 0
        self.latest_losses, self.latest_stats, self.metrics_are_logged = {}, {}, False

    def on_train_batch_end(self, outputs: Any, batch: Any, batch_idx: int) -> None:
        if self._grad_scaler is not None:
            self._grad_scaler.end_iteration()
        if self.should_log and not self.metrics_are_logged:
            self.log_dict(self.step_metrics(), on_step=True, on_epoch=False)
        self._move_schedulers()

    def step_metrics(self) -> dict[str, Tensor | float]:
        """Return the metrics of this iteration: losses, the discriminators' win rates and ADA's probability, averaged over all
        ranks, and learning rates. Must be called on all ranks."""
        metrics = {f"loss/{name}": loss for name, loss in self.latest_losses.items()}
        for name, value in self.latest_stats.items():
            for stat in LOGGED_STATS:
                if name.endswith(f"_{stat}"):
                    metrics[f"{stat}/{name.removesuffix(f'_{stat}')}"] = value
        if metrics:
            values = mean_over_ranks(torch.stack([value.float() for value in metrics.values()]))
            metrics = dict(zip(metrics, values.unbind(), strict=True))
        return metrics | {f"lr/{each.name}": float(each.optimizer.param_groups[0]["lr"]) for each in self._players}

    def _move_schedulers(self) -> None:
        """Set the learning rates of the next iteration, before its callbacks read them."""
        schedulers = self.lr_schedulers()
        for scheduler in schedulers if isinstance(schedulers, list) else [schedulers]:
            scheduler.move_to(self.iteration)  # type: ignore[union-attr]

    def _lr_factor(self, batches: int) -> float:
        """The factor on the learning rate of the batch after `batches` batches."""
        return self.lr_scale * self._schedule(self._progress(batches))

    def _progress(self, batches: int) -> float:
        """The fraction of the training that is done after `batches` batches: of the budget, or else of the trainer's
        max_epochs or max_steps, which counts optimizer steps. Without either it stays 0."""
        if self.max_iterations:
            return batches / self.max_iterations
        if self._trainer is None:
            return 0.0
        done, fractions = self.trainer.fit_loop.total_batch_idx + 1, [0.0]
        if (epochs := self.trainer.max_epochs or -1) > 0:
            fractions.append(done / (epochs * self.trainer.num_training_batches))
        if self.trainer.max_steps > 0:
            fractions.append(self.trainer.global_step / self.trainer.max_steps)
        return min(1.0, max(fractions))

    def sync_buffers(self) -> None:
        """Synchronize buffers that each rank has computed from its own images. Called before an evaluation and before a
        checkpoint is saved."""
        sync_batch_norm_buffers(self)

    def on_save_checkpoint(self, checkpoint: dict[str, Any]) -> None:
        self.sync_buffers()  # in place: the state_dict in the checkpoint has the same tensors
        checkpoint["iteration"] = self.iteration
        checkpoint["lr_scale"] = self.lr_scale
        checkpoint["config"] = self.config

    def on_load_checkpoint(self, checkpoint: dict[str, Any]) -> None:
        self.iteration = checkpoint["iteration"]
        self.lr_scale *= checkpoint["lr_scale"]

    def _accumulate_gradients(self, losses: LossFunction, args: Sequence[Any]) -> Losses:
        """Compute the losses of each micro-batch and send them backward. Returns those of the whole batch."""
        count, start, parts = num_micro_batches(args, self.micro_batches), self._draws, []
        for index in range(count):
            part = resolve_shared(micro_batch(args, index, count), index)
            self._draws = start  # all micro-batches take their rows of the same draws
            with self.keyed_draws(num_rows(part), index, count):
                parts.append(self._backward(losses, part, 1 / count))
        return merge_losses(parts)

    def _backward(self, losses: LossFunction, args: Sequence[Any], weight: float) -> Losses:
        done = Losses({})
        computed = losses(*args)
        for group in [computed] if isinstance(computed, Losses) else computed:
            weighted = (group | self.extra_losses(group.outputs)).scaled(weight)
            with torch.autocast(self.device.type, enabled=False):  # else second derivatives run in half precision
                self.manual_backward(weighted.total())
            done = done | weighted.detached()
        return done

    def _unscale_and_clip(self, players: Sequence[Player]) -> None:
        """Unscale the float16 gradients of all players before any is clipped, and before the first step."""
        if (scaler := self._grad_scaler) is not None:
            for player in players:
                scaler.unscale_(player.optimizer)
        for group in (group for player in players for group in player.optimizer.param_groups if self._clip is not None):
            nn.utils.clip_grad_norm_(group["params"], self._clip)  # type: ignore[arg-type]

    @property
    def _grad_scaler(self) -> GradScaler | None:
        return None if self._trainer is None else getattr(self.trainer.precision_plugin, "scaler", None)

    def _without_ddp_sync(self) -> AbstractContextManager[Any]:
        """Turn DDP's own synchronization off: it would send every player's gradients, once for each group of losses.
        `optimize` averages the gradients of its players over ranks once instead."""
        strategy = self.trainer.strategy
        return strategy.block_backward_sync() if isinstance(strategy, ParallelStrategy) else nullcontext()

    def _lightning_optimizer(self, player: Player) -> Any:
        optimizers = self.optimizers()
        return optimizers[player.index] if isinstance(optimizers, list) else optimizers

    @contextmanager
    def _frozen(self, players: Iterable[Player]) -> Iterator[None]:
        frozen = [parameter for player in players for parameter in player.parameters() if parameter.requires_grad]
        for parameter in frozen:
            parameter.requires_grad_(False)
        try:
            yield
        finally:
            for parameter in frozen:
                parameter.requires_grad_(True)


def _build_optimizer(optimizer: OptimizerFactory, parameters: list[nn.Parameter]) -> torch.optim.Optimizer:
    try:
        return optimizer(parameters)
    except ValueError as error:
        settings = getattr(optimizer, "keywords", {})
        named = [
            key for word, key in {**NAMES_IN_TORCH, **{key: key for key in settings}}.items() if word in str(error)
        ]
        setting = f"optimizer.{named[0]}={settings.get(named[0])}" if named else "optimizer"
        raise UserError("config.invalid_optimizer", f"{setting}: {error}") from error
