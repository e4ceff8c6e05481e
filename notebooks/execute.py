"""Run notebooks in this process, and keep what their cells show: python notebooks/execute.py [NAME ...]

Without a kernel: plain Python, and `%%writefile`. The cell tagged `parameters` may be followed by other values.
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
PROGRESS = re.compile(r"^\d+/\d+  .*\n(?=\d+/\d+  )", re.MULTILINE)  # all but the last line of it


def execute(
    notebook: Mapping[str, Any], values: Mapping[str, Any] | None = None
) -> tuple[dict[str, Any], dict[str, Any]]:
    """The notebook with its outputs, run in the current folder, and what its names stand for at the end."""
    cells, names, count = [], {"__name__": "__main__"}, 0
    for cell in notebook["cells"]:
        if cell["cell_type"] == "code":
            count += 1
            cell = {**cell, "execution_count": count, "outputs": list(shown("".join(cell["source"]), names))}
            if "parameters" in cell["metadata"].get("tags", []):
                names |= values or {}
        cells.append(cell)
    return {**notebook, "cells": cells}, names


def shown(source: str, names: dict[str, Any]) -> Iterator[dict[str, Any]]:
    """What a cell prints, the value of its last line, its figures."""
    import matplotlib.pyplot as plt

    if source.startswith("%%writefile "):
        first, text = source.split("\n", 1)
        path = Path(first.split()[1])
        path.write_text(text)
        yield printed(f"Writing {path}\n")
        return
    code = ast.parse(source)
    last = ast.Expression(code.body.pop().value) if isinstance(code.body[-1], ast.Expr) else None  # type: ignore[attr-defined]
    said = io.StringIO()
    with redirect_stdout(said):
        exec(compile(code, "cell", "exec"), names)
        value = eval(compile(last, "cell", "eval"), names) if last else None
    if text := said.getvalue():
        yield printed(PROGRESS.sub("", text.replace(f"{Path.cwd()}{os.sep}", "")))
    if value is not None and not source.rstrip().endswith(";"):
        yield {"output_type": "execute_result", "execution_count": None, "data": seen(value), "metadata": {}}
    for number in plt.get_fignums():
        drawn = io.BytesIO()
        plt.figure(number).savefig(drawn, dpi=60, bbox_inches="tight")
        plt.close(number)
        yield {"output_type": "display_data", "data": seen(Image.open(drawn).convert("RGB")), "metadata": {}}


def seen(value: Any) -> dict[str, str]:
    """Pictures in 256 colours, which are enough to look at, and small."""
    if isinstance(value, Image.Image):
        small = io.BytesIO()
        value.convert("RGB").quantize(256).save(small, "PNG", optimize=True)
        return {
            "image/png": base64.b64encode(small.getvalue()).decode(),
            "text/plain": f"{value.width} x {value.height}",
        }
    data = {"text/plain": value if isinstance(value, str) else repr(value)}
    return data | ({"text/html": value._repr_html_()} if hasattr(value, "_repr_html_") else {})


def printed(text: str) -> dict[str, Any]:
    return {"output_type": "stream", "name": "stdout", "text": text}


@contextmanager
def folder_of_its_own() -> Iterator[None]:
    before = Path.cwd()
    with tempfile.TemporaryDirectory() as folder:
        os.chdir(folder)
        try:
            yield
        finally:
            os.chdir(before)


def main(chosen: list[str]) -> None:
    os.environ["MPLBACKEND"] = "agg"
    for path in sorted(HERE.glob("*.ipynb")):
        if not chosen or path.stem in chosen:
            with folder_of_its_own():
                notebook, _ = execute(json.loads(path.read_text(encoding="utf-8")))
            path.write_text(json.dumps(notebook, indent=1, ensure_ascii=False) + "\n", encoding="utf-8")
            print(f"{path.name}  {path.stat().st_size // 1000} kB")


if __name__ == "__main__":
    main(sys.argv[1:])
