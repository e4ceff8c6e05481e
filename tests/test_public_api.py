"""The public API: its names and signatures, that it is imported lazily, and that the snippets of docs/python.md run."""

import inspect
import re
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

import stylegan_lab

PAGE = Path(__file__).parent.parent / "docs" / "python.md"
SURFACE = {
    "train": "(*overrides: str) -> Run",
    "load": "(run: Run | str | Path, checkpoint: str | None = None, *, use_ema: bool = True, trust: Sequence[str] = "
    "()) -> LoadedModel",
    "evaluate": "(run: Run | str | Path, split: str = 'test', *, checkpoint: str | None = None, use_ema: bool = True, "
    "n: int | None = None, metrics: Sequence[str] = (), weights: str | None = None, trust: Sequence[str] = ()) -> dict[str, float]",
    "compare": "(*runs: Run | str | Path, scores: Sequence[str] = ()) -> RunComparison",
    "LoadedModel.translate": "(self, image: ~ImageType, direction: str = 'a2b', *, reference: Any = None, size: int | None = None, "
    "seed: int | None = None) -> ~ImageType",
    "LoadedModel.generate": "(self, n: int = 1, *, seed: int = 0, label: str | None = None, truncation: float | None = None) "
    "-> list[Image]",
    "RunComparison.to_pandas": "(self) -> pd.DataFrame",
    "Run": "(folder: str | Path) -> None",
    "Run.checkpoint": "(self, name: str = 'last') -> Path",
}  # fmt: skip


def test_the_public_surface() -> None:
    assert stylegan_lab.__all__ == [
        "LoadedModel", "Run", "RunComparison", "UserError", "__version__", "compare", "evaluate", "load", "train",
    ]  # fmt: skip
    assert set(stylegan_lab.__all__) <= set(dir(stylegan_lab))
    for name, expected in SURFACE.items():
        found: object = stylegan_lab
        for part in name.split("."):
            found = getattr(found, part)
        text = str(inspect.signature(found)).replace("'", "")  # type: ignore[arg-type]
        without_modules = re.sub(r"(\w+\.)+(?=[A-Z])(?!DataFrame)", "", text)
        assert without_modules == expected.replace("'", ""), name
    with pytest.raises(AttributeError, match=r"has no attribute 'trian'; it has: .*train"):
        stylegan_lab.trian  # type: ignore[attr-defined]  # noqa: B018


def test_importing_the_package_imports_neither_torch_nor_hydra() -> None:
    code = "import stylegan_lab, sys; dir(stylegan_lab); assert not {'torch', 'lightning', 'hydra', 'wandb'} & set(sys.modules)"
    subprocess.run([sys.executable, "-c", code], check=True)


def test_a_type_checker_sees_the_signatures(tmp_path: Path) -> None:
    (tmp_path / "use.py").write_text(
        "import "
        "stylegan_lab\nreveal_type(stylegan_lab.train)\nreveal_type(stylegan_lab.load(stylegan_lab.Run('x')).translate(b'x'))\n"
        "stylegan_lab.trian()\n"
    )
    modules = ("", ".runs.run", ".training.train", ".training.loaded_model")
    sections = [
        "[mypy]",
        "follow_imports = skip",
        *(f"[mypy-stylegan_lab{each}]\nfollow_imports = silent" for each in modules),
    ]
    (tmp_path / "mypy.ini").write_text("\n".join(sections))  # torch is skipped, since it takes most of a minute
    command = [sys.executable, "-m", "mypy", "--config-file=mypy.ini", "--cache-dir=cache", "use.py"]
    said = subprocess.run(command, cwd=tmp_path, capture_output=True, text=True).stdout
    assert "def (*overrides: str) -> stylegan_lab.runs.run.Run" in said, said
    assert re.search(r'Revealed type is "(builtins\.)?bytes"', said), said
    assert 'Module has no attribute "trian"' in said


def test_the_snippets_of_the_page_run(capsys: pytest.CaptureFixture[str]) -> None:
    Image.fromarray(np.random.default_rng(0).integers(0, 255, (40, 30, 3), np.uint8)).save("photo.png")
    names: dict[str, object] = {}
    for snippet in re.findall(r"```python\n(.*?)```", PAGE.read_text(encoding="utf-8"), re.DOTALL):
        exec(snippet, names)
    out = capsys.readouterr().out
    assert "finished 4" in out and "python" in str(names["table"])
