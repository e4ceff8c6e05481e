"""Our SqueezeNet 1.1 beside stored logits: trained weights, an input and what the net it was trained as says of it.

python benchmarks/squeezenet_logits.py WEIGHTS.safetensors INPUT.npy LOGITS.npy
"""

import sys
from pathlib import Path

import numpy as np
import torch

from stylegan_lab.nets.features.feature_net import DEVIATION, MEAN
from stylegan_lab.nets.features.squeezenet import squeezenet


@torch.no_grad()
def main() -> None:
    weights, given, said = map(Path, sys.argv[1:4])
    net = squeezenet(str(weights)).net
    normalised = torch.from_numpy(np.load(given))
    mean, deviation = (torch.tensor(values).view(1, 3, 1, 1) for values in (MEAN, DEVIATION))
    logits = net.logits((normalised * deviation + mean) * 2 - 1)
    apart = float((logits - torch.from_numpy(np.load(said)).flatten(1)).abs().max())
    print(f"largest difference of {logits.numel():,} logits: {apart:.2e}")


if __name__ == "__main__":
    main()
