"""The documentation site: every page is in its navigation, and it builds without a warning or an outside resource."""

import re
import shutil
import subprocess
import sys
from pathlib import Path

import pytest
import yaml

from tests.test_docs import GENERATED

ROOT = Path(__file__).parent.parent


def pages(entry: object) -> set[str]:
    if isinstance(entry, str):
        return {entry}
    entries = entry.values() if isinstance(entry, dict) else entry
    return set().union(*(pages(each) for each in entries))  # type: ignore[attr-defined]


def test_the_navigation_has_every_page() -> None:
    navigation = pages(yaml.safe_load((ROOT / "mkdocs.yml").read_text(encoding="utf-8"))["nav"])
    assert navigation == {page.name for page in (ROOT / "docs").glob("*.md")} | GENERATED


def test_the_site_builds_and_loads_nothing_from_elsewhere(tmp_path: Path) -> None:
    pytest.importorskip("zensical")
    shutil.copy(ROOT / "mkdocs.yml", tmp_path)
    shutil.copytree(ROOT / "docs", tmp_path / "docs")
    subprocess.run([sys.executable, "docs/generate_reference.py"], cwd=tmp_path, check=True)
    subprocess.run([sys.executable, "-m", "zensical", "build", "--strict"], cwd=tmp_path, check=True)
    built = {page.stem for page in (tmp_path / "site").glob("*.html")}
    assert built == {page.stem for page in (tmp_path / "docs").glob("*.md")} | {"404"}
    assert "resume" in (tmp_path / "site" / "commands.html").read_text(encoding="utf-8")
    assert "translate_tensor" in (tmp_path / "site" / "api.html").read_text(encoding="utf-8")
    loaded = re.compile(
        r"<(?:script|img|iframe)[^>]* src=\"?https?:|<link[^>]* href=\"?https?:[^>]*stylesheet|url\(https?:"
    )
    for page in (tmp_path / "site").rglob("*.html"):
        assert not loaded.search(page.read_text(encoding="utf-8")), page.name
    for sheet in (tmp_path / "site").rglob("*.css"):
        assert not loaded.search(sheet.read_text(encoding="utf-8")), sheet.name
