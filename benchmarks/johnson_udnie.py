"""Compare the output of JohnsonGenerator with a published stylization, using the published weights.

The weights come from a TensorFlow implementation of Johnson et al. (2016), and are stored as raw float32 with a manifest.
The published image is the stylization of chicago.jpg by that implementation. Identical networks agree only to about 42.9
dB, because the published image is a JPEG.

    python benchmarks/johnson_udnie.py FOLDER_OF_WEIGHTS CONTENT.jpg PUBLISHED.jpg OUT.png
"""

import json
import math
import sys
from pathlib import Path

import numpy as np
import torch
from torch import nn

from stylegan_lab.images.image_io import read_image, write_image
from stylegan_lab.networks.generators.johnson import JohnsonGenerator


def load_weights(net: JohnsonGenerator, folder: Path) -> None:
    """Load the published weights. The variables of each layer are weight, shift and scale. Convolutions are stored as HWIO,
    and transposed convolutions as HWOI."""
    manifest = json.loads((folder / "manifest.json").read_text())
    index = 0

    def next_variable() -> torch.Tensor:
        nonlocal index
        name = "Variable" if index == 0 else f"Variable_{index}"
        index += 1
        values = np.fromfile(folder / name, dtype="<f4").reshape(manifest[name]["shape"])
        return torch.from_numpy(values)

    for layer in net.modules():
        if isinstance(layer, nn.Conv2d | nn.ConvTranspose2d):
            layer.weight.data = next_variable().permute(3, 2, 0, 1).contiguous()
            assert layer.bias is not None
            layer.bias.data.zero_()
        elif isinstance(layer, nn.GroupNorm):
            layer.bias.data = next_variable().flatten()
            layer.weight.data = next_variable().flatten()


@torch.no_grad()
def main() -> None:
    weights, content, published, out = map(Path, sys.argv[1:5])
    net = JohnsonGenerator(implementation="tensorflow", norm_epsilon=1e-3)
    load_weights(net, weights)
    image = (read_image(content)[None] + 1) * 127.5  # the network was trained on pixels from 0 to 255
    ours, theirs = net.eval()(image)[0, :, 2:476].clamp(-1, 1), read_image(published)
    squared = ((ours - theirs) / 2).square().mean()
    write_image(ours, out)
    print(f"PSNR {-10 * math.log10(float(squared)):.2f} dB, {sum(p.numel() for p in net.parameters()):,} parameters")


if __name__ == "__main__":
    main()
