"""What the server accepts: sizes of uploads and images, the length of the queue and the time of a request."""

from dataclasses import dataclass


@dataclass(frozen=True)
class Limits:
    """The limits of one server, which flags of `stylegan-lab serve` set.

    Args:
        upload_bytes: The size of one request: of the image and the style image together.
        pixels: The size of an uploaded image, and of the result.
        queue: The number of requests at a time, with the one that the model works on and those that are still uploading.
        seconds: How long the model may work on one request.
        upload_seconds: How long an upload may take, and the download of a result.
    """

    upload_bytes: int = 32_000_000
    pixels: int = 24_000_000
    queue: int = 8
    seconds: float = 600.0
    upload_seconds: float = 60.0
