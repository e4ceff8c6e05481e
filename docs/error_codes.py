"""The codes of all errors and the messages that carry them, as they stand in the source; `page()` is docs/error-codes.md."""

import ast
import re
from collections import defaultdict
from collections.abc import Iterator
from functools import cache
from itertools import groupby
from pathlib import Path

import stylegan_lab

PACKAGE = Path(stylegan_lab.__file__).parent
CODE = re.compile(r"[a-z]+(_[a-z]+)*\.[a-z][a-z0-9]*(_[a-z0-9]+)*")
VARIABLE = re.compile(r"code|\w+_CODES")  # of one code, or a table of them
PLACEHOLDER = re.compile(r"\{[\w.]+\}")
NO_MESSAGE = "The message is that of the cause."
HEAD = """# Error codes

An error ends in its code, such as `[config.unknown_choice]`. The part before the dot is the area,
and the part after it says what is wrong. In the messages below, a part in braces, such as `{path}`,
stands for a value of your command, and `{...}` for a longer part. Programs and issues can rely on a
code: it stays the same when its message is reworded. From Python, it is the attribute `code` of
`stylegan_lab.UserError`.
"""

Function = ast.FunctionDef | ast.AsyncFunctionDef


def page() -> str:
    lines = [HEAD]
    for area, codes in groupby(sorted(error_codes().items()), lambda each: each[0].split(".")[0]):
        lines.append(f"## {area}\n")
        for code, messages in codes:
            shown = [_as_code(message) for message in sorted(messages) if not PLACEHOLDER.fullmatch(message)]
            lines += [f"- `{code}`", *(f"    - {message}" for message in shown or [NO_MESSAGE])]
        lines.append("")
    return "\n".join(lines)


@cache
def error_codes(package: Path = PACKAGE) -> dict[str, set[str]]:
    """The messages of each code. A code may be a literal, the default of a parameter `code`, an argument for such a parameter,
    a value of a variable `code` or of a table `..._CODES`, or the first of two returned values."""
    trees = [ast.parse(path.read_text(encoding="utf-8")) for path in sorted(package.rglob("*.py"))]
    errors, helpers = _error_classes(trees), _functions_with_code(trees)
    messages: dict[str, set[str]] = defaultdict(set)
    for tree in trees:
        for function, node in _nodes_in_functions(tree):
            for code in _codes_of(node, errors, helpers):
                messages[code] |= set(_messages_of(node, function, errors, helpers))
    return messages


def first_arguments(package: Path = PACKAGE) -> Iterator[tuple[str, ast.expr]]:
    """The first argument of each `UserError(...)`, and where it stands."""
    for path in sorted(package.rglob("*.py")):
        for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
            if isinstance(node, ast.Call) and _name_of(node) == "UserError":
                yield f"{path.relative_to(package.parent)}:{node.lineno}", node.args[0]


def _codes_of(node: ast.AST, errors: dict[str, str | None], helpers: dict[str, Function]) -> list[str]:
    if isinstance(node, ast.Call) and (name := _name_of(node)) in errors:
        given = [code for argument in _arguments(node) for code in _literal_codes(argument)]
        default = errors[name]
        return given or ([default] if default and len(node.args) < 3 else [])
    if isinstance(node, ast.Call) and (name := _name_of(node)) in helpers:
        return _code_for(helpers[name], node)
    if isinstance(node, ast.Return) and isinstance(node.value, ast.Tuple) and len(node.value.elts) == 2:
        return _literal_codes(node.value.elts[0])
    if isinstance(node, ast.Assign) and any(
        isinstance(name, ast.Name) and VARIABLE.fullmatch(name.id)
        for target in node.targets
        for name in ast.walk(target)
    ):
        return [code for each in ast.walk(node.value) for code in _literal_codes(each)]
    return [_default_of_code(node)] if isinstance(node, Function) and _default_of_code(node) else []


def _messages_of(
    node: ast.AST, function: Function | None, errors: dict[str, str | None], helpers: dict[str, Function]
) -> Iterator[str]:
    """The messages of a call. Those of a variable or parameter `code` are in the errors that its function raises with it."""
    if isinstance(node, ast.Call) and _name_of(node) in errors:
        parts = [each for each in _arguments(node) if not _is_code(each)]
        yield from _sentences(parts, function)
        return
    if isinstance(node, ast.Return) and isinstance(node.value, ast.Tuple):
        yield from _sentences(node.value.elts[1:], function)
        return
    source = node if isinstance(node, Function) else function
    if isinstance(node, ast.Call):
        source = helpers[_name_of(node)]
    for call in ast.walk(source) if source is not None else ():
        if isinstance(call, ast.Call) and _name_of(call) in errors and any(_is_variable(each) for each in call.args):
            yield from _sentences([each for each in call.args if not _is_variable(each)], source)


def _sentences(parts: list[ast.expr], function: Function | None) -> list[str]:
    """The texts of the parts of a message, joined in each combination of their alternatives."""
    sentences = [""]
    for part in parts:
        sentences = [f"{begin} {text}".strip() for begin in sentences for text in _texts(part, function)]
    return [" ".join(sentence.split()) for sentence in sentences if sentence]


