"""`make mutants`: break the package in 200 places, one at a time, and list the breaks that no test notices.

python -m tests.mutants                          # 200 mutants of losses, models, evaluation and runs: an hour of one core
python -m tests.mutants --count 20 --seed 1 losses

A test that cannot fail kills no mutant. First the tests run once, to record which of them reach which line and how long they
take. Then each mutant is written into a copy of the project, and the tests that reach its line run in a forked process, the
shortest first, until one fails. Mutants change an operator, a condition, a number or a flag, or drop a statement.
"""

import argparse
import ast
import json
import os
import random
import resource
import shutil
import subprocess
import sys
import tempfile
from collections import defaultdict
from collections.abc import Iterator
from pathlib import Path
from typing import Any, NamedTuple

import pytest

ROOT = Path(__file__).parent.parent
TESTS = {  # those of a package that run in the process of pytest
    "losses": ["losses", "augmentation", "models"],
    "models": ["models", "augmentation", "training/test_train.py"],
    "evaluation": ["evaluation", "callbacks"],
    "runs": ["runs", "callbacks"],
}
SIGNATURES = "tests/config/test_defaults.py"  # reads the defaults of functions without calling them
COPIED = [
    "stylegan_lab",
    "hydra_plugins",
    "conf",
    "baselines",
    "tests",
    "docs",
    "benchmarks",
    "pyproject.toml",
    "README.md",
]
SECONDS = 60  # of tests for one mutant, as they took when nothing was broken
QUICK = ["-q", "-x", "-p", "no:cacheprovider", "-m", "not slow", "--no-header", "--tb=no"]
SWAPS: dict[type, type] = {
    ast.Lt: ast.LtE, ast.LtE: ast.Lt, ast.Gt: ast.GtE, ast.GtE: ast.Gt, ast.Eq: ast.NotEq, ast.NotEq: ast.Eq,
    ast.Is: ast.IsNot, ast.IsNot: ast.Is, ast.In: ast.NotIn, ast.NotIn: ast.In, ast.And: ast.Or, ast.Or: ast.And,
    ast.Add: ast.Sub, ast.Sub: ast.Add, ast.Mult: ast.Div, ast.Div: ast.Mult, ast.FloorDiv: ast.Mult, ast.Pow: ast.Mult,
    ast.Mod: ast.Mult,
}  # fmt: skip
NAMES = {"min": "max", "max": "min", "any": "all", "all": "any", "mean": "sum", "sum": "mean"}


class Mutant(NamedTuple):
    path: str  # relative to the project
    line: int
    lines: range  # of its statement, without the statements in it
    before: str
    after: str
    source: str  # of the broken file


def mutants_of(path: str, source: str) -> Iterator[Mutant]:
    """Yield every mutant of a file. Annotations, decorators and error messages are left alone."""
    tree = ast.parse(source)
    statements = dict(_statements(tree, tree))
    lines = [_lines(statements[node]) for node, _ in _places(tree)]
    for index, each in enumerate(lines):
        tree = ast.parse(source)
        node, change = list(_places(tree))[index]
        before = _first_line(node)
        change()
        broken = ast.unparse(ast.fix_missing_locations(tree))
        yield Mutant(path, node.lineno, each, before, _first_line(node), broken)


def _statements(node: ast.AST, statement: ast.AST) -> Iterator[tuple[ast.AST, ast.AST]]:
    """Yield each node with the innermost statement around it."""
    yield node, statement
    for child in ast.iter_child_nodes(node):
        yield from _statements(child, child if isinstance(child, ast.stmt) else statement)


def _lines(statement: Any) -> range:
    body = getattr(statement, "body", [])
    return range(statement.lineno, max(body[0].lineno, statement.lineno + 1) if body else statement.end_lineno + 1)


def _first_line(node: ast.AST) -> str:
    return ast.unparse(node).split("\n")[0]


