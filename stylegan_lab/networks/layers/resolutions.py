"""The resolutions that a network passes through between its smallest feature map and the image, and the channels at each."""

from typing import Literal

from stylegan_lab.errors import UserError, check_at_least

SMALLEST = (4, 7)  # doubling these reaches 8, 16, 32, 64, ... and 14, 28, 56, ...
Role = Literal["generator", "discriminator"]


def downsampling_widths(role: Role, size: int, channels: int, max_channels: int) -> tuple[int, list[int]]:
    """Return the smallest resolution that halving `size` reaches (4 or 7), and the channels after each halving."""
    check_at_least(f"{role}.channels", channels, 1)
    for smallest in SMALLEST:
        n_downsample = (size // smallest).bit_length() - 1
        if n_downsample > 0 and smallest * 2**n_downsample == size:
            return smallest, [min(channels * 2**level, max_channels) for level in range(n_downsample)]
    raise UserError(
        "network.size_unsupported",
        f"{role}.size={size} must be 4 or 7 times a power of 2, such as 16, 28, 32, 64 or 128",
    )


def pyramid_levels(role: Role, size: int, channels: int, max_channels: int) -> tuple[list[int], list[int]]:
    """Return the resolutions and the channels of all levels, smallest resolution first. There are `channels` channels at full
    size, and twice as many at each halving, up to `max_channels`."""
    smallest, _ = downsampling_widths(role, size, channels, max_channels)
    n_levels = (size // smallest).bit_length()
    widths = [min(channels * 2**level, max_channels) for level in reversed(range(n_levels))]
    return [smallest * 2**level for level in range(n_levels)], widths


def divide_size(role: Role, size: int, divisor: int) -> int:
    """Return `size` / `divisor`. A remainder is an error."""
    if size % divisor or size < divisor:
        raise UserError("network.size_unsupported", f"{role}.size={size} must be a multiple of {divisor}")
    return size // divisor
