"""Writes videos one frame at a time through PyAV. The sound, the frame times and the color tags can be taken from another video."""

import io
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager, suppress
from dataclasses import dataclass
from fractions import Fraction
from pathlib import Path
from typing import Any, BinaryIO

import torch
import torch.nn.functional as F
from torch import Tensor

from stylegan_lab.errors import UserError
from stylegan_lab.files.atomic_write import atomic_write
from stylegan_lab.images.photograph import on_white
from stylegan_lab.images.video_reader import Frame, UnreadableVideoError, VideoReader, converter, import_av

BT709, LIMITED, FULL = 1, 1, 2  # as FFmpeg numbers color spaces and ranges
GIF_DITHER = "new=1:dither=bayer"  # a palette for each frame, and a pattern that does not move
GIF_TICKS = 100  # per second
GIF_SHORTEST = 2  # ticks; players show shorter frames five times as long
OPUS_RATE = 48000


@dataclass(frozen=True)
class Format:
    """A container format, and the names of the encoders for its video and audio."""

    name: str
    video: str
    options: dict[str, str]
    audio: str | None


H264 = {"crf": "18"}
VP9 = {"crf": "24", "b": "0", "cpu-used": "4", "row-mt": "1"}
FORMATS = {
    ".mp4": Format("mp4", "libx264", H264, "aac"),
    ".mov": Format("mov", "libx264", H264, "aac"),
    ".mkv": Format("matroska", "libx264", H264, "aac"),
    ".webm": Format("webm", "libvpx-vp9", VP9, "libopus"),
    ".gif": Format("gif", "gif", {}, None),
}


@contextmanager
def open_writer(
    path: Path, rate: Fraction, time_base: Fraction, source: VideoReader | None = None
) -> Iterator["VideoWriter"]:
    """Open a VideoWriter. Its file replaces `path` when the block succeeds."""
    av = import_av(path)
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        with atomic_write(path) as file, VideoWriter(av, file, path, rate, time_base, source) as writer:
            yield writer
            writer.finish()
    except (OSError, av.FFmpegError) as error:
        raise UserError("video.not_writable", f"{path} cannot be written: {error.strerror or error}") from error


class VideoWriter:
    """Writes frames of one size, interleaved with the sound of `source`.

    Args:
        rate: Frames per second. This is information for players; the frames are shown at their own times.
        time_base: The unit of the times and durations of the frames, in seconds.
    """

    def __init__(
        self, av: Any, file: BinaryIO, path: Path, rate: Fraction, time_base: Fraction, source: VideoReader | None
    ) -> None:
        self.av, self.path, self.rate, self.time_base, self.source = av, path, rate, time_base, source
        self.format = FORMATS[path.suffix.lower()]
        if self.format.video not in av.codecs_available:
            raise UserError(
                "video.encoder_missing",
                f"{path} needs the encoder {self.format.video}, which the installed PyAV lacks; choose another suffix",
            )
        loops = {"loop": str(source.loops if source else 0)} if self.format.name == "gif" else {}
        self.opened = ExitStack()
        self.container = self.opened.enter_context(av.open(file, "w", format=self.format.name, options=loops))
        self.encoder: Encoder | None = None
        self.audio: Audio | None = None
        self.notes: list[str] = []  # on what could not be kept

    def __enter__(self) -> "VideoWriter":
        return self

    def __exit__(self, *_: object) -> None:
        with suppress(self.av.FFmpegError, OSError):  # of a video that is not finished: the error before it counts
            self.opened.close()

    def write(self, frame: Frame) -> None:
        if self.encoder is None:
            self.encoder = self._start(*frame.colors.shape[1:])
        self.container.mux(self.encoder.encode(frame))
        if self.audio is not None:
            self.audio.copy(until=frame.time * self.time_base)

    def finish(self) -> None:
        if self.encoder is None:
            raise UnreadableVideoError(
                self.source.path if self.source else self.path, "has no frames", "video.no_frames"
            )
        self.container.mux(self.encoder.flush())
        if self.audio is not None:
            self.audio.copy(until=None)
        self.container.close()

    def _start(self, height: int, width: int) -> "Encoder":
        encoder = (GIFEncoder if self.format.name == "gif" else Encoder)(self, height, width)
        if self.source is None:
            return encoder
        if self.source.container.streams.audio:
            if self.format.audio is None:
                self.notes.append(f"{self.path} has no sound, which a GIF cannot hold")
            else:
                self.audio = Audio(self, self.source)
        left_out = {stream.type or "unknown" for stream in self.source.container.streams} - {"video", "audio"}
        self.notes += [f"{self.path}: its {kind} streams are left out" for kind in sorted(left_out)]
        return encoder


