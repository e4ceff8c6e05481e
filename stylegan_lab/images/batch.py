"""What a batch is. Images are (N, C, H, W) floats in [-1, 1]; `a` is the source and `b` the target."""

from typing import TypedDict

from torch import Tensor


class Unpaired(TypedDict):
    """Two pictures that have nothing to do with each other."""

    a: Tensor
    b: Tensor


class Pair(Unpaired):
    """The same thing seen in both domains; serves wherever Unpaired does."""


class Stylized(Unpaired):
    """Content, and beside it a picture of the style, the same one each time; serves wherever Unpaired does."""


class Domains(Unpaired):
    """`a` is of the domain numbered `source`; `b`, and an`other` picture, are of the one numbered `target`. Both domains
    change from sample to sample."""

    other: Tensor
    source: Tensor
    target: Tensor


class Plain(TypedDict):
    image: Tensor


class Labelled(Plain):
    """A picture and its class; serves wherever Plain does."""

    label: Tensor


Kind = type  # one of the classes above


WORDS: dict[Kind, str] = {  # for messages
    Unpaired: "two unpaired domains",
    Pair: "true pairs",
    Stylized: "content and one picture of the style",
    Domains: "several domains",
    Plain: "pictures",
    Labelled: "labelled pictures",
}


def serves(given: Kind | None, wanted: Kind) -> bool:
    """Whether batches of the `given` kind hold all that the `wanted` kind promises, in its meaning. None: it is not yet known."""
    return given is wanted or (given is not None and wanted in _ANCESTORS.get(given, ()))


_ANCESTORS: dict[Kind, tuple[Kind, ...]] = {Pair: (Unpaired,), Stylized: (Unpaired,), Labelled: (Plain,)}
