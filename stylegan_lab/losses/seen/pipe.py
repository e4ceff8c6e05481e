"""The changes of adaptive augmentation (Karras et al., 2020), all of one probability: pixels moved, geometry, colour."""

import math
from collections.abc import Callable

import torch
from torch import Tensor

from stylegan_lab.losses.draws import for_each
from stylegan_lab.losses.seen import Change
from stylegan_lab.losses.seen.warp import warped
from stylegan_lab.losses.terms import precise

GATES = 14  # one for each change
LUMA = 1 / 3**0.5  # of each channel on the grey axis


class Pipe:
    """Their `bgc`, sampled bilinearly without oversampling. `blit`: flips, quarter turns, whole pixels; `geometry`: scale, turns,
    stretch, shifts; `colour`: brightness, contrast and, of pictures in three channels, luma flip, hue, saturation; gray
    ones are inverted where those flip luma."""

    def __init__(self, blit: bool = True, geometry: bool = True, colour: bool = True) -> None:
        self.blit, self.geometry, self.colour = blit, geometry, colour

    def draw(self, images: Tensor, strength: float) -> Change:
        """`strength` is the probability of each change."""
        count = len(images)
        if strength <= 0:
            return lambda image: image
        dice = precise(images)  # in half precision places would be off by a pixel
        gate = for_each(count, lambda n, dice: torch.rand(n, GATES, generator=dice)).to(dice)
        even = for_each(count, lambda n, dice: torch.rand(n, GATES, generator=dice)).to(dice)
        bell = for_each(count, lambda n, dice: torch.randn(n, GATES, generator=dice)).to(dice)
        places = Matrices(gate, even, bell, strength)
        with torch.autocast(images.device.type, enabled=False):
            where = places.geometry(images.shape[-1], images.shape[-2], self.blit, self.geometry)
            colours = places.colour(images.shape[1]) if self.colour else None

        def change(image: Tensor) -> Tensor:
            with torch.autocast(image.device.type, enabled=False):
                image = precise(image)
                if self.blit or self.geometry:
                    image = warped(image, where)
                if colours is not None:
                    flat = image.flatten(2)
                    shown = colours[:, :-1, :-1] @ flat + colours[:, :-1, -1:]
                    image = shown.view_as(image)
                return image

        return change


class Matrices:
    """One for each picture, of what its dice say."""

    def __init__(self, gate: Tensor, even: Tensor, bell: Tensor, strength: float) -> None:
        self.gate, self.even, self.bell, self.strength = gate, even, bell, strength

    def geometry(self, width: int, height: int, blit: bool, geometry: bool) -> Tensor:
        """From places of the result to places of the picture."""
        all_of_it = _identity(self.gate, 3)
        if blit:
            flip = self._if(0, 1 - 2 * torch.floor(self.even[:, 0] * 2), 1.0)
            quarter = self._if(1, torch.floor(self.even[:, 1] * 4) * (math.pi / 2), 0.0)
            x, y = (self._if(2, ((self.even[:, place] * 2 - 1) * 0.125), 0.0) for place in (2, 3))
            all_of_it = all_of_it @ _scaling(flip, torch.ones_like(flip)) @ _turn(quarter, whole=True)
            all_of_it = all_of_it @ _shift((x * width).round(), (y * height).round())
        if geometry:
            turning = 1 - math.sqrt(
                max(0.0, 1 - self.strength)
            )  # twice, so that one of them happens as often as the others
            size = self._if(4, torch.exp2(self.bell[:, 4] * 0.2), 1.0)
            stretch = self._if(6, torch.exp2(self.bell[:, 6] * 0.2), 1.0)
            before, after = (self._if(place, (self.even[:, place] * 2 - 1) * math.pi, 0.0, turning) for place in (5, 7))
            x, y = (self._if(8, self.bell[:, place] * 0.125, 0.0) for place in (8, 9))
            all_of_it = all_of_it @ _scaling(1 / size, 1 / size) @ _turn(before) @ _scaling(1 / stretch, stretch)
            all_of_it = all_of_it @ _turn(after) @ _shift(x * width, y * height)
        return all_of_it

    def colour(self, channels: int) -> Tensor:
        """On (channels, 1)."""
        brightness = self._if(9, self.bell[:, 11] * 0.2, 0.0)
        contrast = self._if(10, torch.exp2(self.bell[:, 10] * 0.5), 1.0)
        matrix = _identity(self.gate, channels + 1)
        matrix[:, :-1, -1] = brightness[:, None]
        scale = torch.ones(len(self.gate), channels + 1).to(self.gate)
        scale[:, :-1] = contrast[:, None]
        matrix = torch.diag_embed(scale) @ matrix
        flip = self._if(11, torch.floor(self.even[:, 11] * 2), 0.0)[:, None, None]
        if channels == 1:
            scale = torch.cat([1 - 2 * flip, torch.ones_like(flip)], dim=2)[:, 0]
            return torch.diag_embed(scale) @ matrix
        if channels != 3:
            return matrix
        grey = torch.full((3,), LUMA).to(self.gate)
        onto_grey = torch.outer(grey, grey)
        hue = self._if(12, (self.even[:, 12] * 2 - 1) * math.pi, 0.0)
        saturation = self._if(13, torch.exp2(self.bell[:, 13]), 1.0)[:, None, None]
        unit = torch.eye(3).to(self.gate)
        of_colour = (onto_grey + (unit - onto_grey) * saturation) @ _hue(hue, grey) @ (unit - 2 * onto_grey * flip)
        return _with_one(of_colour) @ matrix

    def _if(self, place: int, value: Tensor, else_: float, strength: float | None = None) -> Tensor:
        """The value where the dice say that the change is made."""
        is_made = self.gate[:, place] < (self.strength if strength is None else strength)
        return torch.where(is_made, value, torch.full_like(value, else_))


def _identity(like: Tensor, side: int) -> Tensor:
    return torch.eye(side).to(like).repeat(len(like), 1, 1)


def _scaling(x: Tensor, y: Tensor) -> Tensor:
    return torch.diag_embed(torch.stack([x, y, torch.ones_like(x)], dim=1))


def _shift(x: Tensor, y: Tensor) -> Tensor:
    matrix = _identity(x, 3)
    matrix[:, 0, 2], matrix[:, 1, 2] = -x, -y
    return matrix


def _turn(angle: Tensor, whole: bool = False) -> Tensor:
    """`whole`: quarter turns to the last digit, so that pixels are moved and not mixed."""
    exact: Callable[[Tensor], Tensor] = torch.round if whole else lambda value: value
    cos, sin = exact(torch.cos(angle)), exact(torch.sin(angle))
    matrix = _identity(angle, 3)
    matrix[:, 0, 0], matrix[:, 0, 1], matrix[:, 1, 0], matrix[:, 1, 1] = cos, -sin, sin, cos
    return matrix


def _hue(angle: Tensor, axis: Tensor) -> Tensor:
    """Rodrigues' rotation of colours about the grey axis."""
    x, y, z = axis.tolist()
    cross = torch.tensor([[0, -z, y], [z, 0, -x], [-y, x, 0]]).to(axis)
    cos, sin = torch.cos(angle)[:, None, None], torch.sin(angle)[:, None, None]
    return torch.eye(3).to(axis) * cos + cross * sin + torch.outer(axis, axis) * (1 - cos)


def _with_one(matrix: Tensor) -> Tensor:
    whole = _identity(matrix, 4)
    whole[:, :3, :3] = matrix
    return whole
