"""Run notebooks in this process, and save the outputs of their cells: python notebooks/execute.py [NAME ...]

No Jupyter kernel is needed. Of the magics only `%%writefile` works. Tests override the values of the cell tagged `parameters`.
"""

import ast
import base64
import io
import json
import os
import re
import sys
import tempfile
from collections.abc import Iterator, Mapping
from contextlib import contextmanager, redirect_stdout
from pathlib import Path
from typing import Any

from PIL import Image

HERE = Path(__file__).resolve().parent
PROGRESS = re.compile(r"^\d+/\d+  .*\n(?=\d+/\d+  )", re.MULTILINE)  # all progress lines but the last


def execute(
    notebook: Mapping[str, Any], values: Mapping[str, Any] | None = None
) -> tuple[dict[str, Any], dict[str, Any]]:
    """Run a notebook in the current folder. Returns it with its outputs, and the variables at its end."""
    cells, variables, count = [], {"__name__": "__main__"}, 0
    for cell in notebook["cells"]:
        if cell["cell_type"] == "code":
            count += 1
            cell = {**cell, "execution_count": count, "outputs": list(run_cell("".join(cell["source"]), variables))}
            if "parameters" in cell["metadata"].get("tags", []):
                variables |= values or {}
        cells.append(cell)
    return {**notebook, "cells": cells}, variables


def run_cell(source: str, variables: dict[str, Any]) -> Iterator[dict[str, Any]]:
    """Yield the outputs of a cell: what it prints, the value of its last line, and its figures."""
    import matplotlib.pyplot as plt

    if source.startswith("%%writefile "):
        first, text = source.split("\n", 1)
        path = Path(first.split()[1])
        path.write_text(text)
        yield stream(f"Writing {path}\n")
        return
    code = ast.parse(source)
    last = ast.Expression(code.body.pop().value) if isinstance(code.body[-1], ast.Expr) else None  # type: ignore[attr-defined]
    stdout = io.StringIO()
    with redirect_stdout(stdout):
        exec(compile(code, "cell", "exec"), variables)
        value = eval(compile(last, "cell", "eval"), variables) if last else None
    if text := stdout.getvalue():
        yield stream(PROGRESS.sub("", text.replace(f"{Path.cwd()}{os.sep}", "")))
    if value is not None and not source.rstrip().endswith(";"):
        yield {"output_type": "execute_result", "execution_count": None, "data": display_data(value), "metadata": {}}
    for number in plt.get_fignums():
        figure = io.BytesIO()
        plt.figure(number).savefig(figure, dpi=60, bbox_inches="tight")
        plt.close(number)
        yield {"output_type": "display_data", "data": display_data(Image.open(figure).convert("RGB")), "metadata": {}}


def display_data(value: Any) -> dict[str, str]:
    """Images are reduced to 256 colors, to keep the notebooks small."""
    if isinstance(value, Image.Image):
        png = io.BytesIO()
        value.convert("RGB").quantize(256).save(png, "PNG", optimize=True)
        return {
            "image/png": base64.b64encode(png.getvalue()).decode(),
            "text/plain": f"{value.width} x {value.height}",
        }
    data = {"text/plain": value if isinstance(value, str) else repr(value)}
    return data | ({"text/html": value._repr_html_()} if hasattr(value, "_repr_html_") else {})


def stream(text: str) -> dict[str, Any]:
    return {"output_type": "stream", "name": "stdout", "text": text}


@contextmanager
def temporary_folder() -> Iterator[None]:
    before = Path.cwd()
    with tempfile.TemporaryDirectory() as folder:
        os.chdir(folder)
        try:
            yield
        finally:
            os.chdir(before)


def main(selected: list[str]) -> None:
    os.environ["MPLBACKEND"] = "agg"
    for path in sorted(HERE.glob("*.ipynb")):
        if not selected or path.stem in selected:
            with temporary_folder():
                notebook, _ = execute(json.loads(path.read_text(encoding="utf-8")))
            path.write_text(json.dumps(notebook, indent=1, ensure_ascii=False) + "\n", encoding="utf-8")
            print(f"{path.name}  {path.stat().st_size // 1000} kB")


if __name__ == "__main__":
    main(sys.argv[1:])