class Encoder:
    """Encodes frames as 4:2:0. This needs even sizes, so odd ones are padded by repeating the last row or column."""

    pixels = "yuv420p"
    multiple = 2

    def __init__(self, writer: VideoWriter, height: int, width: int) -> None:
        self.av, self.time_base = writer.av, writer.time_base
        self.bottom, self.right = -height % self.multiple, -width % self.multiple
        self.stream = writer.container.add_stream(
            writer.format.video, writer.rate, writer.format.options,
            height=height + self.bottom, width=width + self.right, pix_fmt=self.pixels, time_base=self.time_base,
        )  # fmt: skip
        self.context = self.stream.codec_context
        self.context.flags |= self.av.codec.context.Flags.frame_duration
        self.convert = converter(self.av)
        if self.pixels == "yuv420p":
            self._set_colors(writer.source)

    def _set_colors(self, source: VideoReader | None) -> None:
        """Give the video the color tags of the source, or of BT.709 if that is RGB."""
        stream = None if source is None else source.stream
        if stream is not None and (stream.format.is_rgb or stream.format.has_palette):
            stream = None
        self.context.color_range = LIMITED if stream is None else stream.color_range
        for tag in ("colorspace", "color_primaries", "color_trc"):
            setattr(self.context, tag, BT709 if stream is None else getattr(stream, tag))

    def encode(self, frame: Frame) -> list[Any]:
        if frame.pixel_aspect is not None and not self.context.is_open:
            self.context.sample_aspect_ratio = frame.pixel_aspect
        colors = frame.colors if frame.alpha is None else on_white(frame.colors, frame.alpha)
        padded = F.pad(colors[None].float(), (0, self.right, 0, self.bottom), mode="replicate")[0].byte()
        rgb = self._av_frame(padded, "rgb24", frame.time, frame.duration)
        converted = self.convert(
            rgb,
            format=self.pixels,
            dst_colorspace=self.context.colorspace,
            dst_color_range=self.context.color_range,
        )
        packets: list[Any] = self.stream.encode(converted)
        return packets

    def flush(self) -> list[Any]:
        packets: list[Any] = self.stream.encode(None)
        return packets

    def _av_frame(self, channels: Tensor, pixels: str, time: int, duration: int) -> Any:
        made = self.av.VideoFrame.from_ndarray(channels.permute(1, 2, 0).contiguous().numpy(), format=pixels)
        made.pts, made.duration, made.time_base = time, duration, self.time_base
        return made


class GIFEncoder(Encoder):
    """Encodes each frame with its own palette. A frame that follows the last one by less than two hundredths of a second is left
    out."""

    pixels = "pal8"
    multiple = 1

    def __init__(self, writer: VideoWriter, height: int, width: int) -> None:
        super().__init__(writer, height, width)
        self.seconds, self.time_base = self.time_base, Fraction(1, GIF_TICKS)
        self.context.time_base = self.time_base
        self.last: int | None = None
        graph = self.av.filter.Graph()
        images = graph.add_buffer(
            width=width, height=height, format=self.av.VideoFormat("rgba"), time_base=self.time_base
        )
        split, palette = graph.add("split"), graph.add("palettegen", "stats_mode=single")
        quantize, output = graph.add("paletteuse", GIF_DITHER), graph.add("buffersink")
        images.link_to(split)
        split.link_to(quantize)
        split.link_to(palette, 1)
        palette.link_to(quantize, 0, 1)
        quantize.link_to(output)
        graph.configure()
        self.graph = graph

    def encode(self, frame: Frame) -> list[Any]:
        time, duration = (round(each * self.seconds * GIF_TICKS) for each in (frame.time, frame.duration))
        if self.last is not None and time - self.last < GIF_SHORTEST:
            return []
        self.last = time
        alpha = torch.full_like(frame.colors[:1], 255) if frame.alpha is None else frame.alpha
        colors = torch.cat([frame.colors, alpha])
        self.graph.push(self._av_frame(colors, "rgba", time, max(GIF_SHORTEST, duration)))
        packets: list[Any] = self.stream.encode(self.graph.vpull())
        return packets


class Audio:
    """Copies the sound of a video to the output. Sound that the container cannot hold is encoded again.

    The source is opened a second time for its sound, so that no sound waits in memory until its frames are written.
    """

    def __init__(self, writer: VideoWriter, source: VideoReader) -> None:
        assert writer.format.audio is not None
        self.container, self.notes = writer.container, writer.notes
        self.reader = writer.opened.enter_context(VideoReader(source.path))
        self.copies: dict[int, Any] = {}
        self.encoders: dict[int, Any] = {}
        for stream in self.reader.container.streams.audio:
            if stream.codec_context is None:
                self.notes.append(f"{writer.path}: sound of an unknown codec is left out")
                continue
            if self._can_hold(writer, stream):
                output = self.copies[stream.index] = self.container.add_stream_from_template(stream)
            else:
                output = self.encoders[stream.index] = self._encoder(writer.format.audio, stream)
                was, now = stream.codec_context.name, output.codec_context.name
                self.notes.append(f"{writer.path}: its sound is encoded again, from {was} to {now}")
            if stream.language:
                output.metadata["language"] = stream.language
        streams = [each for each in self.reader.container.streams.audio if each.index in self.copies | self.encoders]
        self.packets = self.reader.packets(streams) if streams else iter(())

    def copy(self, until: Fraction | None) -> None:
        """Write the sound up to the time `until`, in seconds, or all remaining sound if it is None."""
        for packet in self.packets:
            index = packet.stream.index
            if index in self.encoders:
                for decoded in self.reader.decode(packet):
                    self.container.mux(self.encoders[index].encode(decoded))
            elif packet.size:  # the last is empty
                packet.stream = self.copies[index]
                self.container.mux(packet)
            if until is not None and packet.dts is not None and packet.dts * packet.time_base > until:
                return
        for encoder in self.encoders.values():
            self.container.mux(encoder.encode(None))
        self.encoders = {}

    def _can_hold(self, writer: VideoWriter, stream: Any) -> bool:
        """Whether the container can hold a stream as it is: some say so only when the header is written."""
        try:
            with writer.av.open(io.BytesIO(), "w", format=writer.format.name) as trial:
                trial.add_stream_from_template(stream)
                trial.start_encoding()
        except (ValueError, writer.av.FFmpegError):
            return False
        return True

    def _encoder(self, codec: str, stream: Any) -> Any:
        encoder = self.container.add_stream(codec, OPUS_RATE if codec == "libopus" else stream.rate)
        encoder.layout = stream.layout
        return encoder
