"""Compare the logits that SqueezeNet 1.1 computes from the published weights and a stored input with stored logits.

python benchmarks/squeezenet_logits.py WEIGHTS.safetensors INPUT.npy LOGITS.npy
"""

import sys
from pathlib import Path

import numpy as np
import torch

from stylegan_lab.networks.features.feature_net import IMAGENET_MEAN, IMAGENET_STD
from stylegan_lab.networks.features.squeezenet import squeezenet


@torch.no_grad()
def main() -> None:
    weights, inputs, expected = map(Path, sys.argv[1:4])
    net = squeezenet(str(weights)).net
    normalized = torch.from_numpy(np.load(inputs))
    mean, std = (torch.tensor(values).view(1, 3, 1, 1) for values in (IMAGENET_MEAN, IMAGENET_STD))
    logits = net.logits((normalized * std + mean) * 2 - 1)
    difference = float((logits - torch.from_numpy(np.load(expected)).flatten(1)).abs().max())
    print(f"largest difference of {logits.numel():,} logits: {difference:.2e}")


if __name__ == "__main__":
    main()
