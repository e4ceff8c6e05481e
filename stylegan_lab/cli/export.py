"""`stylegan-lab export`: write a trained model as safetensors, ONNX or torch.export, or as a folder for the Hugging Face hub."""

from argparse import Namespace

from stylegan_lab.cli.parsers import EXPORT_FORMATS
from stylegan_lab.cli.translate import choose_direction
from stylegan_lab.errors import UserError
from stylegan_lab.export.exportable import exportable
from stylegan_lab.export.formats import FORMATS, export_file, require
from stylegan_lab.export.hub import export_hub, push
from stylegan_lab.models.generation.generative import GenerativeModel
from stylegan_lab.training.loaded_model import LoadedModel, load


def main(options: Namespace) -> int:
    kind = options.to or _format_of(options)
    if options.push is not None:
        if kind != "hub":
            raise UserError("export.push_needs_hub", "--push uploads a folder; give --to hub and a folder as OUT")
        require("huggingface_hub", extra="hub")
    model = load(options.run, options.checkpoint, use_ema=options.use_ema, trust=options.trust)
    model.module.cpu()
    model.module.style_seed = options.seed
    exported = exportable(model, _direction(model, options), options.license)
    is_hub, target = kind == "hub", options.target
    difference = export_hub(exported, target) if is_hub else export_file(exported, kind, target)
    for note in exported.notes:
        print(f"note       {note}")
    print(f"parity     max abs difference {difference:.2g} (float32, over several sizes)")
    print(f"written    {options.target}")
    if options.push is not None:
        print(f"pushed     {push(options.target, options.push)}")
    return 0


def _format_of(options: Namespace) -> str:
    suffix = options.target.suffix.lower().removeprefix(".")
    if suffix in FORMATS:
        return suffix
    if not suffix:
        return "hub"
    raise UserError(
        "export.unknown_format",
        f"{options.target} has no suffix of an export format; give --to {', '.join(EXPORT_FORMATS)}, or one of these as the suffix",
    )


def _direction(model: LoadedModel, options: Namespace) -> str:
    if isinstance(model.module, GenerativeModel):
        return ""
    is_domain = options.direction in model.domains
    return choose_direction(
        model,
        Namespace(to=options.direction if is_domain else None, direction=None if is_domain else options.direction),
    )
