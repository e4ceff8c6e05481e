"""Translates images of any size. Images are padded to a size that the networks accept, and large images are translated in
strips or tiles."""

from collections.abc import Callable, Iterator
from functools import cached_property

import torch
import torch.nn.functional as F
from torch import Tensor

from stylegan_lab.errors import UserError
from stylegan_lab.images.tiles import apply_in_tiles
from stylegan_lab.images.value_range import from_bytes, to_bytes
from stylegan_lab.models.base import BaseModel
from stylegan_lab.networks.strips.strip_evaluation import StripNetwork, UnsupportedNetworkError
from stylegan_lab.training.translation_network import TranslationNetwork, find_translation_network, required_size

WHOLE_PIXELS = {"cpu": 1_500_000, "cuda": 16_000_000}  # images up to this size are translated whole


class ImageTranslator:
    """Translates images (N, C, H, W), uint8 or floats in [-1, 1]. The result has the type and the device of the input.

    Args:
        multiple: Images are padded so that their sides are multiples of this number, and at least `smallest`.
        whole_pixels: Images with more pixels are translated in parts, which are overlapping tiles unless a subclass
            overrides `parts`.
    """

    def __init__(self, name: str, multiple: int, smallest: int, device: torch.device, whole_pixels: int | None) -> None:
        self.name, self.multiple, self.smallest, self.device = name, multiple, smallest, device
        self.whole_pixels = whole_pixels or WHOLE_PIXELS.get(device.type, WHOLE_PIXELS["cpu"])
        self.notes: list[str] = []  # on how large images were translated
        self.bf16 = False  # compute in bfloat16, about twice as fast where the hardware has it, instead of float32

    def translate_padded(self, padded: Tensor) -> Tensor:
        """Translate floats in [-1, 1], of a size that the network accepts."""
        raise NotImplementedError

    @torch.no_grad()
    def __call__(self, images: Tensor, on_strip: Callable[[int], None] | None = None) -> Tensor:
        """Translate a batch. `on_strip` is called after each strip of a large image, with the total number of strips."""
        with torch.autocast(self.device.type, torch.bfloat16, enabled=self.bf16):
            if images.shape[-2] * images.shape[-1] <= self.whole_pixels:
                try:
                    return self._whole(images)
                except torch.OutOfMemoryError:
                    self.note("the GPU has too little memory for the whole image, so it is translated in parts")
            parts = [self._in_parts(image, on_strip) for image in images.split(1)]
        return parts[0] if len(parts) == 1 else torch.cat(parts)

    def note(self, sentence: str) -> None:
        if sentence not in self.notes:
            self.notes.append(sentence)

    def padded_size(self, height: int, width: int) -> tuple[int, int]:
        rows, columns = (_padded_length(length, self.multiple, self.smallest) for length in (height, width))
        return rows, columns

    def parts(
        self, image: "PaddedImage", height: int, width: int, on_strip: Callable[[int], None] | None
    ) -> Iterator[Tensor]:
        """Yield the translation of a padded image from top to bottom."""
        self.note(f"{self.name} translates large images in overlapping tiles, whose tone may differ")
        yield from apply_in_tiles(lambda tile: self._whole(tile).cpu(), image.read, height, width)

    def _whole(self, images: Tensor) -> Tensor:
        height, width = images.shape[-2:]
        padded = pad_to_size(_to_floats(images).to(self.device), *self.padded_size(height, width))
        translated = self.translate_padded(padded)
        factor = translated.shape[-1] // padded.shape[-1]
        return _like(translated[:, :, : height * factor, : width * factor], images)

    def _in_parts(self, image: Tensor, on_strip: Callable[[int], None] | None) -> Tensor:
        size = self.padded_size(*image.shape[-2:])
        result: Tensor | None = None
        done = 0
        for rows in self.parts(PaddedImage(image, *size), *size, on_strip):
            if result is None:
                factor = rows.shape[-1] // size[1]
                shape = (1, rows.shape[1], image.shape[-2] * factor, image.shape[-1] * factor)
                result = torch.empty(shape, dtype=image.dtype, device=image.device)
            kept = rows[:, :, : result.shape[2] - done, : result.shape[3]]
            result[:, :, done : done + kept.shape[2]] = _like(kept, image)
            done += kept.shape[2]
        assert result is not None
        return result


