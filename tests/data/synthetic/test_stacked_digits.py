"""Stacked digits: 1,000 known modes."""

import torch

from stylegan_lab.data.synthetic.glyphs import GlyphsDataModule
from stylegan_lab.data.synthetic.stacked_digits import StackedDigitsDataModule, single_digits
from tests.refusals import refused


def test_a_stack_is_three_digits_and_its_label_is_their_number() -> None:
    digits = GlyphsDataModule(size=16, train_images=40, val_images=20)
    data = StackedDigitsDataModule(digits, size=16, batch_size=8, train_images=50, val_images=30)
    assert len(data.classes) == 1000 and data.classes[407] == "407"
    known = [digits.train_samples()[(0, index)] for index in range(40)]
    for index in range(10):
        stack = data.train_samples()[(3, index)]
        colors, labels = single_digits(stack["image"][None], stack["label"][None], 10)
        for color, label in zip(colors, labels, strict=True):
            assert any(torch.equal(color, one["image"]) and label == one["label"] for one in known)
    again = StackedDigitsDataModule(digits, size=16, train_images=50).train_samples()
    assert torch.equal(again[(0, 7)]["image"], data.train_samples()[(1, 7)]["image"])
    numbers = {int(data.held_out("val")[index]["label"]) for index in range(30)}
    assert len(numbers) > 25, "stacks differ"
    held_out = data.first_batch("val", 30)["image"].flatten(0, 1)[:, None]
    written = torch.cat([one["image"] for one in known])[:, None].float() / 127.5 - 1
    assert torch.cdist(held_out.flatten(1), written.flatten(1)).min() > 0, "no digit of the training is held out"


def test_digits_that_cannot_be_stacked_are_an_error() -> None:
    with refused("data.digits_mismatch", "data.digits", "data.channels"):
        StackedDigitsDataModule(GlyphsDataModule(channels=3))
