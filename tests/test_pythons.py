"""`make pythons` tests each Python that the project allows, and what it cannot test is left out with the reason."""

from pathlib import Path
from typing import Any

import pytest
from packaging.specifiers import SpecifierSet

from tests import pythons
from tests.pythons import ENVIRONMENTS, PYTHONS, install_commands

ROOT = Path(__file__).parent.parent


def test_each_allowed_python_is_tested() -> None:
    (line,) = (
        each for each in (ROOT / "pyproject.toml").read_text().splitlines() if each.startswith("requires-python")
    )
    allowed = SpecifierSet(line.split('"')[1])
    assert list(allowed.filter(f"3.{minor}" for minor in range(30))) == PYTHONS


def test_uv_makes_every_environment_with_its_python_and_versions() -> None:
    for name, (python, versions) in ENVIRONMENTS.items():
        make, install = install_commands(name, "uv", None)
        assert make[-3:] == ["--python", python, str(pythons.FOLDER / name)]
        assert install[:3] == ["uv", "pip", "install"] and set(versions) < set(install)


def test_pip_uses_the_pythons_that_are_there_and_has_no_lowest_versions() -> None:
    make, install = install_commands("pinned-3.11", None, "python3.11")
    assert make[0] == "python3.11" and install[1:6] == ["-m", "pip", "install", "-c", "constraints.txt"]
    with pytest.raises(LookupError, match=r"python3\.11"):
        install_commands("pinned-3.11", None, None)
    with pytest.raises(LookupError, match="uv"):
        install_commands("lowest-3.10", None, "python3.10")


@pytest.mark.parametrize(
    ("results", "code"), [(["passed", "left out: x"], 0), (["passed", "FAILED: x"], 1), (["left out: x"] * 2, 1)]
)
def test_it_fails_if_a_suite_failed_or_none_has_run(
    results: list[str], code: int, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    given: list[Any] = []
    monkeypatch.setattr(
        pythons, "run_suite", lambda name, arguments: (given.append(arguments), results[len(given) - 1])[1]
    )
    assert pythons.main(["pinned-3.10", "pinned-3.11", "--", "-k", "data"]) == code
    assert given == [["-k", "data"]] * 2 and results[0] in capsys.readouterr().out
