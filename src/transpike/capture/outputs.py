"""The keys of what a model returns."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

import torch
from torch.export import ExportedProgram


def output_names(exported: ExportedProgram, count: int) -> list[str]:
    """Return a key for each output: "output" for one, else the keys of a dict or positions."""
    if count == 1:
        return ["output"]
    tree = torch.utils._pytree.tree_unflatten(list(range(count)), exported.call_spec.out_spec)  # noqa: SLF001 - the only way
    names = {leaf: ".".join(path) for leaf, path in leaves(tree, ())}
    return [names.get(position, str(position)) for position in range(count)]


def leaves(tree: Any, path: tuple[str, ...]) -> Iterator[tuple[int, tuple[str, ...]]]:
    """Yield the position of each output in dicts, lists and classes made of them, and the keys that lead to it."""
    if isinstance(tree, Mapping):
        branches = [(str(key), value) for key, value in tree.items()]
    elif isinstance(tree, list | tuple):
        branches = [(str(place), value) for place, value in enumerate(tree)]
    else:
        if isinstance(tree, int):
            yield tree, path
        return
    for key, value in branches:
        yield from leaves(value, (*path, key))
