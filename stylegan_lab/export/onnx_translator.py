"""Translates images with an exported ONNX file in ONNX Runtime. The run that the file was exported from is not needed."""

import json
from pathlib import Path
from typing import Any

import torch
from torch import Tensor

from stylegan_lab.errors import UserError
from stylegan_lab.training.image_translator import ImageTranslator


def open_session(path: Path) -> Any:
    """Open an inference session on the CPU, with as many threads as torch uses."""
    try:
        import onnxruntime
    except ImportError:
        raise UserError(
            "export.package_missing",
            f"{path} needs onnxruntime, which is not installed; run pip install 'stylegan_lab[export]'",
        ) from None
    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads, options.log_severity_level = torch.get_num_threads(), 3
    try:
        return onnxruntime.InferenceSession(str(path), options, providers=["CPUExecutionProvider"])
    except Exception as error:  # it raises classes of its own
        raise UserError(
            "export.unreadable",
            f"{path} cannot be read as an ONNX model; export it again: {str(error).splitlines()[0]}",
        ) from error


class OnnxTranslator(ImageTranslator):
    """Translates with an exported ONNX model. Large images are translated in overlapping tiles, because the statistics of the whole
    image cannot be passed to an exported graph."""

    def __init__(self, path: Path, whole_pixels: int | None = None) -> None:
        if not path.is_file():
            raise UserError("export.not_found", f"{path} does not exist; give a file that stylegan-lab export wrote")
        self.session = open_session(path)
        about = self.session.get_modelmeta().custom_metadata_map
        if about.get("format") != "stylegan_lab" or "multiple_of" not in about:
            raise UserError(
                "export.not_an_export",
                f"{path} was not written by stylegan-lab export of an image-to-image model, so it does not say which images it "
                "takes; export the run again, or make a run of the network's PyTorch weights with stylegan-lab import",
            )
        super().__init__(
            f"{path} ({about['model']})",
            int(about["multiple_of"]),
            int(about["min_size"]),
            torch.device("cpu"),
            whole_pixels,
        )
        self.direction, self.config = about["direction"], json.loads(about["config"])

    def translate_padded(self, padded: Tensor) -> Tensor:
        (output,) = self.session.run(None, {"image": padded.numpy()})
        return torch.from_numpy(output)
