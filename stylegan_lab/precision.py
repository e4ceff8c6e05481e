"""The precision that losses are computed in, and TF32, the reduced precision of float32 on GPUs."""

from collections.abc import Iterator
from contextlib import contextmanager

import torch
from torch import Tensor


def to_float32(x: Tensor) -> Tensor:
    """Convert half-precision tensors to float32, in which losses are computed. float64 is left as it is."""
    return x.float() if x.dtype in (torch.float16, torch.bfloat16) else x


@contextmanager
def use_tf32(enabled: bool) -> Iterator[None]:
    """Allow TF32 within the context, or compute in full float32. TF32 rounds the factors of matrix products and convolutions to
    10 bits of mantissa, on GPUs that have it. It can also be used as a decorator."""
    before = torch.get_float32_matmul_precision(), torch.backends.cudnn.allow_tf32
    torch.set_float32_matmul_precision("high" if enabled else "highest")
    torch.backends.cudnn.allow_tf32 = enabled
    try:
        yield
    finally:
        torch.set_float32_matmul_precision(before[0])
        torch.backends.cudnn.allow_tf32 = before[1]
