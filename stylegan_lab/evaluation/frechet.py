"""The Fréchet distance of two crowds taken as Gaussians (Dowson & Landau, 1982; Heusel et al., 2017)."""

import torch

from stylegan_lab.evaluation.crowd import Crowd


def frechet_distance(one: Crowd, other: Crowd) -> float:
    """|m1 - m2|^2 + tr(C1) + tr(C2) - 2 tr((C1 C2)^1/2). With C = R^T R the last trace is the sum of the singular values of
    R1 R2^T, which is exact for covariances of any rank and never imaginary."""
    shift = (one.mean - other.mean).square().sum()
    spread = one.root.square().sum() + other.root.square().sum()
    shared = torch.linalg.svdvals(one.root @ other.root.T).sum()
    return max(0.0, float(shift + spread - 2 * shared))
