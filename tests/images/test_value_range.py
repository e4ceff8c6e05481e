"""Conversions between bytes and floats."""

import torch

from stylegan_lab.images.value_range import from_bytes, to_bytes, to_unit, unit_to_bytes

BYTES = torch.arange(256, dtype=torch.uint8).reshape(1, 16, 16).expand(3, 16, 16).contiguous()


def test_bytes_survive_a_round_trip_through_floats() -> None:
    assert torch.equal(to_bytes(from_bytes(BYTES)), BYTES)
    assert from_bytes(BYTES).min() == -1 and from_bytes(BYTES).max() == 1


def test_floats_beyond_the_range_are_clipped_and_rounded() -> None:
    assert to_bytes(torch.tensor([-9.0, 9.0, 0.0])).tolist() == [0, 255, 128]


def test_images_from_bytes_are_sent_as_bytes_without_loss() -> None:
    unit = to_unit(from_bytes(torch.arange(256, dtype=torch.uint8)))
    sent = unit_to_bytes(unit)
    assert sent.dtype == torch.uint8 and torch.equal(sent.float() / 255, unit)
