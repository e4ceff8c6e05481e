"""The notebooks run unchanged on tiny settings, and are committed with their outputs."""

import importlib.util
import json
import re
from pathlib import Path
from typing import Any

import pytest

from tests.reporting.baselines.baselines import settings_fingerprint_once

NOTEBOOKS = Path(__file__).parent.parent / "notebooks"
TINY = ["experiment=smoke", "evaluate=false", "logger=none"]
VALUES: dict[str, dict[str, Any]] = {
    "quickstart": {"overrides": TINY},
    "losses": {"overrides": TINY, "toy_steps": 10, "steps": 3},
    "variant": {"overrides": TINY},
    "compare": {"overrides": [*TINY, "evaluate=true", "iterations=4"], "seeds": (0, 1)},
    "reproduce": {},
}
ALL = sorted(path.stem for path in NOTEBOOKS.glob("*.ipynb"))


def read_notebook(name: str) -> dict[str, Any]:
    notebook: dict[str, Any] = json.loads((NOTEBOOKS / f"{name}.ipynb").read_text(encoding="utf-8"))
    return notebook


def code_cells(notebook: dict[str, Any]) -> list[dict[str, Any]]:
    return [cell for cell in notebook["cells"] if cell["cell_type"] == "code"]


@pytest.fixture(scope="module")
def execute() -> Any:
    spec = importlib.util.spec_from_file_location("execute", NOTEBOOKS / "execute.py")
    assert spec is not None and spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module.execute


@pytest.mark.parametrize("name", ALL)
def test_notebooks_run(name: str, execute: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("MPLBACKEND", "agg")
    monkeypatch.setattr("stylegan_lab.reporting.baselines.result.settings_fingerprint", settings_fingerprint_once)
    ran, _ = execute(read_notebook(name), VALUES[name])
    kinds = [[output["output_type"] for output in cell["outputs"]] for cell in code_cells(ran)]
    assert kinds == [[output["output_type"] for output in cell["outputs"]] for cell in code_cells(read_notebook(name))]


@pytest.mark.parametrize("name", ALL)
def test_notebooks_are_small_and_committed_with_their_outputs(name: str) -> None:
    cells = code_cells(read_notebook(name))
    assert [cell["execution_count"] for cell in cells] == list(range(1, len(cells) + 1))
    shown = [output for cell in cells for output in cell["outputs"]]
    assert any("image/png" in output.get("data", {}) for output in shown)
    assert (NOTEBOOKS / f"{name}.ipynb").stat().st_size < 300_000
    assert "/tmp/" not in json.dumps(shown) and "Traceback" not in json.dumps(shown)


@pytest.mark.parametrize("name", ALL)
def test_notebooks_define_no_functions_or_classes(name: str) -> None:
    """Code that a notebook needs belongs in the package."""
    for cell in code_cells(read_notebook(name)):
        source = "".join(cell["source"])
        assert source.startswith("%%writefile") or not re.search(r"^\s*(def|class) ", source, re.MULTILINE)


@pytest.mark.parametrize("name", ALL)
def test_links_of_notebooks_exist(name: str) -> None:
    text = "".join("".join(cell["source"]) for cell in read_notebook(name)["cells"] if cell["cell_type"] == "markdown")
    for target in re.findall(r"\]\(([^)#]+)", text):
        assert (NOTEBOOKS / target).exists(), target


def test_cells_show_printed_text_their_last_value_and_figures(execute: Any) -> None:
    source = "import matplotlib.pyplot as plt\nprint('printed')\nplt.plot([0, 1])\nvalue"
    parameters = {"cell_type": "code", "metadata": {"tags": ["parameters"]}, "source": ["value = 1"]}
    cell = {"cell_type": "code", "metadata": {}, "source": [source]}
    ran, names = execute({"cells": [parameters, cell]}, {"value": 2})
    printed, value, figure = ran["cells"][1]["outputs"]
    assert printed["text"] == "printed\n" and value["data"] == {"text/plain": "2"} and "image/png" in figure["data"]
    assert names["value"] == 2 and ran["cells"][1]["execution_count"] == 2
