"""The codes of errors are stable: a changed code shows in the snapshot error_codes.txt beside this file.

After adding, renaming or removing a code, write the snapshot again: python -m tests.test_error_codes
"""

import ast
import importlib.util
from pathlib import Path
from types import ModuleType

import pytest

ROOT = Path(__file__).parent.parent
SNAPSHOT = Path(__file__).with_suffix(".txt").with_stem("error_codes")
UPDATE = "python -m tests.test_error_codes"


def load_scanner() -> ModuleType:
    spec = importlib.util.spec_from_file_location("error_codes", ROOT / "docs" / "error_codes.py")
    assert spec is not None and spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


@pytest.fixture(scope="module")
def scanner() -> ModuleType:
    return load_scanner()


def snapshot_of(scanner: ModuleType) -> str:
    return "".join(f"{code}\n" for code in sorted(scanner.error_codes()))


def test_each_error_has_a_code_that_names_an_area_and_a_mistake(scanner: ModuleType) -> None:
    for place, argument in scanner.first_arguments():
        values = [argument.body, argument.orelse] if isinstance(argument, ast.IfExp) else [argument]
        for value in values:
            if isinstance(value, ast.Constant):
                assert scanner.CODE.fullmatch(value.value), f"{place}: {value.value!r} is not area.what_is_wrong"
            else:
                text = ast.unparse(value)
                assert text.split(".")[-1] == "code", f"{place}: {text} is not a code; give the code as a literal"


def test_codes_are_those_of_the_snapshot(scanner: ModuleType) -> None:
    before, now = SNAPSHOT.read_text(encoding="utf-8").split(), snapshot_of(scanner).split()
    added, removed = sorted({*now} - {*before}), sorted({*before} - {*now})
    assert now == before, f"added: {added}; removed: {removed}. If this is intended: {UPDATE}"


def test_the_page_lists_each_code(scanner: ModuleType) -> None:
    page = scanner.page()
    assert all(f"- `{code}`\n    - " in page for code in scanner.error_codes())


def test_codes_are_found_in_each_form_in_which_an_error_can_be_written(scanner: ModuleType, tmp_path: Path) -> None:
    (tmp_path / "some.py").write_text(
        """
HTTP_CODES = {404: "download.not_found"}

class UnreadableError(UserError):
    def __init__(self, path, reason, code="file.unreadable"):
        super().__init__(code, f"{path} {reason}")

def check(name, code="config.too_small"):
    raise UserError(code, f"{name} is too small")

def why(error):
    return "hub.offline", f"{error} is why"

def main(run, names):
    check("data.size")
    check("--n", "cli.too_small")
    check("--m", code="cli.too_low")
    code = "a.b" if run else "a.c"
    message = f"{run.folder}: {', '.join(names)} {1 + 2}"
    if names:
        raise UserError("run.bad", message)
    raise UserError(code, "one " "two")
    raise UnreadableError(run, "is cut", "file.cut")
    raise UnreadableError(run, "is odd")
"""
    )
    assert scanner.error_codes(tmp_path) == {
        "file.unreadable": {"{run} is odd"},
        "file.cut": {"{run} is cut"},
        "config.too_small": {"{name} is too small"},
        "cli.too_small": {"{name} is too small"},
        "cli.too_low": {"{name} is too small"},
        "download.not_found": set(),
        "hub.offline": {"{error} is why"},
        "a.b": {"one two"},
        "a.c": {"one two"},
        "run.bad": {"{folder}: {names} {...}"},
    }


if __name__ == "__main__":
    SNAPSHOT.write_text(snapshot_of(load_scanner()), encoding="utf-8")
