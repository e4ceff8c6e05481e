"""The tests of the inner loop, `make test-fast`: those of the files that were changed, and quick ones that always run.

python -m tests.changed prints their paths. They are chosen by names and imports; `make test` runs all.
"""

import re
import subprocess
from collections.abc import Iterable, Iterator
from pathlib import Path, PurePosixPath

ROOT = Path(__file__).parent.parent
ALWAYS = ["tests/config", "tests/test_layers.py", "tests/test_public_api.py"]
STARTS_TRAININGS = "tests.training.train_process"  # imported by tests that take many seconds each


def changed_files() -> list[str]:
    """What differs from the branch main, committed or not, and new files."""
    base = _git("merge-base", "HEAD", "main")[0]
    return _git("diff", "--name-only", base) + _git("ls-files", "--others", "--exclude-standard")


def choose_tests(changed: Iterable[str], root: Path) -> list[str]:
    """The tests that always run, the changed ones, and those of changed modules; but none that starts trainings."""
    found = {test for path in changed for test in _tests_of(PurePosixPath(path), root) if (root / test).exists()}
    quick = [test for test in sorted(found) if STARTS_TRAININGS not in (root / test).read_text(encoding="utf-8")]
    return ALWAYS + [test for test in quick if not test.startswith(tuple(ALWAYS))]


def _tests_of(path: PurePosixPath, root: Path) -> Iterator[str]:
    """A test itself; of a module, the tests in the mirrored package that have its name or import it."""
    if path.parts[0] == "tests" and path.name.startswith("test_"):
        yield str(path)
    elif path.parts[0] == "stylegan_lab" and path.suffix == ".py" and len(path.parts) > 2:
        *package, name = path.with_suffix("").parts
        imported = re.compile(rf"from {re.escape('.'.join(package))}(\.{name} import| import .*\b{name}\b)")
        for test in (root / "tests" / package[1]).rglob("test_*.py"):
            if test.name == f"test_{name}.py" or imported.search(test.read_text(encoding="utf-8")):
                yield test.relative_to(root).as_posix()
    elif path.parts[0] == "stylegan_lab":
        yield f"tests/test_{path.name}"


def _git(*arguments: str) -> list[str]:
    return subprocess.run(["git", *arguments], cwd=ROOT, check=True, capture_output=True, text=True).stdout.splitlines()


if __name__ == "__main__":
    print("\n".join(choose_tests(changed_files(), ROOT)))
