"""Measures how dense the code of the three packages is: ``python tools/style.py [FOLDER…]`` (``make style``).

Counts from the syntax tree, prints a table beside what docs/parts.md asks for, and names the places
that stand out: the longest function and module, the fullest folder. Prints and judges nothing else.
"""

import ast
import statistics
import sys
from collections import Counter
from collections.abc import Iterator
from pathlib import Path

REPO = Path(__file__).parent.parent
PACKAGES = ("byol_core", "orchestrator", "analysis")
EMPTY_NAMES = {"one", "found", "told", "said", "how", "where", "asked"}
"""Names that say nothing of what they hold."""

Function = ast.FunctionDef | ast.AsyncFunctionDef
Comprehension = ast.ListComp | ast.SetComp | ast.DictComp | ast.GeneratorExp


def main() -> None:
    """Print the table."""
    folders = [Path(folder) for folder in sys.argv[1:]] or [REPO / package for package in PACKAGES]
    files = sorted(file for folder in folders for file in folder.rglob("*.py"))
    texts = {file: file.read_text() for file in files}
    trees = {file: ast.parse(text) for file, text in texts.items()}

    lines = sum(text.count("\n") for text in texts.values())
    body = [line for file in files for line in body_lines(trees[file], texts[file])]
    lengths = sorted(len(line.strip()) for line in body)
    comments = sum(line.strip().startswith("#") for line in body)
    conditional = count(trees, lambda node: isinstance(node, ast.IfExp))

    print(f"{lines:,} lines in {len(files)} modules\n")
    print(f"{'':52} {'here':>9}  wanted")
    show("length of a body line, median", f"{statistics.median(lengths):.0f}", "")
    show("length of a body line, 90th percentile", str(lengths[len(lengths) * 9 // 10]), "≤ 85")
    show("body lines that are only a comment", f"{100 * comments / len(body):.1f} %", "2 to 5 %")
    show("conditional expressions per 1,000 lines", per_1000(conditional, lines), "≤ 8")
    show("nested comprehensions per 1,000 lines", per_1000(count(trees, is_nested), lines), "≤ 1")
    show(
        "tuple assignments of values per 1,000 lines", per_1000(count(trees, is_pair), lines), "≤ 1"
    )
    show("one-line private helpers used once", str(len(list(small_helpers(trees)))), "name an idea")
    show(
        f"names such as {', '.join(sorted(EMPTY_NAMES)[:4])}", str(count(trees, is_empty_name)), "0"
    )
    longest, where_longest = max(function_lengths(trees))
    show("longest function, lines", str(longest), f"≤ 60   {where_longest}")
    largest = max(files, key=lambda file: texts[file].count("\n"))
    show("largest module, lines", str(texts[largest].count("\n")), f"≤ 350  {shown(largest)}")
    folder, modules = Counter(file.parent for file in files).most_common(1)[0]
    show("modules in a folder, with its __init__", str(modules), f"≤ 18   {shown(folder)}")


def show(what: str, here: str, wanted: str) -> None:
    """Print a line of the table."""
    print(f"{what:52} {here:>9}  {wanted}")


def shown(path: Path) -> str:
    """Return a path below the repository."""
    return str(path.relative_to(REPO)) if path.is_relative_to(REPO) else str(path)


def per_1000(number: int, lines: int) -> str:
    """Return a rate."""
    return f"{1000 * number / lines:.1f}"


def count(trees: dict[Path, ast.Module], wanted) -> int:
    """Count the nodes that `wanted` accepts."""
    return sum(bool(wanted(node)) for tree in trees.values() for node in ast.walk(tree))


def body_lines(tree: ast.Module, text: str) -> Iterator[str]:
    """Yield the lines of function bodies that are neither blank nor part of a docstring."""
    lines = text.split("\n")
    numbers: set[int] = set()
    for node in ast.walk(tree):
        if isinstance(node, Function):
            numbers |= set(range(node.body[0].lineno, (node.end_lineno or 0) + 1))
    for node in ast.walk(tree):
        if (
            isinstance(node, ast.Expr)
            and isinstance(node.value, ast.Constant)
            and isinstance(node.value.value, str)
        ):
            numbers -= set(range(node.lineno, (node.end_lineno or 0) + 1))
    return (lines[number - 1] for number in sorted(numbers) if lines[number - 1].strip())


def is_nested(node: ast.AST) -> bool:
    """Tell whether a comprehension holds another, or loops twice."""
    if not isinstance(node, Comprehension):
        return False
    inner = (child for child in ast.walk(node) if child is not node)
    return len(node.generators) > 1 or any(isinstance(child, Comprehension) for child in inner)


def is_pair(node: ast.AST) -> bool:
    """Tell whether an assignment gives several names several values at once, other than by unpacking."""
    if not isinstance(node, ast.Assign):
        return False
    return isinstance(node.value, ast.Tuple) and any(
        isinstance(target, ast.Tuple) for target in node.targets
    )


def is_empty_name(node: ast.AST) -> bool:
    """Tell whether a variable or argument has a name that says nothing."""
    if isinstance(node, ast.Name):
        return isinstance(node.ctx, ast.Store) and node.id in EMPTY_NAMES
    return isinstance(node, ast.arg) and node.arg in EMPTY_NAMES


def small_helpers(trees: dict[Path, ast.Module]) -> Iterator[str]:
    """Yield the private functions of one statement on one line that their module calls once."""
    for tree in trees.values():
        used = Counter(node.id for node in ast.walk(tree) if isinstance(node, ast.Name))
        used.update(node.attr for node in ast.walk(tree) if isinstance(node, ast.Attribute))
        for node in ast.walk(tree):
            if (
                isinstance(node, Function)
                and node.name.startswith("_")
                and not node.name.startswith("__")
            ):
                body = [
                    part
                    for part in node.body
                    if not isinstance(part, ast.Expr) or isinstance(part.value, ast.Call)
                ]
                is_small = (
                    len(body) == 1
                    and body[0].lineno == body[0].end_lineno
                    and ast.get_docstring(node) is None
                )
                if is_small and used[node.name] == 1:
                    yield node.name


def function_lengths(trees: dict[Path, ast.Module]) -> Iterator[tuple[int, str]]:
    """Yield the length of each function without its docstring, and where it is."""
    for file, tree in trees.items():
        for node in ast.walk(tree):
            if isinstance(node, Function):
                start = (
                    node.body[1].lineno
                    if ast.get_docstring(node) and len(node.body) > 1
                    else node.lineno
                )
                yield (node.end_lineno or start) - start + 1, f"{shown(file)}: {node.name}"


if __name__ == "__main__":
    main()
