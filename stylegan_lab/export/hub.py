"""A folder for the Hugging Face hub: weights, config, and a model card with samples, data, scores and limits."""

import json
import shutil
from collections.abc import Mapping
from importlib import metadata
from pathlib import Path
from typing import Any

from jinja2 import Environment, PackageLoader, StrictUndefined

from stylegan_lab.errors import UserError
from stylegan_lab.export.exportable import Exportable, latest_evaluations, shareable_config
from stylegan_lab.export.formats import export_file, require
from stylegan_lab.files.atomic_write import write_text_atomic
from stylegan_lab.models.generation.generative import GenerativeModel
from stylegan_lab.runs.reader import read_environment
from stylegan_lab.runs.run import Run
from stylegan_lab.training.loaded_model import LoadedModel

WEIGHTS = "model.safetensors"


def export_hub(exported: Exportable, folder: Path) -> float:
    """Write the folder. Returns the maximum absolute difference of its weights' outputs to the model's."""
    model = exported.model
    difference = export_file(exported, "safetensors", folder / WEIGHTS)
    write_text_atomic(folder / "config.json", json.dumps(shareable_config(model), indent=2) + "\n")
    samples = sorted(Run(model.run).samples.glob("*.png")) if model.run is not None else []
    if samples:
        shutil.copyfile(samples[-1], folder / "samples.png")
    write_text_atomic(folder / "README.md", model_card(exported, bool(samples), difference))
    return difference


def model_card(exported: Exportable, has_samples: bool, difference: float) -> str:
    model, config = exported.model, shareable_config(exported.model)
    loader = PackageLoader("stylegan_lab.export", "templates")
    environment = Environment(loader=loader, undefined=StrictUndefined, trim_blocks=True, lstrip_blocks=True)
    return environment.get_template("model_card.md.j2").render(
        name=exported.metadata["model"],
        license=exported.metadata["license"],
        generates=isinstance(model.module, GenerativeModel),
        directions=model.directions,
        domains=model.domains,
        classes=model.classes,
        iteration=model.module.iteration,
        size=config["data"].get("size"),
        data=_settings(
            config["data"], ("_target_", "root", "a", "b", "domains", "classes", "size", "channels", "dataset_seed")
        ),
        model_settings=_settings(config["model"], ("_target_",)),
        commit=_commit(model),
        version=metadata.version("stylegan_lab"),
        evaluations=latest_evaluations(model),
        has_samples=has_samples,
        difference=f"{difference:.1g}",
        notes=exported.notes,
    )


def _settings(config: Any, names: tuple[str, ...]) -> Mapping[str, Any]:
    return {name: config[name] for name in names if config.get(name) is not None}


def _commit(model: LoadedModel) -> str | None:
    try:
        return read_environment(Run(model.run)).get("commit") if model.run is not None else None
    except (UserError, ValueError):
        return None


def push(folder: Path, repository: str) -> str:
    """Upload the folder to a model repository of the hub, which is made if there is none. Returns its address."""
    require("huggingface_hub", extra="hub")
    from huggingface_hub import HfApi

    try:
        api = HfApi()
        api.create_repo(repository, repo_type="model", exist_ok=True)
        api.upload_folder(folder_path=str(folder), repo_id=repository, repo_type="model")
    except Exception as error:  # of the network, the account or the name
        reason = str(error).strip().splitlines()[0]
        raise UserError(
            f"--push {repository}: {reason}; the folder {folder} is complete and can be uploaded later"
        ) from error
    return f"https://huggingface.co/{repository}"