def _places(tree: ast.AST) -> Iterator[tuple[Any, Any]]:
    """Yield each node that can be broken, and the function that breaks it."""
    for node in _executed(tree):
        if isinstance(node, ast.Compare):
            yield node, lambda node=node: node.ops.__setitem__(0, SWAPS[type(node.ops[0])]())
        elif isinstance(node, ast.BinOp | ast.BoolOp | ast.AugAssign) and type(node.op) in SWAPS:
            yield node, lambda node=node: setattr(node, "op", SWAPS[type(node.op)]())
        elif isinstance(node, ast.If | ast.IfExp):
            yield node, lambda node=node: setattr(node, "test", ast.UnaryOp(ast.Not(), node.test))
        elif isinstance(node, ast.Constant) and isinstance(node.value, bool):
            yield node, lambda node=node: setattr(node, "value", not node.value)
        elif isinstance(node, ast.Constant) and isinstance(node.value, int | float):
            yield node, lambda node=node: setattr(node, "value", node.value + 1)
        elif isinstance(node, ast.Name) and node.id in NAMES:
            yield node, lambda node=node: setattr(node, "id", NAMES[node.id])
        elif isinstance(node, ast.Attribute) and node.attr in NAMES:
            yield node, lambda node=node: setattr(node, "attr", NAMES[node.attr])
        elif isinstance(node, ast.Expr | ast.Return) and not isinstance(node.value, ast.Constant | None):
            yield node, lambda node=node: setattr(node, "value", ast.Constant(None))


def _executed(node: ast.AST) -> Iterator[ast.AST]:
    """Yield the nodes that run when the program does what it should."""
    yield node
    for name, value in ast.iter_fields(node):
        if name in ("annotation", "returns", "decorator_list", "type_params"):
            continue
        for child in value if isinstance(value, list) else [value]:
            if isinstance(child, ast.AST) and not isinstance(child, ast.Raise | ast.JoinedStr):
                yield from _executed(child)


class Recorder:
    """A pytest plugin: which tests reach each line, and how long each takes."""

    def __init__(self, measured: Any) -> None:
        self.measured = measured
        self.seconds: dict[str, float] = defaultdict(float)

    @pytest.hookimpl(wrapper=True)
    def pytest_runtest_setup(self, item: pytest.Item) -> Any:
        self.measured.switch_context(f"setup {item.nodeid}")
        return (yield)

    @pytest.hookimpl(wrapper=True)
    def pytest_runtest_call(self, item: pytest.Item) -> Any:
        self.measured.switch_context(item.nodeid)
        return (yield)

    def pytest_runtest_logreport(self, report: pytest.TestReport) -> None:
        self.seconds[report.nodeid] += report.duration


def record(packages: list[str], tests: list[str], file: Path) -> None:
    """Run the tests, and write which of them reach each line of the packages. Fails if a test fails."""
    import coverage

    measured = coverage.Coverage(
        data_file=None, source=[str(Path("stylegan_lab", each).resolve()) for each in packages]
    )
    recorder = Recorder(measured)
    with measured.collect():
        code = pytest.main([*QUICK, *(f"tests/{test}" for test in tests)], plugins=[recorder])
    if code:
        sys.exit("a test fails although nothing is broken")
    data, lines = measured.get_data(), {}
    for path in data.measured_files():
        of_line = {line: sorted(contexts) for line, contexts in data.contexts_by_lineno(path).items()}
        lines[str(Path(path).relative_to(Path.cwd()))] = of_line
    file.write_text(json.dumps({"seconds": recorder.seconds, "lines": lines}), encoding="utf-8")


def tests_of(mutant: Mutant, recorded: dict[str, Any], limit: float) -> list[str]:
    """The tests that reach the mutant's line, the shortest first, as many as fit into the limit of seconds. What runs at import
    is reached by all tests of the file, and what a fixture runs by all tests beside it."""
    lines, seconds = recorded["lines"].get(mutant.path, {}), recorded["seconds"]
    contexts = {context for line in mutant.lines for context in lines.get(str(line), [])}
    if "" in contexts:
        contexts = {context for each in lines.values() for context in each}
        contexts |= {test for test in seconds if test.startswith(SIGNATURES)}
    files = {context.removeprefix("setup ").split("::")[0] for context in contexts if context.startswith("setup ")}
    reached = contexts | {test for test in seconds if test.split("::")[0] in files}
    chosen, total = [], 0.0
    for test in sorted((test for test in reached if test in seconds), key=lambda test: seconds[test]):
        total += seconds[test]
        if chosen and total > limit:
            break
        chosen.append(test)
    return chosen


