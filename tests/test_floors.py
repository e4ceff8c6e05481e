"""The house: each floor imports only floors below it, and heavy libraries stay where they belong."""

import ast
from pathlib import Path

import pytest

import stylegan_lab

PACKAGE = Path(stylegan_lab.__file__).parent
# What may be imported from where, beside one's own floor. The three rooms of one floor never import each other.
BELOW: dict[str, set[str]] = {
    "mistake": set(),
    "choice": {"mistake"},
    "conf_dir": set(),
    "signature": {"mistake", "choice"},
    "environment": set(),
    "whole": set(),
    "better": set(),
    "page_style": set(),
    "aligned": set(),
    "alone": set(),
    "progress": set(),
    "fetch": {"mistake", "alone", "progress"},
    "manifest": {"whole"},
    "checkpoint": {"manifest", "whole", "mistake"},
    "images": {"mistake", "choice"},
    "nets": {"mistake", "choice", "fetch"},
    "losses": {"nets", "mistake", "choice"},
    "modules": {"losses", "nets", "images", "checkpoint", "manifest", "mistake", "choice"},
    "data": {
        "losses",
        "nets",
        "images",
        "mistake",
        "choice",
        "fetch",
        "alone",
        "progress",
        "whole",
        "hardware",
        "aligned",
    },
    "evaluation": {"losses", "nets", "images", "mistake", "choice", "fetch", "whole", "better"},
}
BELOW["runs"] = {"mistake", "choice", "images", "whole", "manifest"}
BELOW["loggers"] = {"runs", "mistake", "choice", "whole", "manifest", "images", "evaluation"}
BELOW["marks"] = {"data", "evaluation", "images", "better"}
BELOW["exam"] = {"marks", "modules", "data", "evaluation", "images"}
BELOW["callbacks"] = {
    "marks",
    "exam",
    "runs",
    "checkpoint",
    "manifest",
    *BELOW["modules"],
    "modules",
    "data",
    "evaluation",
}
BELOW["instantiate"] = {"mistake", "choice", "signature"}
BELOW["hardware"] = {"mistake"}
BELOW["resolvers"] = {"data"}
BELOW["checks"] = {
    "exam",
    *BELOW["callbacks"],
    "callbacks",
    "modules",
    "data",
    "instantiate",
    "signature",
    "conf_dir",
    "hardware",
}
BELOW["experiment"] = BELOW["callbacks"] | {
    "exam",
    "callbacks",
    "loggers",
    "instantiate",
    "conf_dir",
    "checks",
    "hardware",
    "resolvers",
}
BELOW["page_style"] = set()
BELOW["sweeps"] = {
    "aligned",
    "better",
    "page_style",
    "mistake",
    "choice",
    "whole",
    "runs",
    "instantiate",
    "hardware",
    "evaluation",
}
BELOW["reproduction"] = {
    "aligned",
    "better",
    "mistake",
    "choice",
    "whole",
    "runs",
    "conf_dir",
    "signature",
    "sweeps",
    "hardware",
    "environment",
}
BELOW["comparison"] = {
    "aligned",
    "better",
    "mistake",
    "choice",
    "whole",
    "page_style",
    "runs",
    "images",
    "evaluation",
    "sweeps",
}
BELOW["cli"] = BELOW["experiment"] | {
    "experiment",
    "environment",
    "progress",
    "sweeps",
    "comparison",
    "fetch",
    "reproduction",
    "whole",
    "better",
}
BELOW["__main__"] = {"cli"}
BELOW["__init__"] = set()

LIGHTNING = {"checks", "modules", "data", "callbacks", "loggers", "experiment", "cli"}
HYDRA = {
    "checks",
    "hardware",
    "resolvers",
    "cli",
    "instantiate",
    "runs",
    "experiment",
    "sweeps",
    "reproduction",
    "whole",
}


def imports(path: Path) -> set[str]:
    found = set()
    for node in ast.walk(ast.parse(path.read_text())):
        if isinstance(node, ast.Import):
            found |= {alias.name for alias in node.names}
        elif isinstance(node, ast.ImportFrom):
            assert node.level == 0, f"{path}: relative import"
            found.add(node.module or "")
    return found


FILES = sorted(PACKAGE.rglob("*.py"))


@pytest.mark.parametrize("path", FILES, ids=lambda path: str(path.relative_to(PACKAGE)))
def test_each_file_imports_only_what_lies_below(path: Path) -> None:
    floor = path.relative_to(PACKAGE).parts[0].removesuffix(".py")
    for name in imports(path):
        parts = name.split(".")
        if parts[0] == "stylegan_lab":
            assert parts[1] == floor or parts[1] in BELOW[floor], f"{floor} imports {name}"
        if parts[0] in ("lightning", "pytorch_lightning"):
            assert floor in LIGHTNING, f"{floor} imports {name}"
        if parts[0] in ("hydra", "omegaconf"):
            assert floor in HYDRA, f"{floor} imports {name}"
        assert parts[0] != "torchvision"


def test_every_floor_is_known() -> None:
    assert {path.relative_to(PACKAGE).parts[0].removesuffix(".py") for path in FILES} <= BELOW.keys()
