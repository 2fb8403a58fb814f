"""How errors grow on their way through a network: the bound by the product of operator norms, and the norms."""

from __future__ import annotations

import math
from collections.abc import Mapping

import torch
from torch import Tensor

from transpike.analysis.connections import along_axes
from transpike.network import Network, shapes
from transpike.network.grammar import decoded, linear_here, temporal_nodes, trait
from transpike.network.loops import membership
from transpike.neurons import FunctionOfSignals
from transpike.ops import AdaptiveMaxPool, Add, Concatenate, Identity, Linear, MaxPool, Permute, Reshape
from transpike.parts import Op, Stateful, Trait

Shape = tuple[int, ...]
ITERATIONS = 2000  # at most; most ops need some dozens
CONVERGED = 1e-7  # relative change of the norm from one iteration to the next


def operator_norm(op: Op, shape: Shape) -> float:
    """Return the spectral norm of a linear op for one sample of `shape`: the most by which it can lengthen a vector.

    ||A|| = max |A x| / |x|, with A x = op(x) - op(0). Of a matrix by singular values; of any other op by power iteration
    on A^T A with the op itself and its transpose, so that borders and strides count; that comes from below, and stops
    when it changes by less than 1e-7 of itself.

    >>> operator_norm(Linear(torch.tensor([[3.0, 0.0], [0.0, -4.0]])), (2,))
    4.0
    """
    if isinstance(op, Identity | Permute | Reshape):
        return 1.0
    op = op.map_tensors(lambda tensor: tensor.detach().cpu().float().clone() if tensor.is_floating_point() else tensor)
    if isinstance(op, Linear):
        return float(torch.linalg.matrix_norm(op.weight.double(), 2))
    vector = torch.randn((1, *shape), generator=torch.Generator().manual_seed(0))
    norm = 0.0
    with torch.inference_mode(mode=False), torch.enable_grad():
        zero = op(torch.zeros_like(vector)).detach()
        for _ in range(ITERATIONS):
            vector = (vector / vector.norm()).requires_grad_()
            image = op(vector) - zero
            before, norm = norm, float(image.detach().norm())
            if norm == 0 or abs(norm - before) < CONVERGED * norm:
                break
            (vector,) = torch.autograd.grad(image, vector, image.detach())
    return norm


def pool_norm(op: Op, shape: Shape, output: Shape) -> float:
    """Return the most by which maximum-pooling can lengthen a difference: the root of how many windows share a value.

    |max x - max y| <= |x - y| over a window, and each value is in at most k windows, so ||max x - max y|| <= sqrt(k) ||x - y||.
    """
    return math.sqrt(float(along_axes(op, shape, output, torch.ones(output)).max()))


def norms(network: Network) -> dict[str, float]:
    """Return how much each op before the decoded answer can lengthen a difference; activations and read-outs 1.

    Sums and concatenations are left out: `bounds` adds up what arrives at them. Functions of signals have no norm here, and of
    what goes round a loop none is worth stating: infinity for both.
    """
    unbounded = {node.name for node in network.having(FunctionOfSignals)} | set(membership(network))
    temporal = temporal_nodes(network)
    sizes, after = shapes(network), decoded(network)
    found: dict[str, float] = {}
    for name, node in network.nodes.items():
        op = node.op.analogue() if isinstance(node.op, Stateful) else node.op
        if not node.inputs or isinstance(op, Add | Concatenate):
            continue
        source = sizes[node.inputs[0]]
        if name in unbounded or linear_here(node, temporal):
            found[name] = math.inf
        elif isinstance(op, MaxPool | AdaptiveMaxPool) and name not in after:
            found[name] = pool_norm(op, source, sizes[name])
        elif trait(op) is Trait.LINEAR and name not in after:
            found[name] = operator_norm(op, source)
        else:
            found[name] = 1.0
    return found


def bounds(network: Network, lengthened: Mapping[str, float], added: Mapping[str, float]) -> dict[str, float]:
    """Return a bound on the length of the error of each node, given the length of the error that each node `added`.

    b = added + norm * b(input);  at sums the bounds of what is summed add up, at concatenations their squares do, so that
    along a chain b is the article's product of the norms of all downstream weights, and in a residual network its sum
    over all paths. It holds for the root mean square over samples as for one sample. It is loose: it takes every error
    for the worst possible direction of every layer at once, and all errors for equal in direction.
    """
    sizes = shapes(network)
    found: dict[str, float] = {}
    for name, node in network.nodes.items():
        arriving = [found[source] for source in node.inputs]
        if isinstance(node.op, Add):
            stretch = [math.sqrt(math.prod(sizes[name]) / max(1, math.prod(sizes[source]))) for source in node.inputs]
            total = stretch[0] * arriving[0] + abs(node.op.scale) * stretch[1] * arriving[1]
        elif isinstance(node.op, Concatenate):
            total = math.hypot(*arriving)
        else:
            total = lengthened.get(name, 0.0) * sum(arriving) if any(arriving) else 0.0
        found[name] = total + added.get(name, 0.0)
    return found


def answer_bound(found: Mapping[str, float], ends: list[str]) -> float:
    """Return the bound on the whole decoded answer from those of its parts."""
    return math.hypot(*(found[name] for name in ends))


def length(square_sum: Tensor, samples: int) -> float:
    """Return the root mean square over samples of the length of an error, from the sum of its squares."""
    return math.sqrt(float(square_sum) / max(1, samples))
