"""`stylegan-lab translate`: apply a trained image-to-image model to images and videos, from files, folders or a pipe."""

import errno
import sys
from argparse import Namespace
from collections.abc import Callable, Iterable, Iterator, Sequence
from concurrent.futures import Executor, Future, ThreadPoolExecutor
from contextlib import ExitStack
from pathlib import Path
from typing import Protocol

import torch
from omegaconf import DictConfig, OmegaConf
from torch import Tensor

from stylegan_lab.cli.parsers import HALVES
from stylegan_lab.cli.translate_files import TranslationFiles, list_files
from stylegan_lab.console import report_progress
from stylegan_lab.errors import UserError, join_errors
from stylegan_lab.images.image_io import read_image
from stylegan_lab.images.open_image import UnreadableImageError
from stylegan_lab.images.photograph import Photograph, read_photograph, write_photograph, write_to_stdout
from stylegan_lab.images.steady import Steadier
from stylegan_lab.images.video import transform_video
from stylegan_lab.images.video_reader import UnreadableVideoError, VideoReader
from stylegan_lab.models.translation.domain_conditioned import DomainConditionedModel
from stylegan_lab.suggestions import lookup
from stylegan_lab.training.experiment import default_device
from stylegan_lab.training.hardware import SLOW_BF16, supports_bf16
from stylegan_lab.training.loaded_model import LoadedModel, load, translate_at_size

PENDING_PIXELS = 1_500_000  # of images that wait for others of their size
CPU_BATCH_PIXELS = 65_536  # of a batch: with more, feature maps leave the processor's cache (docs/performance.md)


class Translator(Protocol):
    """Translates images (N, C, H, W), uint8 or floats in [-1, 1]. Images with more than `whole_pixels` pixels are translated in
    strips or tiles."""

    notes: list[str]
    whole_pixels: int
    device: torch.device
    bf16: bool

    def __call__(self, images: Tensor, on_strip: "OnStrip | None" = None, /) -> Tensor: ...


class OnStrip(Protocol):
    def __call__(self, total: int, /) -> None: ...


def main(options: Namespace) -> int:
    files = list_files(options.inputs, options.target)
    images, videos = ([each for each in files if each.is_video is kind] for kind in (False, True))
    if options.half is not None and videos:
        raise UserError(
            "translate.half_of_video",
            f"--half {options.half} is for images, but {videos[0].name} is a video; leave --half out",
        )
    translator, suggested_half, batch_size = _load_translator(options)
    batch_pixels = CPU_BATCH_PIXELS if translator.device.type == "cpu" and options.batch_size is None else None
    command = TranslateCommand(options, translator, suggested_half)
    with ThreadPoolExecutor(1) as reader, ThreadPoolExecutor(1) as writer:
        for batch in batches(command.read(images, reader), options.batch_size or batch_size, batch_pixels):
            command.translate(batch, writer)
        command.finish_writing()
    for each in videos:  # in a batch of one frame, each gets the same random draw
        frames = 1 if batch_size == 1 else options.batch_size or batch_size
        command.translate_video(each, frames, batch_pixels or PENDING_PIXELS)
    for note in translator.notes:
        print(note, file=sys.stderr)
    if command.failures:
        done = f"\n{len(files) - len(command.failures)} of {len(files)} are translated" if len(files) > 1 else ""
        error = join_errors(command.failures, "translate.several_failed")
        raise UserError(error.code, f"{error}{done}")
    return 0


Item = tuple[TranslationFiles, Photograph]


