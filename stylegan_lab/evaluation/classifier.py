"""A small image classifier that the evaluation trains itself, to predict the classes of generated images.

The same images, labels and seed give the same classifier. A trained classifier is kept in the cache folder.
"""

import hashlib
from dataclasses import dataclass
from functools import partial

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from stylegan_lab.errors import UserError
from stylegan_lab.evaluation.tensor_cache import cached_tensors
from stylegan_lab.files.download import cache_dir
from stylegan_lab.images.image_store import ImageSet, resize_in_chunks
from stylegan_lab.precision import use_tf32
from stylegan_lab.rng import seeded

VERSION = 4  # part of the protocol: raise it when the code below trains another classifier
MAX_SIZE = 32  # pixels; larger images are downscaled
CHANNELS = (16, 32, 64)
TOTAL_STRIDE = 2 ** len(CHANNELS)
BATCH = 64
MAX_STEPS, MAX_EPOCHS = 1200, 30
PREDICT_BATCH = 1024
MAX_LR = 4e-3
MAX_SHIFT = 2  # pixels; the augmentation of training images

PROTOCOL = (
    f"{len(CHANNELS)} convolutions at {MAX_SIZE}x{MAX_SIZE} at most, {MAX_STEPS} steps of {BATCH} "
    f"(at most {MAX_EPOCHS} epochs), version {VERSION}"
)


@dataclass(frozen=True, eq=False)
class SmallClassifier:
    net: nn.Module
    classes: int

    @torch.no_grad()
    @use_tf32(False)
    def predict(self, images: ImageSet) -> Tensor:
        """Return the most likely class of each image (N, C, H, W) in [0, 1]."""
        return torch.cat([self.net(_prepare(chunk.cpu())).argmax(dim=1) for chunk in images.split(PREDICT_BATCH)])

    def accuracy(self, images: ImageSet, labels: Tensor) -> float:
        return float((self.predict(images) == labels.cpu()).float().mean())


def train_classifier(images: Tensor, labels: Tensor, classes: int, seed: int = 0) -> SmallClassifier:
    """Train a classifier on images in [0, 1] whose labels are below `classes`, or load it from the cache."""
    if len(images) != len(labels) or not len(images) or int(labels.max()) >= classes:
        raise UserError(
            "evaluation.labels_mismatch",
            f"a classifier of {classes} classes cannot be trained on {len(images)} images with {len(labels)} labels from 0 to "
            f"{labels.max()}; give each image a label below {classes}",
        )
    images, labels = images.cpu(), labels.cpu().long()
    path = cache_dir() / "classifiers" / f"{_cache_key(images, labels, classes, seed)}.pt"
    net = _net(images.shape[1], _input_size(images), classes, seed)
    net.load_state_dict(cached_tensors(path, lambda: _train(net, _prepare(images), labels, seed)))
    return SmallClassifier(net.eval().requires_grad_(False), classes)


def classification_accuracy(
    generated: Tensor, labels: Tensor, real: Tensor, real_labels: Tensor, classes: int
) -> float:
    """Train a classifier on generated images only, and return its accuracy on real images (Ravuri & Vinyals, 2019)."""
    return train_classifier(generated, labels, classes).accuracy(real, real_labels)


def downscaled(images: ImageSet) -> Tensor:
    """Return the images in [0, 1], downscaled to the size that the classifier needs."""
    size = _input_size(images)
    resize = partial(F.interpolate, size=(size, size), mode="bilinear", antialias=True)
    return resize_in_chunks(images, size, resize)


def _net(channels: int, size: int, classes: int, seed: int) -> nn.Module:
    with seeded(seed):
        layers: list[nn.Module] = []
        for width in CHANNELS:
            layers += [nn.Conv2d(channels, width, 3, 2, 1), nn.BatchNorm2d(width), nn.ReLU()]
            channels = width
        return nn.Sequential(*layers, nn.Flatten(), nn.Linear(channels * (size // TOTAL_STRIDE) ** 2, classes))


def _prepare(images: Tensor) -> Tensor:
    return downscaled(images) * 2 - 1


def _input_size(images: ImageSet) -> int:
    return min(MAX_SIZE, -(-images.shape[-1] // TOTAL_STRIDE) * TOTAL_STRIDE)


@torch.enable_grad()
@use_tf32(False)
def _train(net: nn.Module, images: Tensor, labels: Tensor, seed: int) -> dict[str, Tensor]:
    """Train with Adam and a one-cycle learning rate schedule (Smith & Topin, 2019); return the weights."""
    rng = torch.Generator().manual_seed(seed)
    batch = min(BATCH, len(images))
    steps = max(2, min(MAX_STEPS, MAX_EPOCHS * len(images) // batch))
    optimizer = torch.optim.Adam(net.parameters(), MAX_LR)
    schedule = torch.optim.lr_scheduler.OneCycleLR(optimizer, MAX_LR, total_steps=steps)
    for _ in range(steps):
        drawn = torch.randint(len(images), (batch,), generator=rng)
        loss = F.cross_entropy(net(_shift(images[drawn], rng)), labels[drawn])
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
        schedule.step()
    _compute_batch_statistics(net, images[torch.randperm(len(images), generator=rng)])
    return net.state_dict()


@torch.no_grad()
def _compute_batch_statistics(net: nn.Module, images: Tensor) -> None:
    """Replace running averages, which lag behind in short trainings, by the statistics of all images (Wu & Johnson, 2021).

    The images have to be in random order: the variance of a batch of one class is not that of all images.
    """
    for layer in net.modules():
        if isinstance(layer, nn.BatchNorm2d):
            layer.reset_running_stats()
            layer.momentum = None  # a mean over the batches, which are of one size but for one image
    for batch in images.tensor_split(-(-len(images) // PREDICT_BATCH)):
        net(batch)


def _shift(images: Tensor, rng: torch.Generator) -> Tensor:
    """Shift all images of a batch by the same few pixels."""
    top, left = torch.randint(2 * MAX_SHIFT + 1, (2,), generator=rng).tolist()
    padded = F.pad(images, (MAX_SHIFT,) * 4, mode="replicate")
    return padded[..., top : top + images.shape[-2], left : left + images.shape[-1]]


def _cache_key(images: Tensor, labels: Tensor, classes: int, seed: int) -> str:
    pixels = (images * 255).round().clamp(0, 255).to(torch.uint8).contiguous()
    key = hashlib.sha256(f"{PROTOCOL} {torch.__version__} {tuple(images.shape)} {classes} {seed}".encode())
    key.update(pixels.numpy().tobytes())
    key.update(labels.contiguous().numpy().tobytes())
    return key.hexdigest()[:32]
