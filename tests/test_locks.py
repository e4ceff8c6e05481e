"""locks/: hashes of all packages that `make install` installs, in the versions of constraints.txt, for each Python."""

import re
import sys
from collections.abc import Iterator
from importlib.metadata import requires
from pathlib import Path
from typing import NamedTuple

import pytest
from packaging.markers import default_environment
from packaging.requirements import Requirement
from packaging.utils import canonicalize_name

from tests.pythons import installed_extras

if sys.version_info >= (3, 11):
    import tomllib
else:
    import tomli as tomllib

ROOT = Path(__file__).parent.parent
LINUX = {"sys_platform": "linux", "platform_system": "Linux", "os_name": "posix", "platform_machine": "x86_64"}
PYTHONS = ["3.10.0", "3.11.0", "3.12.0", "3.13.0"]
LOCKS = {"train": ("",), "dev": ("", *installed_extras())}  # the extras that each file covers
# The build of torch depends on the machine, and it says which builds of these it needs.
UNHASHED = re.compile("torch|triton|(cuda|nvidia)-.*")


class Pin(NamedTuple):
    requirement: Requirement
    hashes: list[str]


def pins(path: Path) -> Iterator[Pin]:
    """All lines of a lock file or of constraints.txt."""
    for line in re.sub(r"\\\n *", "", re.sub("^#.*", "", path.read_text(), flags=re.MULTILINE)).split("\n"):
        if line:
            pin, *hashes = line.split("--hash=sha256:")
            yield Pin(Requirement(pin.strip()), [each.strip() for each in hashes])


def environment(python: str) -> dict[str, str]:
    version = {"python_version": ".".join(python.split(".")[:2]), "python_full_version": python}
    return {**default_environment(), **LINUX, **version}  # type: ignore[dict-item]


def versions(path: Path, python: str) -> dict[str, str]:
    """The version of each package that a file pins for a Python on Linux."""
    found: dict[str, str] = {}
    for requirement, _ in pins(path):
        if requirement.marker is None or requirement.marker.evaluate(environment(python)):
            (pin,) = requirement.specifier
            name = canonicalize_name(requirement.name)
            assert pin.operator == "==" and name not in found
            found[name] = pin.version
    return found


def project() -> list[Requirement]:
    """The requirements that pyproject.toml states, with the extras in their markers, as in the metadata of a package."""
    table = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]
    lines = table["dependencies"] + [
        f"{requirement} {'and' if ';' in requirement else ';'} extra == '{extra}'"
        for extra, requirements in table["optional-dependencies"].items()
        for requirement in requirements
    ]
    return [Requirement(line) for line in lines]


def needed(package: str, extras: tuple[str, ...], python: str) -> Iterator[Requirement]:
    for requirement in project() if package == "stylegan_lab" else map(Requirement, requires(package) or []):
        marker = requirement.marker
        if marker is None or any(marker.evaluate({**environment(python), "extra": extra}) for extra in extras):
            yield requirement


@pytest.mark.parametrize("lock", LOCKS)
def test_each_package_of_a_lock_has_hashes(lock: str) -> None:
    for requirement, hashes in pins(ROOT / f"locks/{lock}.txt"):
        assert hashes and all(re.fullmatch("[0-9a-f]{64}", each) for each in hashes), requirement
        assert not UNHASHED.fullmatch(requirement.name)


@pytest.mark.parametrize("lock", LOCKS)
@pytest.mark.parametrize("python", PYTHONS)
def test_a_lock_has_the_versions_of_the_constraints(lock: str, python: str) -> None:
    assert versions(ROOT / f"locks/{lock}.txt", python).items() <= versions(ROOT / "constraints.txt", python).items()


@pytest.mark.parametrize(("lock", "extras"), LOCKS.items())
@pytest.mark.parametrize("python", PYTHONS)
def test_a_lock_has_what_the_project_needs(lock: str, extras: tuple[str, ...], python: str) -> None:
    locked = versions(ROOT / f"locks/{lock}.txt", python)
    assert {"hatchling", "editables"} <= locked.keys(), "they build the project"
    for requirement in needed("stylegan_lab", extras, python):
        name = canonicalize_name(requirement.name)
        assert UNHASHED.fullmatch(name) or requirement.specifier.contains(locked[name]), requirement


@pytest.mark.parametrize(("lock", "extras"), LOCKS.items())
def test_a_lock_has_what_its_packages_need(lock: str, extras: tuple[str, ...]) -> None:
    """The metadata of the installed packages says what they need: of this Python's."""
    python = default_environment()["python_full_version"]
    locked = versions(ROOT / f"locks/{lock}.txt", python)
    left = [("stylegan_lab", extras)]
    seen = set()
    while left:
        seen.add(package := left.pop())
        for requirement in needed(*package, python):
            name = canonicalize_name(requirement.name)
            assert UNHASHED.fullmatch(name) or name in locked, f"{requirement} of {package[0]}"
            if name == "torch" or not UNHASHED.fullmatch(name):
                left += {(name, ("", *requirement.extras))} - seen
