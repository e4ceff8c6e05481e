"""PatchNCE, the contrastive loss of CUT (Park et al., 2020)."""

from collections.abc import Sequence

import torch
import torch.nn.functional as F
from torch import Tensor

from stylegan_lab.networks.encoders.patch_projector import PatchProjector
from stylegan_lab.precision import to_float32
from stylegan_lab.rng import batch_draw, device_of

MASKED_LOGIT = -10.0  # replaces a negative that is the positive itself


def patch_nce(queries: Tensor, keys: Tensor, temperature: float) -> Tensor:
    """Return the mean cross-entropy of a classification: each query has to pick its own key from the P keys of the same image.

    Queries and keys are unit vectors (N, P, C). No gradient flows to the keys.
    """
    queries, keys = to_float32(queries), to_float32(keys.detach())
    positive = (queries * keys).sum(dim=2, keepdim=True)
    with torch.autocast(queries.device.type, enabled=False):  # autocast would multiply in half precision
        negatives = queries @ keys.transpose(1, 2)
    diagonal = torch.eye(queries.shape[1], dtype=torch.bool, device=queries.device)
    logits = torch.cat([positive, negatives.masked_fill(diagonal, MASKED_LOGIT)], dim=2) / temperature
    return F.cross_entropy(
        logits.flatten(0, 1), torch.zeros(logits[..., 0].numel(), dtype=torch.long, device=logits.device)
    )


def patch_nce_of_layers(
    projector: PatchProjector, queries: Sequence[Tensor], keys: Sequence[Tensor], patches: int, temperature: float
) -> Tensor:
    """Return the mean of PatchNCE over the layers. The patch positions differ by layer, and are the same for all images of a
    batch."""
    counts = [each.shape[-2] * each.shape[-1] for each in queries]
    device = queries[0].device
    shuffled = batch_draw(
        lambda rng: [torch.randperm(count, generator=rng, device=device_of(rng)) for count in counts], device
    )
    positions = [order[:patches].to(device) for order in shuffled]
    projected_queries = projector(queries, positions)
    projected_keys = projector([key.detach() for key in keys], positions)
    pairs = zip(projected_queries, projected_keys, strict=True)
    return torch.stack([patch_nce(query, key, temperature) for query, key in pairs]).mean()
