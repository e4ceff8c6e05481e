"""Our style net beside a published one: trained weights and the picture they were published with, given by a folder.

The weights are of a TensorFlow implementation of Johnson et al. (2016), raw float32 with a manifest; the picture is what it
made of chicago.jpg. Equal nets agree to about 42.9 dB (the published picture is a JPEG).

    python benchmarks/johnson_udnie.py FOLDER_OF_WEIGHTS CONTENT.jpg PUBLISHED.jpg OUT.png
"""

import json
import math
import sys
from pathlib import Path

import numpy as np
import torch
from torch import nn

from stylegan_lab.images.read import read_picture
from stylegan_lab.images.write import write_picture
from stylegan_lab.nets.johnson_translator import JohnsonTranslator


def fill(net: JohnsonTranslator, folder: Path) -> None:
    """Variables come in order: weight, shift, scale of each layer; convolutions as HWIO, transposed ones as HWOI."""
    manifest = json.loads((folder / "manifest.json").read_text())
    place = 0

    def following() -> torch.Tensor:
        nonlocal place
        name = "Variable" if place == 0 else f"Variable_{place}"
        place += 1
        numbers = np.fromfile(folder / name, dtype="<f4").reshape(manifest[name]["shape"])
        return torch.from_numpy(numbers)

    for layer in net.modules():
        if isinstance(layer, nn.Conv2d | nn.ConvTranspose2d):
            layer.weight.data = following().permute(3, 2, 0, 1).contiguous()
            assert layer.bias is not None
            layer.bias.data.zero_()
        elif isinstance(layer, nn.GroupNorm):
            layer.bias.data = following().flatten()
            layer.weight.data = following().flatten()


@torch.no_grad()
def main() -> None:
    weights, content, published, out = map(Path, sys.argv[1:5])
    net = JohnsonTranslator(form="tensorflow", norm_epsilon=1e-3)
    fill(net, weights)
    image = (read_picture(content)[None] + 1) * 127.5  # as it was trained: pixels from 0 to 255
    ours, theirs = net.eval()(image)[0, :, 2:476].clamp(-1, 1), read_picture(published)
    squared = ((ours - theirs) / 2).square().mean()
    write_picture(ours, out)
    print(f"PSNR {-10 * math.log10(float(squared)):.2f} dB, {sum(p.numel() for p in net.parameters()):,} parameters")


if __name__ == "__main__":
    main()
