"""Size is a budget: whoever raises a bound here gives the reason in the same change."""

from __future__ import annotations

import ast
from functools import cache
from pathlib import Path

import transpike

SOURCES = sorted(Path(transpike.__file__).parent.rglob("*.py"))
MODULE_LINES = 300
FUNCTION_LINES = 60  # most stay under 40; commands and the report's constructor list their fields
LONG_FUNCTIONS = 8  # functions above 40 lines
NESTING = 3


@cache
def functions():
    nodes = [(path.name, node) for path in SOURCES for node in ast.walk(ast.parse(path.read_text()))]
    return [(f"{name}:{node.name}", node) for name, node in nodes if isinstance(node, ast.FunctionDef)]


def body_lines(node):
    """Return the lines of a function without its docstring."""
    text = ast.get_docstring(node, clean=False) or ""
    return node.end_lineno - node.lineno + 1 - len(text.splitlines())


def depth(node, level=0):
    """Return how deeply blocks are nested; an elif stands beside its if."""
    blocks = (ast.For, ast.While, ast.If, ast.With, ast.Try)
    beside = getattr(node, "orelse", None) if isinstance(node, ast.If) else None
    chained = beside if beside and len(beside) == 1 and isinstance(beside[0], ast.If) else []
    levels = (level + (isinstance(child, blocks) and child not in chained) for child in ast.iter_child_nodes(node))
    return max((depth(child, deep) for child, deep in zip(ast.iter_child_nodes(node), levels, strict=True)), default=level)


def test_modules_stay_short():
    assert {path.name: n for path in SOURCES if (n := len(path.read_text().splitlines())) > MODULE_LINES} == {}


def test_functions_fit_a_screen():
    lines = {name: body_lines(node) for name, node in functions()}
    assert {name: n for name, n in lines.items() if n > FUNCTION_LINES} == {}
    assert len([n for n in lines.values() if n > 40]) <= LONG_FUNCTIONS


def test_nesting_stays_shallow():
    assert {name for name, node in functions() if depth(node) > NESTING} == set()
