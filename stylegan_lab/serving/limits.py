"""The limits of the server: the sizes of uploads and images, the length of the queue, and the time for a request."""

from dataclasses import dataclass


@dataclass(frozen=True)
class Limits:
    """The limits of one server, which are set by flags of `stylegan-lab serve`.

    Args:
        upload_bytes: The maximum size of one request, which contains the image and the style image.
        pixels: The maximum number of pixels of an uploaded image, and of the result.
        queue: The maximum number of requests at a time. This includes the request that the model works on and
            requests that are still uploading.
        seconds: How long the model may work on one request.
        upload_seconds: How long the upload of a request may take, and also the download of its result.
    """

    upload_bytes: int = 32_000_000
    pixels: int = 24_000_000
    queue: int = 8
    seconds: float = 600.0
    upload_seconds: float = 60.0