def in_child(function: Any, *arguments: Any, cpu_seconds: int | None = None, silent: bool = False) -> bool:
    """Run a function in a forked process, which has torch and Lightning imported. Returns whether it ended without an error."""
    if (child := os.fork()) == 0:
        code = 1
        try:
            if silent:
                os.dup2(os.open(os.devnull, os.O_WRONLY), 1)
                os.dup2(1, 2)
            if cpu_seconds:
                resource.setrlimit(resource.RLIMIT_CPU, (cpu_seconds, cpu_seconds))
            os.setpgid(0, 0)
            code = int(function(*arguments) or 0)
        except SystemExit as stop:
            print(stop.code, flush=True)
        finally:
            os._exit(code)
    return os.waitpid(child, 0)[1] == 0


def survives(mutant: Mutant, copy: Path, tests: list[str], seconds: float) -> bool:
    """Whether all these tests pass with the mutant in place of its file."""
    file = copy / mutant.path
    original = file.read_text(encoding="utf-8")
    try:
        _write(file, mutant.source)
        return in_child(pytest.main, [*QUICK, *tests], cpu_seconds=int(20 + 2 * seconds), silent=True)
    finally:
        _write(file, original)


def _write(file: Path, source: str) -> None:
    file.write_text(source, encoding="utf-8")
    for compiled in (file.parent / "__pycache__").glob(f"{file.stem}.*"):  # its date may be as new as the file's
        compiled.unlink()


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("packages", nargs="*", default=list(TESTS), metavar="PACKAGE", help=", ".join(TESTS))
    parser.add_argument("--count", type=int, default=200)
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--seconds", type=float, default=SECONDS, help="of tests for one mutant")
    parser.add_argument(
        "--recorded", type=Path, help="a file: where what the tests reach is kept, and taken from if it exists"
    )
    parser.add_argument("--part", default="0/1", help="i/n: every n-th mutant from the i-th, to use several processes")
    arguments = parser.parse_args()
    if unknown := set(arguments.packages) - TESTS.keys():
        parser.error(f"{unknown.pop()} is none of {', '.join(TESTS)}")
    import lightning  # noqa: F401  a forked process has them at once; the package itself it imports anew
    import torchmetrics  # noqa: F401

    with tempfile.TemporaryDirectory() as folder:
        copy = Path(folder) / "project"
        for name in COPIED:
            (shutil.copytree if (ROOT / name).is_dir() else shutil.copyfile)(ROOT / name, copy / name)
        subprocess.run(
            "git init -q && git add . && git -c user.name=a -c user.email=a commit -qm a", shell=True, cwd=copy
        )
        os.chdir(copy)
        sys.path[0] = str(copy)  # where `python -m` put the project
        del sys.modules["tests"]
        os.environ["PYTHONPATH"] = str(copy)
        tests = sorted(
            {SIGNATURES.removeprefix("tests/")} | {test for package in arguments.packages for test in TESTS[package]}
        )
        recorded = (arguments.recorded or copy / "recorded.json").resolve()
        if not recorded.exists() and not in_child(record, arguments.packages, tests, recorded):
            sys.exit(1)
        report(arguments, copy, json.loads(recorded.read_text(encoding="utf-8")))


def report(arguments: argparse.Namespace, copy: Path, recorded: dict[str, Any]) -> None:
    everything = [
        mutant
        for package in arguments.packages
        for file in sorted(Path("stylegan_lab", package).rglob("*.py"))
        for mutant in mutants_of(str(file), file.read_text(encoding="utf-8"))
    ]
    sampled = random.Random(arguments.seed).sample(everything, min(arguments.count, len(everything)))
    part, parts = map(int, arguments.part.split("/"))
    chosen, survivors = sampled[part::parts], 0
    for number, mutant in enumerate(chosen, start=1):
        tests = tests_of(mutant, recorded, arguments.seconds)
        seconds = sum(recorded["seconds"][test] for test in tests)
        if not tests or survives(mutant, copy, tests, seconds):
            survivors += 1
            reason = f"{len(tests)} tests, {seconds:.0f} s" if tests else "no test reaches it"
            print(f"{mutant.path}:{mutant.line}: {mutant.before}  ->  {mutant.after}  ({reason})", flush=True)
        if number % 20 == 0 or number == len(chosen):
            print(f"{number} of {len(chosen)} mutants, {number - survivors} killed, {survivors} survived", flush=True)


if __name__ == "__main__":
    main()
