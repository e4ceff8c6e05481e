"""Stacked digits: 1,000 modes that are known."""

import pytest
import torch

from stylegan_lab.data.glyphs_data import GlyphsData
from stylegan_lab.data.stacked import StackedDigits, single_digits
from stylegan_lab.mistake import Mistake


def test_a_stack_is_three_digits_and_its_label_their_number() -> None:
    digits = GlyphsData(size=16, train_scenes=40, val_scenes=20)
    data = StackedDigits(digits, size=16, batch_size=8, train_stacks=50, val_stacks=30)
    assert len(data.classes) == 1000 and data.classes[407] == "407"
    known = [digits.train_samples()[(0, index)] for index in range(40)]
    for index in range(10):
        stack = data.train_samples()[(3, index)]
        colours, labels = single_digits(stack["image"][None], stack["label"][None], 10)
        for colour, label in zip(colours, labels, strict=True):
            assert any(torch.equal(colour, one["image"]) and label == one["label"] for one in known)
    again = StackedDigits(digits, size=16, train_stacks=50).train_samples()
    assert torch.equal(again[(0, 7)]["image"], data.train_samples()[(1, 7)]["image"])
    numbers = {int(data.held_out("val")[index]["label"]) for index in range(30)}
    assert len(numbers) > 25, "stacks differ"
    held_out = data.first("val", 30)["image"].flatten(0, 1)[:, None]
    written = torch.cat([one["image"] for one in known])[:, None].float() / 127.5 - 1
    assert torch.cdist(held_out.flatten(1), written.flatten(1)).min() > 0, "no digit of the training is held out"


def test_what_cannot_be_stacked_is_told() -> None:
    with pytest.raises(Mistake, match="labelled pictures of 1 channel and 32 pixels are expected"):
        StackedDigits(GlyphsData(channels=3))