class TranslateCommand:
    """Reads, translates and writes images and videos. If a file fails, its error is added to `failures` and the next files are
    still translated. Only a full disk stops the command."""

    def __init__(self, options: Namespace, translator: Translator, suggested_half: str | None) -> None:
        self.options, self.translator, self.suggested_half = options, translator, suggested_half
        self.failures: list[UserError] = []
        self.writing: Future[None] | None = None

    def read(self, files: Sequence[TranslationFiles], reader: Executor) -> Iterator[Item]:
        """Yield the images. While one image is translated, the next one is already read, unless the current one is large: two large
        images would need twice the memory."""
        ahead: Future[Photograph] | None = None
        for index, each in enumerate(files):
            reading, ahead = ahead or reader.submit(_read, each), None
            try:
                photograph = reading.result()
            except UnreadableImageError as error:
                self.failures.append(error if each.source else UserError(error.code, f"{each.name} {error.reason}"))
                continue
            if index + 1 < len(files) and photograph.colors[0].numel() <= self.translator.whole_pixels:
                ahead = reader.submit(_read, files[index + 1])
            yield each, self._half_of(each, photograph)

    def translate(self, batch: list[Item], writer: Executor) -> None:
        """Translate a batch, and start to write the results while the next batch is translated."""
        colors = [photograph.colors for _, photograph in batch]
        images = torch.stack(colors) if len(colors) > 1 else colors[0][None]  # no copy of a large image
        is_large = images.shape[-2] * images.shape[-1] > self.translator.whole_pixels
        if is_large:
            self.finish_writing()
        try:
            with ExitStack() as stack:
                on_strip = _progress(stack, batch[0][0].name) if is_large else None
                translated = translate_at_size(self.translator, images, self.options.size, on_strip)
        except UserError as error:
            self.failures += [UserError(error.code, f"{each.name}: {error}") for each, _ in batch]
            return
        results = [
            (each.target, photograph.with_colors(colors))
            for (each, photograph), colors in zip(batch, translated, strict=True)
        ]
        self.finish_writing()
        self.writing = writer.submit(self._write, results)
        if is_large:
            self.finish_writing()

    def finish_writing(self) -> None:
        if self.writing is not None:
            self.writing.result()
            self.writing = None

    def _write(self, results: Sequence[tuple[Path | None, Photograph]]) -> None:
        for target, photograph in results:
            if target is None:
                write_to_stdout(photograph)
                continue
            try:
                print(write_photograph(photograph, target), flush=True)
            except UserError as error:
                if is_disk_full(error):
                    raise
                self.failures.append(error)

    def translate_video(self, each: TranslationFiles, max_frames: int, max_pixels: int) -> None:
        assert each.source is not None and each.target is not None
        try:
            with (
                VideoReader(each.source) as reader,
                report_progress(each.name, reader.num_frames, in_bytes=False) as advance,
            ):
                transform = self._frame_translator(advance)
                notes = transform_video(reader, each.target, transform, max_frames, max_pixels)
        except UserError as error:
            if is_disk_full(error):
                raise
            is_named = isinstance(error, UnreadableVideoError)
            self.failures.append(error if is_named else UserError(error.code, f"{each.name}: {error}"))
            return
        for note in notes:
            print(note, file=sys.stderr)
        print(each.target, flush=True)

    def _frame_translator(self, advance: Callable[[int], None]) -> Callable[[Tensor], Tensor]:
        steadier = None if self.options.steady is None else Steadier(self.options.steady, default_device())

        def translate(frames: Tensor) -> Tensor:
            translated = translate_at_size(self.translator, frames, self.options.size)
            if steadier is not None:
                translated = torch.stack(list(map(steadier, frames, translated)))
            advance(len(frames))
            return translated

        return translate

    def _half_of(self, each: TranslationFiles, photograph: Photograph) -> Photograph:
        height, width = photograph.colors.shape[-2:]
        if self.options.half is not None:
            if width != 2 * height:
                print(
                    f"{each.name} is not twice as wide as high; its {self.options.half} half is used anyway",
                    file=sys.stderr,
                )
            middle = max(1, width // 2)
            return (
                photograph.columns(0, middle)
                if self.options.half == "left"
                else photograph.columns(width - middle, width)
            )
        if self.suggested_half is not None and width == 2 * height:
            print(
                f"{each.name} is twice as wide as high; if it shows a pair: --half {self.suggested_half}",
                file=sys.stderr,
            )
            self.suggested_half = None  # print it once
        return photograph


def _read(files: TranslationFiles) -> Photograph:
    with files.open_source() as path:
        return read_photograph(path)


def is_disk_full(error: UserError) -> bool:
    return getattr(error.__cause__, "errno", None) in (errno.ENOSPC, errno.EDQUOT)


def batches(items: Iterable[Item], size: int, pixels: int | None = None) -> Iterator[list[Item]]:
    """Group images of the same size and type into batches of up to `size` images and, if `pixels` is given, up to `pixels` pixels.
    Incomplete batches are yielded as soon as they hold more than PENDING_PIXELS pixels together."""
    pending: dict[tuple[object, ...], list[Item]] = {}
    for item in items:
        colors = item[1].colors
        group = pending.setdefault((colors.dtype, *colors.shape), [])
        group.append(item)
        if len(group) >= size or (pixels is not None and (len(group) + 1) * colors[0].numel() > pixels):
            yield pending.pop((colors.dtype, *colors.shape))
        elif sum(each.colors[0].numel() for group in pending.values() for _, each in group) > PENDING_PIXELS:
            yield from pending.values()
            pending = {}
    yield from pending.values()


def _progress(stack: ExitStack, name: str) -> OnStrip:
    """Reports the strips of a large image."""
    advance = None

    def on_strip(total: int) -> None:
        nonlocal advance
        advance = advance or stack.enter_context(report_progress(name, total, in_bytes=False))
        advance(1)

    return on_strip


def _load_translator(options: Namespace) -> tuple[Translator, str | None, int]:
    """The translator, the half of an image that shows a pair that it takes, and the size of batches."""
    if options.run.endswith(".onnx"):
        return _load_onnx(options)
    reference = None if options.reference is None else read_image(options.reference)
    model = load(options.run, options.checkpoint, use_ema=options.use_ema, trust=options.trust)
    model.check_translates()
    direction = choose_direction(model, options)
    module = model.module
    if isinstance(module, DomainConditionedModel) and options.to is None:
        others = ", ".join(name for name in module.domains if name != module.direction_domains[direction])
        print(f"translating to {module.direction_domains[direction]}; other choices of --to: {others}", file=sys.stderr)
    if options.seed is not None:
        if not module.translates_at_random:
            raise UserError(
                "translate.seed_unsupported",
                f"--seed needs a run of stargan2 or unsb, which draw random numbers, but {model.description}; leave --seed out",
            )
        module.style_seed = options.seed
    if reference is not None:
        model.check_references()
    batch_size = 1 if module.translates_at_random else 8  # draws depend on the position in the batch
    translator = model.translator(direction, reference)
    translator.bf16 = options.precision == "bf16"
    if translator.bf16 and not supports_bf16(translator.device.type):
        print(SLOW_BF16, file=sys.stderr)
    return translator, source_half(model.config.data, direction), batch_size


def _load_onnx(options: Namespace) -> tuple[Translator, str | None, int]:
    from stylegan_lab.export.onnx_translator import OnnxTranslator

    given = [
        name for name in ("checkpoint", "direction", "to", "reference", "seed") if getattr(options, name) is not None
    ]
    if options.precision != "32":
        given.append("precision")
    if given:
        raise UserError(
            "translate.run_needed",
            f"--{given[0]} needs a run, but {options.run} is an exported network; leave this option out, "
            "or give the run that was exported",
        )
    translator = OnnxTranslator(Path(options.run))
    return translator, source_half(OmegaConf.create(translator.config["data"]), translator.direction), 8


def choose_direction(model: LoadedModel, options: Namespace) -> str:
    """Return the direction to translate in, such as a2b, or the name of the target domain given with --to."""
    possible = f"this run translates {' and '.join(model.directions)}"
    if options.to is None:
        direction: str = options.direction or "a2b"
        if direction not in model.directions:
            alternative = f"; or give --to {', '.join(model.domains)}" if model.domains else ""
            raise UserError(
                "translate.unknown_direction", f"--direction {direction} is unknown; {possible}{alternative}"
            )
        return direction
    if options.direction is not None:
        raise UserError(
            "translate.to_and_direction",
            f"--to {options.to} and --direction {options.direction} exclude each other; give one of them",
        )
    if not model.domains:
        raise UserError(
            "translate.no_domains", f"--to needs a run with several domains; {possible}. Give --direction instead"
        )
    return lookup("--to", options.to, {name: name for name in model.domains}, "translate.unknown_direction")


def source_half(data: DictConfig, direction: str) -> str | None:
    """Return which half of an image is the input, if the run was trained on images that show a pair side by side, else None."""
    if "sides" not in data or data.get("a") is not None:
        return None
    return HALVES[(data.sides == "BA") != (direction == "b2a")]
