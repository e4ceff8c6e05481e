"""A small classifier, trained on the spot: what one that learnt from real pictures reads in made ones, and the other way round.

Equal pictures, labels and seed give the same classifier; one that was trained before is kept in the cache folder."""

import hashlib
import pickle
from dataclasses import dataclass
from pathlib import Path

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from stylegan_lab.fetch import cache_folder
from stylegan_lab.images.gallery import PictureSet, in_parts
from stylegan_lab.mistake import Mistake
from stylegan_lab.whole import written_whole

VERSION = 2  # of what is done here; another number, other classifiers
SIDE = 32  # pixels that it sees, at most
CHANNELS = (16, 32, 64)
STRIDE = 2 ** len(CHANNELS)
BATCH = 64
MOST_STEPS, MOST_EPOCHS = 1200, 30
AT_ONCE = 1024  # pictures that are read
RATE = 4e-3  # at its highest
SHIFT = 2  # pixels that pictures are moved by in training, at most
PROTOCOL = (
    f"{len(CHANNELS)} convolutions at {SIDE}x{SIDE} at most, {MOST_STEPS} steps of {BATCH} (at most {MOST_EPOCHS} epochs), "
    f"version {VERSION}"
)


@dataclass(frozen=True, eq=False)
class Classifier:
    net: nn.Module
    classes: int

    @torch.no_grad()
    def read(self, images: PictureSet) -> Tensor:
        """The likeliest class of each picture (N, C, H, W) in [0, 1]."""
        return torch.cat([self.net(_seen(part.cpu())).argmax(dim=1) for part in images.split(AT_ONCE)])

    def share_read_as(self, images: PictureSet, labels: Tensor) -> float:
        return float((self.read(images) == labels.cpu()).float().mean())


def classifier(images: Tensor, labels: Tensor, classes: int, seed: int = 0) -> Classifier:
    """Of pictures in [0, 1], with labels below `classes`."""
    if len(images) != len(labels) or not len(images) or int(labels.max()) >= classes:
        raise Mistake(f"{len(images)} pictures and {len(labels)} labels up to {labels.max()} for {classes} classes")
    images, labels = images.cpu(), labels.cpu().long()
    place = cache_folder() / "classifiers" / f"{_known_by(images, labels, classes, seed)}.pt"
    net = _net(images.shape[1], _side(images), classes, seed)
    if not _restored(net, place):
        _train(net, _seen(images), labels, torch.Generator().manual_seed(seed))
        _keep(net, place)
    return Classifier(net.eval().requires_grad_(False), classes)


def classification_accuracy(made: Tensor, labels: Tensor, real: Tensor, truth: Tensor, classes: int) -> float:
    """Ravuri & Vinyals (2019): how much of the real a classifier reads that has seen made pictures alone."""
    return classifier(made, labels, classes).share_read_as(real, truth)


def shrunk(images: PictureSet) -> Tensor:
    """As large as a classifier sees them, in [0, 1]."""
    side = _side(images)
    return in_parts(images, side, lambda part: F.interpolate(part, (side, side), mode="bilinear", antialias=True))


def _net(channels: int, side: int, classes: int, seed: int) -> nn.Module:
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(seed)
        layers: list[nn.Module] = []
        for width in CHANNELS:
            layers += [nn.Conv2d(channels, width, 3, 2, 1), nn.BatchNorm2d(width), nn.ReLU()]
            channels = width
        return nn.Sequential(*layers, nn.Flatten(), nn.Linear(channels * (side // STRIDE) ** 2, classes))


def _seen(images: Tensor) -> Tensor:
    return shrunk(images) * 2 - 1


def _side(images: PictureSet) -> int:
    return min(SIDE, -(-images.shape[-1] // STRIDE) * STRIDE)


@torch.enable_grad()
def _train(net: nn.Module, pictures: Tensor, labels: Tensor, dice: torch.Generator) -> None:
    """Adam, the rate up and down again once (Smith & Topin, 2019)."""
    batch = min(BATCH, len(pictures))
    steps = max(2, min(MOST_STEPS, MOST_EPOCHS * len(pictures) // batch))
    optimizer = torch.optim.Adam(net.parameters(), RATE)
    schedule = torch.optim.lr_scheduler.OneCycleLR(optimizer, RATE, total_steps=steps)
    for _ in range(steps):
        drawn = torch.randint(len(pictures), (batch,), generator=dice)
        loss = F.cross_entropy(net(_moved(pictures[drawn], dice)), labels[drawn])
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
        schedule.step()


def _moved(pictures: Tensor, dice: torch.Generator) -> Tensor:
    """The whole batch at once, by a few pixels."""
    top, left = torch.randint(2 * SHIFT + 1, (2,), generator=dice).tolist()
    padded = F.pad(pictures, (SHIFT,) * 4, mode="replicate")
    return padded[..., top : top + pictures.shape[-2], left : left + pictures.shape[-1]]


def _known_by(images: Tensor, labels: Tensor, classes: int, seed: int) -> str:
    pixels = (images * 255).round().clamp(0, 255).to(torch.uint8).contiguous()
    facts = hashlib.sha256(f"{PROTOCOL} {torch.__version__} {tuple(images.shape)} {classes} {seed}".encode())
    facts.update(pixels.numpy().tobytes())
    facts.update(labels.contiguous().numpy().tobytes())
    return facts.hexdigest()[:32]


def _restored(net: nn.Module, place: Path) -> bool:
    try:
        net.load_state_dict(torch.load(place, weights_only=True))
    except (OSError, RuntimeError, EOFError, ValueError, pickle.UnpicklingError):
        return False
    return True


def _keep(net: nn.Module, place: Path) -> None:
    try:
        place.parent.mkdir(parents=True, exist_ok=True)
        with written_whole(place) as file:
            torch.save(net.state_dict(), file)
    except OSError:  # a cache that cannot be written is no reason to have no score
        pass
