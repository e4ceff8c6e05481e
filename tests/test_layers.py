"""Each layer of the package imports only layers below it, and heavy libraries stay where they belong."""

import ast
from collections import Counter
from graphlib import TopologicalSorter
from pathlib import Path

import pytest

import stylegan_lab

PACKAGE = Path(stylegan_lab.__file__).parent
# From the bottom to the top. The parts of one layer do not import each other.
LAYERS = [
    {"errors", "distributed", "rng", "precision", "cores"},
    {"suggestions", "console", "signals"},
    {"files", "config"},
    {"images", "networks", "runs"},
    {"augmentation", "data"},
    {"losses"},
    {"evaluation"},
    {"models"},
    {"callbacks", "loggers"},
    {"training"},
    {"reporting", "export", "importing"},
    {"sweeps", "serving"},
    {"cli"},
    {"__init__", "__main__"},
]
LEVEL = {part: level for level, parts in enumerate(LAYERS) for part in parts}
LIGHTNING = {"models", "data", "callbacks", "loggers", "training"}
HYDRA = {"config", "runs", "data", "training", "reporting", "export", "importing", "sweeps", "cli"}
FILES = sorted(PACKAGE.rglob("*.py"))


def part_of(path: Path) -> str:
    return path.relative_to(PACKAGE).parts[0].removesuffix(".py")


def imports(path: Path) -> set[str]:
    found = set()
    for node in ast.walk(ast.parse(path.read_text())):
        if isinstance(node, ast.Import):
            found |= {alias.name for alias in node.names}
        elif isinstance(node, ast.ImportFrom):
            assert node.level == 0, f"{path}: relative import"
            module = node.module or ""
            found |= {f"{module}.{alias.name}" if module == "stylegan_lab" else module for alias in node.names}
    return found


@pytest.mark.parametrize("path", FILES, ids=lambda path: str(path.relative_to(PACKAGE)))
def test_each_file_imports_only_layers_below_it(path: Path) -> None:
    part = part_of(path)
    for name in imports(path):
        package, *rest = name.split(".")
        if package == "stylegan_lab" and rest:
            assert rest[0] == part or LEVEL[rest[0]] < LEVEL[part], f"{path.relative_to(PACKAGE)} imports {name}"
        if package in ("lightning", "pytorch_lightning"):
            assert part in LIGHTNING, f"{part} imports {name}"
        if package in ("hydra", "omegaconf"):
            assert part in HYDRA, f"{part} imports {name}"
        assert package != "torchvision"


def test_every_part_has_a_layer_and_every_permission_is_used() -> None:
    assert {part_of(path) for path in FILES} == LEVEL.keys()
    used = {
        part: {name.split(".")[0] for path in FILES if part_of(path) == part for name in imports(path)}
        for part in LEVEL
    }
    assert {part for part in LEVEL if "lightning" in used[part]} == LIGHTNING
    assert {part for part in LEVEL if used[part] & {"hydra", "omegaconf"}} == HYDRA


def module_of(path: Path) -> str:
    return ".".join(("stylegan_lab", *path.relative_to(PACKAGE).with_suffix("").parts)).removesuffix(".__init__")


def test_no_file_imports_itself_in_a_circle() -> None:
    modules = {module_of(path): path for path in FILES}
    graph = {}
    for module, path in modules.items():
        statements = [node for node in ast.parse(path.read_text()).body if isinstance(node, ast.ImportFrom)]
        names = {f"{node.module}.{alias.name}" for node in statements for alias in node.names}
        graph[module] = {name if name in modules else name.rpartition(".")[0] for name in names} & modules.keys()
    tuple(TopologicalSorter(graph).static_order())  # raises CycleError


def test_no_two_public_classes_share_a_name() -> None:
    nodes = [node for path in FILES for node in ast.parse(path.read_text()).body if isinstance(node, ast.ClassDef)]
    names = Counter(node.name for node in nodes if not node.name.startswith("_"))
    assert [name for name, count in names.items() if count > 1] == []