def _texts(node: ast.expr, function: Function | None) -> list[str]:
    if isinstance(node, ast.Constant):
        return [str(node.value)]
    if isinstance(node, ast.IfExp):
        return [*_texts(node.body, function), *_texts(node.orelse, function)]
    if isinstance(node, ast.JoinedStr):
        return ["".join(_text_of_part(each) for each in node.values)]
    if isinstance(node, ast.Name) and function is not None:
        values = [
            each.value
            for each in ast.walk(function)
            if isinstance(each, ast.Assign) and isinstance(each.targets[0], ast.Name) and each.targets[0].id == node.id
        ]
        texts = [text for value in values if isinstance(value, ast.Constant | ast.JoinedStr | ast.IfExp)
                 for text in _texts(value, None)]  # fmt: skip
        if texts:
            return texts
    return [f"{{{_placeholder(node)}}}"]


def _text_of_part(node: ast.expr) -> str:
    if isinstance(node, ast.Constant):
        return str(node.value)
    return f"{{{_placeholder(node.value)}}}" if isinstance(node, ast.FormattedValue) else "{...}"


def _placeholder(node: ast.expr) -> str:
    """A name for a value: its variable or attribute, or three dots."""
    if isinstance(node, ast.Name):
        return node.id
    if isinstance(node, ast.Attribute):
        return node.attr
    if isinstance(node, ast.Subscript):
        return _placeholder(node.value)
    if isinstance(node, ast.Call) and len(node.args) == 1 and _name_of(node) in ("join", "str", "display_name"):
        return _placeholder(node.args[0])
    return "..."


def _error_classes(trees: list[ast.Module]) -> dict[str, str | None]:
    """UserError and the classes that derive from it, with the codes that they have by default."""
    classes = [node for tree in trees for node in ast.walk(tree) if isinstance(node, ast.ClassDef)]
    found: dict[str, str | None] = {"UserError": None}
    for node in classes:
        if any(isinstance(base, ast.Name) and base.id in found for base in node.bases):
            constructors = [each for each in node.body if isinstance(each, Function) and each.name == "__init__"]
            found[node.name] = next(filter(None, map(_default_of_code, constructors)), None)
    return found


def _functions_with_code(trees: list[ast.Module]) -> dict[str, Function]:
    nodes = [
        node for tree in trees for node in ast.walk(tree) if isinstance(node, Function) and node.name != "__init__"
    ]
    return {node.name: node for node in nodes if "code" in [each.arg for each in _parameters(node)]}


def _code_for(helper: Function, call: ast.Call) -> list[str]:
    """The literal code that a call gives for the parameter `code`."""
    names = [each.arg for each in _parameters(helper)]
    place = names.index("code") - (names[0] == "self")
    given = [*call.args[place : place + 1], *(each.value for each in call.keywords if each.arg == "code")]
    return [code for each in given for code in _literal_codes(each)]


def _default_of_code(node: Function) -> str | None:
    parameters = [*node.args.posonlyargs, *node.args.args]
    defaults = dict(zip([each.arg for each in parameters[::-1]], node.args.defaults[::-1], strict=False))
    defaults |= {each.arg: default for each, default in zip(node.args.kwonlyargs, node.args.kw_defaults, strict=True)
                 if default is not None}  # fmt: skip
    return next(iter(_literal_codes(defaults["code"])), None) if "code" in defaults else None


def _parameters(node: Function) -> list[ast.arg]:
    return [*node.args.posonlyargs, *node.args.args, *node.args.kwonlyargs]


def _nodes_in_functions(tree: ast.Module) -> Iterator[tuple[Function | None, ast.AST]]:
    """Every node, with the innermost function that it is in."""
    waiting: list[tuple[Function | None, ast.AST]] = [(None, tree)]
    while waiting:
        function, node = waiting.pop()
        yield function, node
        inside = node if isinstance(node, Function) else function
        waiting += [(inside, child) for child in ast.iter_child_nodes(node)]


def _arguments(call: ast.Call) -> list[ast.expr]:
    return [*call.args, *(each.value for each in call.keywords)]


def _literal_codes(node: ast.AST) -> list[str]:
    if isinstance(node, ast.IfExp):
        return [*_literal_codes(node.body), *_literal_codes(node.orelse)]
    is_code = isinstance(node, ast.Constant) and isinstance(node.value, str) and CODE.fullmatch(node.value)
    return [str(node.value)] if isinstance(node, ast.Constant) and is_code else []


def _is_code(node: ast.expr) -> bool:
    return bool(_literal_codes(node)) or _is_variable(node)


def _is_variable(node: ast.expr) -> bool:
    return isinstance(node, ast.Name | ast.Attribute) and _placeholder(node) == "code"


def _name_of(call: ast.Call) -> str:
    return getattr(call.func, "id", None) or getattr(call.func, "attr", "")


def _as_code(text: str) -> str:
    return f"`` {text} ``" if "`" in text else f"`{text}`"
