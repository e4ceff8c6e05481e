"""PatchNCE (Park et al., 2020): a patch of the translation should be told from all others by the patch it was made from."""

import torch
import torch.nn.functional as F
from torch import Tensor

from stylegan_lab.losses.terms import precise

ITSELF = -10.0  # in place of a negative that is the positive: nearly no weight


def patch_nce(queries: Tensor, keys: Tensor, temperature: float) -> Tensor:
    """Of unit vectors (N, P, C): cross-entropy of finding the own key among the P of the same picture. Keys do not learn."""
    queries, keys = precise(queries), precise(keys.detach())
    positive = (queries * keys).sum(dim=2, keepdim=True)
    with torch.autocast(queries.device.type, enabled=False):  # which would multiply in half precision again
        negatives = queries @ keys.transpose(1, 2)
    itself = torch.eye(queries.shape[1], dtype=torch.bool, device=queries.device)
    logits = torch.cat([positive, negatives.masked_fill(itself, ITSELF)], dim=2) / temperature
    return F.cross_entropy(
        logits.flatten(0, 1), torch.zeros(logits[..., 0].numel(), dtype=torch.long, device=logits.device)
    )