class ModelTranslator(ImageTranslator):
    """Translates images with a model in one direction. Large images are computed in strips, with the same result.

    Args:
        reference: An image (C, H, W) of the target domain, whose style the translation takes.
    """

    def __init__(
        self,
        module: BaseModel,
        direction: str = "a2b",
        reference: Tensor | None = None,
        whole_pixels: int | None = None,
    ) -> None:
        super().__init__(type(module).__name__, *required_size(module), module.device, whole_pixels)
        self.module, self.direction = module, direction
        self.reference = None if reference is None else reference[None].to(module.device)

    def translate_padded(self, padded: Tensor) -> Tensor:
        """Translate a padded batch. Refuse an output whose size is not a multiple of the size of the input."""
        try:
            translated = self.translate(padded)
        except torch.OutOfMemoryError:
            raise
        except RuntimeError as error:
            raise self._size_error(padded, str(error).splitlines()[0].rstrip(".")) from error
        factor = translated.shape[-1] // padded.shape[-1]
        if translated.shape[-2:] != tuple(factor * length for length in padded.shape[-2:]):
            raise self._size_error(padded, f"it becomes {translated.shape[-1]}x{translated.shape[-2]}")
        return translated

    def translate(self, padded: Tensor) -> Tensor:
        if self.reference is None:
            return self.module.translate(padded, self.direction)
        return self.module.translate_like(padded, self.reference, self.direction)

    @cached_property
    def network(self) -> TranslationNetwork | None:
        """The network that computes the whole translation in a single call, or None if the translation does more than that."""
        return find_translation_network(self.module, self.translate)

    def parts(
        self, image: "PaddedImage", height: int, width: int, on_strip: Callable[[int], None] | None
    ) -> Iterator[Tensor]:
        found = self.network
        strips = None if found is None else self._strips(found, height, width)
        if found is None or strips is None:
            yield from super().parts(image, height, width, on_strip)
            return
        yield from strips.apply(lambda first, last: found.inputs(image.read(first, last, 0, width)), on_strip)

    def _strips(self, found: TranslationNetwork, height: int, width: int) -> StripNetwork | None:
        channels = found.inputs(torch.empty(1, 3, 1, 1)).shape[1]
        try:
            return StripNetwork(found.network, (channels, height, width), found.batch_statistics, found.dropouts)
        except UnsupportedNetworkError as error:
            self.note(f"{type(found.network).__name__} cannot be applied in strips: {error}")
            return None

    def _size_error(self, image: Tensor, reason: str) -> UserError:
        names = {type(getattr(self.module, name)).__name__ for name in self.module.ema_networks}
        networks, size = (
            " or ".join(sorted(names)) or type(self.module).__name__,
            f"{image.shape[-1]}x{image.shape[-2]}",
        )
        return UserError(
            "translate.size_unsupported",
            f"{networks} cannot translate an image of {size} ({reason}). Resize the image; or, if sides must be multiples of N, "
            "set multiple_of = N in the class of the network, and images are padded",
        )


class PaddedImage:
    """An image that is padded by reflection at the right and below. Parts of it are read without creating a padded copy."""

    def __init__(self, image: Tensor, height: int, width: int) -> None:
        self.image = image
        self.rows, self.columns = (
            _reflected(length, padded) for length, padded in zip(image.shape[-2:], (height, width), strict=True)
        )

    def read(self, top: int, bottom: int, left: int, right: int) -> Tensor:
        rows = self.image[:, :, self.rows[top:bottom]]
        return _to_floats(rows[..., self.columns[left:right]])


def _reflected(length: int, padded: int) -> Tensor:
    """Return the source position of each position along an axis that `pad_to_size` has padded."""
    positions = torch.arange(padded)
    beyond = 2 * (length - 1) - positions if padded - length < length else torch.full_like(positions, length - 1)
    return torch.where(positions < length, positions, beyond)


def pad_to_multiple(module: BaseModel, batch: Tensor) -> Tensor:
    """Pad images at the right and below, to a size that every network in use accepts."""
    height, width = (_padded_length(length, *required_size(module)) for length in batch.shape[-2:])
    return pad_to_size(batch, height, width)


def pad_to_size(batch: Tensor, height: int, width: int) -> Tensor:
    """Pad images at the right and below, by reflection, or by repeating the edge if the image is too small for reflection."""
    bottom, right = height - batch.shape[-2], width - batch.shape[-1]
    mode = "reflect" if bottom < batch.shape[-2] and right < batch.shape[-1] else "replicate"
    return F.pad(batch, (0, right, 0, bottom), mode=mode)


def _padded_length(length: int, multiple: int, smallest: int) -> int:
    return max(smallest, -(-length // multiple) * multiple)


def _to_floats(images: Tensor) -> Tensor:
    return from_bytes(images) if images.dtype == torch.uint8 else images


def _like(translated: Tensor, images: Tensor) -> Tensor:
    """Return the translation with the type and the device of `images`."""
    converted = to_bytes(translated) if images.dtype == torch.uint8 else translated
    return converted.to(images.device, images.dtype)
