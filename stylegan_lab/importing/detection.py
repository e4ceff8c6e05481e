"""Finds the generators in a file, and the architecture of each, by the names and shapes of their tensors."""

import re
from collections.abc import Collection, Iterator, Mapping
from types import ModuleType
from typing import Any

from torch import Tensor

from stylegan_lab.errors import UserError
from stylegan_lab.importing import fast_neural_style, r3gan, resnet, stylegan2, unet
from stylegan_lab.importing.imported import ImportedGenerator, ImportOptions
from stylegan_lab.importing.state_dicts import split_by_prefix, state_dicts
from stylegan_lab.suggestions import lookup

FAMILIES: tuple[ModuleType, ...] = (stylegan2, r3gan, fast_neural_style, unet, resnet)
MAX_PREFIXES = 3
GENERATOR_WORDS = re.compile(
    r"generator|gen(?=[^a-z]|a2b|b2a|$)|net_?g|net|state_?dict|model|module|params|weights|(?<![a-z0-9])g(?![a-z0-9])"
)
# What is left of a network's name without these words: of averaged generators, of single ones, of both directions.
EMA_NAMES, SINGLE_NAME = ("ema", "avg"), ""
REVERSED = {"a2b": "b2a", "ab": "ba", "a": "b", "atob": "btoa", "x2y": "y2x", "xtoy": "ytox", "xy": "yx", "": "f"}


def find_generators(contents: Mapping[str, Any]) -> dict[str, tuple[ModuleType, dict[str, Tensor]]]:
    """Return the generators in a file, the preferred one first. Each is keyed by its path in the file, and comes with its family
    of architectures and its tensors."""
    found = {
        name: (family, tensors)
        for path, each in state_dicts(contents).items()
        for name, family, tensors in _networks(path, each, MAX_PREFIXES)
    }
    return dict(sorted(found.items(), key=lambda item: _rank(item[0])))


def read_generators(
    contents: Mapping[str, Any], options: ImportOptions, network: str | None = None
) -> dict[str, ImportedGenerator]:
    """Read the generators to import, keyed by their names in the file. The first is `network`, or else the preferred one. Without
    `network`, the generator of the reverse direction follows if the file has one."""
    found = find_generators(contents)
    if not found:
        raise _nothing_found(contents)
    names = {name: name for name in found}
    name = next(iter(found)) if network is None else lookup("--network", network, names, "import.unknown_network")
    chosen = {name: _read(*found[name], options)}
    if (reverse := REVERSED.get(_reduced(name))) is not None and network is None:
        for other in [each for each in found if _reduced(each) == reverse][:1]:
            chosen[other] = _read(*found[other], options)
    return chosen


def _read(family: ModuleType, tensors: dict[str, Tensor], options: ImportOptions) -> ImportedGenerator:
    try:
        imported: ImportedGenerator = family.read(tensors, options)
    except UserError as error:
        message = f"the file looks like {family.ARCHITECTURE}, but does not fit: {error}"
        raise UserError(error.code, message) from error
    if bad := [name for name, tensor in tensors.items() if tensor.is_floating_point() and not tensor.isfinite().all()]:
        raise UserError(
            "import.not_finite", f"{bad[0]} has values that are not finite (NaN or infinity); give another file"
        )
    return imported


def _networks(
    path: str, tensors: dict[str, Tensor], prefixes: int
) -> Iterator[tuple[str, ModuleType, dict[str, Tensor]]]:
    """The generators of a state dict: itself, or networks that its names begin with."""
    family = next((each for each in FAMILIES if each.matches(tensors)), None)
    if family is not None:
        yield path, family, tensors
    elif prefixes > 0:
        for prefix, network in split_by_prefix(tensors).items():
            yield from _networks(f"{path}.{prefix}".lstrip("."), network, prefixes - 1)


def _reduced(path: str) -> str:
    """The network's name without the words that say that it is a generator: `netG_A2B` becomes `a2b`."""
    parts = (re.sub(r"[^a-z0-9]", "", GENERATOR_WORDS.sub("", part.lower())) for part in reversed(path.split(".")))
    return next(filter(None, parts), "")


def _rank(path: str) -> tuple[int, int]:
    reduced = _reduced(path)
    order: tuple[Collection[str], ...] = (EMA_NAMES, (SINGLE_NAME, *REVERSED))
    ranks = [index for index, names in enumerate(order) if reduced in names]
    return (ranks[0] if ranks else 3 if reduced in REVERSED.values() else 2), len(path)


def _nothing_found(contents: Mapping[str, Any]) -> UserError:
    names = [f"{path}.{name}".lstrip(".") for path, tensors in state_dicts(contents).items() for name in tensors]
    if not names:
        return UserError("import.no_tensors", "the file holds no dict of tensors; give one with a network's state_dict")
    known = (
        "ResNet and U-Net generators (CycleGAN, pix2pix, CUT), fast style transfer networks, StyleGAN2 (ada) and R3GAN"
    )
    beginning = ", ".join(names[:4])
    message = (
        f"no known architecture has these {len(names)} tensors ({beginning}, ...); the known architectures are {known}"
    )
    return UserError("import.unknown_architecture", message)
