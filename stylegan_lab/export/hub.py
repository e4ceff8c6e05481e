"""Writes a folder for the Hugging Face hub: weights, config, and a model card with samples, data, scores and limits."""

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

WEIGHTS, CONFIG, SAMPLES, CARD = FILES = ("model.safetensors", "config.json", "samples.png", "README.md")


def export_hub(exported: Exportable, folder: Path) -> float:
    """Write the folder to upload. Returns the maximum absolute difference between outputs computed with the written weights and
    outputs of the model."""
    model = exported.model
    difference = export_file(exported, "safetensors", folder / WEIGHTS)
    write_text_atomic(folder / CONFIG, json.dumps(shareable_config(model), indent=2) + "\n")
    samples = sorted(Run(model.run).samples.glob("*.png")) if model.run is not None else []
    if samples:
        shutil.copyfile(samples[-1], folder / SAMPLES)
    else:
        (folder / SAMPLES).unlink(missing_ok=True)  # of an earlier export
    write_text_atomic(folder / CARD, model_card(exported, bool(samples), difference))
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
    """Upload the folder that `export_hub` wrote to a model repository of the hub. The repository is created if it does not exist.
    Returns its URL."""
    require("huggingface_hub", extra="hub")
    from huggingface_hub import HfApi

    try:
        api = HfApi()
        created = api.create_repo(repository, repo_type="model", exist_ok=True)
        api.upload_folder(
            folder_path=str(folder), repo_id=created.repo_id, repo_type="model", allow_patterns=list(FILES)
        )
    except Exception as error:  # of the network, the account or the name
        code, problem = _problem(error)
        raise UserError(
            code, f"--push {repository}: {problem}. The folder {folder} is complete; repeat the command to upload it"
        ) from error
    return str(created)


def _problem(error: Exception) -> tuple[str, str]:
    """The error code of a failed upload, and what is wrong and what to do."""
    from huggingface_hub import errors

    response = getattr(error, "response", None)
    status = None if response is None else response.status_code
    if isinstance(error, errors.LocalTokenNotFoundError) or status == 401:
        return (
            "export.hub_login_missing",
            "you are not logged in; run hf auth login, or set HF_TOKEN to a token that may write",
        )
    if status == 403:
        return (
            "export.hub_not_allowed",
            "your token may not write to this repository; give one of your own, and a token that may write (hf auth login)",
        )
    if isinstance(error, errors.OfflineModeIsEnabled):
        return "export.hub_offline", "HF_HUB_OFFLINE is set, so nothing can be uploaded; unset this variable"
    reason = (str(error).strip() or type(error).__name__).splitlines()[0].rstrip(".")
    if isinstance(error, errors.HFValidationError):
        return "export.hub_invalid_name", f"{reason}; give a name such as me/ukiyoe"
    if status is not None:
        return "export.hub_failed", reason
    return "export.hub_unreachable", f"the hub cannot be reached ({reason}); check the network"
