"""An embedding: how pictures become vectors, down to the resize and the weights' hash. What was embedded is remembered."""

import hashlib
import pickle
from collections import OrderedDict
from collections.abc import Callable, Iterable
from dataclasses import dataclass, field
from pathlib import Path

import torch
import torch.nn.functional as F
from torch import Tensor

from stylegan_lab.choice import choose
from stylegan_lab.evaluation.crowd import Crowd
from stylegan_lab.fetch import cache_folder
from stylegan_lab.images.gallery import PictureSet, content
from stylegan_lab.whole import written_whole

VERSION = 1  # of what is done here; another number, other vectors
BATCH = 32
REMEMBERED = 8  # crowds


def _clean(images: Tensor, size: int) -> Tensor:
    """Parmar et al. (2022): without aliases, in floats that are neither rounded nor clipped."""
    return F.interpolate(images, (size, size), mode="bicubic", antialias=True)


def _legacy(images: Tensor, size: int) -> Tensor:
    """What most published code does, with aliases."""
    return F.interpolate(images, (size, size), mode="bilinear", align_corners=False)


RESIZES = {"clean": _clean, "legacy": _legacy}
FILTERS = {"clean": "clean: bicubic, antialiased", "legacy": "legacy: bilinear, not antialiased"}


@dataclass(frozen=True)
class Embedding:
    """`net` makes (N, D) of (N, 3, size, size) in [0, 1]. `head` (classes, D), where it has one, makes class scores of those."""

    name: str  # what metrics are named by
    what: str  # the layer, in words
    net: Callable[[Tensor], Tensor]
    sha256: str  # of its weights
    size: int
    resize: str = "clean"
    head: Tensor | None = None
    _crowds: "OrderedDict[str, Crowd]" = field(default_factory=OrderedDict, repr=False)

    def __post_init__(self) -> None:
        choose("resize", self.resize, RESIZES)

    @property
    def protocol(self) -> str:
        return f"{self.what} at {self.size}x{self.size} ({FILTERS[self.resize]}), weights' SHA-256 {self.sha256}"

    def __call__(self, images: PictureSet) -> Crowd:
        """Pictures (N, C, H, W) in [0, 1]; all metrics of one set share its crowd."""
        return self.remembered(content(images), lambda: self.over(images.split(BATCH)))

    def learn(self, images: PictureSet, vectors: Tensor) -> None:
        """What others have made of these pictures."""
        self.remembered(content(images), lambda: Crowd(vectors))

    def known(self, images: PictureSet) -> Crowd:
        """The same for pictures that come again, in other processes too: kept in the cache folder."""
        return self.kept(content(images), lambda: self.over(images.split(BATCH)))

    def kept(self, content: str, make: Callable[[], Crowd]) -> Crowd:
        return self.remembered(content, lambda: self._from_disk(content, make))

    def remembered(self, content: str, make: Callable[[], Crowd]) -> Crowd:
        if content not in self._crowds:
            self._crowds[content] = make()
        self._crowds.move_to_end(content)
        while len(self._crowds) > REMEMBERED:
            self._crowds.popitem(last=False)
        return self._crowds[content]

    def over(self, batches: Iterable[Tensor]) -> Crowd:
        return Crowd(torch.cat([self.vectors(batch) for batch in batches]))

    @torch.no_grad()
    def vectors(self, images: Tensor) -> Tensor:
        """A row for each picture, on the CPU; seen on a GPU where there is one."""
        images = images.to("cuda" if torch.cuda.is_available() else "cpu")
        colours = images[:, :3] if images.shape[1] >= 3 else images[:, :1].expand(-1, 3, -1, -1)
        with torch.autocast(images.device.type, enabled=False):
            fitting = colours.float()
            if fitting.shape[-2:] != (self.size, self.size):
                fitting = RESIZES[self.resize](fitting, self.size)
            return self.net(fitting).float().cpu()

    def _from_disk(self, content: str, make: Callable[[], Crowd]) -> Crowd:
        place = self._place(content)
        try:
            return Crowd(torch.load(place, weights_only=True))
        except (OSError, RuntimeError, EOFError, ValueError, pickle.UnpicklingError):
            crowd = make()
        try:
            place.parent.mkdir(parents=True, exist_ok=True)
            with written_whole(place) as file:
                torch.save(crowd.vectors.float(), file)
        except OSError:  # a cache that cannot be written is no reason to have no score
            pass
        return crowd

    def _place(self, content: str) -> Path:
        key = f"{VERSION} {self.name} {self.protocol} {content}"
        return cache_folder() / "features" / f"{hashlib.sha256(key.encode()).hexdigest()}.pt"
