"""Write a network, in the vocabulary of NIR, to a file."""

from __future__ import annotations

import io
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import Tensor

from transpike.errors import ExportError, require
from transpike.files import write_bytes
from transpike.network import Network, shapes
from transpike.neurons import IntegrateAndFire, ResetToZero
from transpike.ops import Add, AveragePool, Convolution, Input, Linear, Reshape
from transpike.parts import Decoder, Op

Shape = tuple[int, ...]


def package() -> Any:
    """Return the package nir, or raise MissingExtraError."""
    return require("nir", "nir", "NIR export")


def array(tensor: Tensor) -> np.ndarray:
    """Return a tensor as an array in float32."""
    return np.ascontiguousarray(tensor.detach().cpu().float().numpy())


def written_input(nir: Any, op: Input, before: Shape, after: Shape) -> Any:  # noqa: ARG001 - one signature for all
    """Return the entrance."""
    return nir.Input(input_type={"input": np.array(op.shape)})


def written_output(nir: Any, op: Op, before: Shape, after: Shape) -> Any:  # noqa: ARG001
    """Return the exit: currents, whose sum over time is the answer."""
    return nir.Output(output_type={"output": np.array(after)})


def written_convolution(nir: Any, op: Convolution, before: Shape, after: Shape) -> Any:
    """Return a convolution; the bias is always there."""
    bias = torch.zeros(after[0]) if op.bias is None else op.bias
    settings = {"stride": tuple(op.stride), "padding": tuple(op.padding), "dilation": tuple(op.dilation), "groups": op.groups}
    return nir.Conv2d(input_shape=tuple(before[1:]), weight=array(op.weight), bias=array(bias), **settings)


def written_linear(nir: Any, op: Linear, before: Shape, after: Shape) -> Any:  # noqa: ARG001
    """Return a fully connected layer; the bias is always there."""
    return nir.Affine(weight=array(op.weight), bias=array(torch.zeros(after[0]) if op.bias is None else op.bias))


def written_flatten(nir: Any, op: Reshape, before: Shape, after: Shape) -> Any:  # noqa: ARG001
    """Return a flattening of all axes; in NIR the batch is none."""
    return nir.Flatten(input_type={"input": np.array(before)}, start_dim=0, end_dim=-1)


def written_pool(nir: Any, op: AveragePool, before: Shape, after: Shape) -> Any:  # noqa: ARG001
    """Return a sum over windows."""
    return nir.SumPool2d(kernel_size=np.array(op.kernel), stride=np.array(op.stride), padding=np.array(op.padding))


def written_neurons(nir: Any, op: IntegrateAndFire, before: Shape, after: Shape) -> Any:  # noqa: ARG001
    """Return integrate-and-fire neurons.

    Neurons in NIR fire above the threshold, ours at it: the number before 1 makes both the same for every float32. How
    they are reset and from where they start stands in the metadata, since NIR has no words for it.
    """
    below = np.nextafter(np.float32(1), np.float32(0))
    facts: dict[str, Any] = {"reset": "zero" if isinstance(op, ResetToZero) else "subtract", "subtracted": 1.0}
    if bool(op.initial.any()):
        facts["v_init"] = array((op.initial * op.threshold).expand(1, *after)[0])
    ones, zeros = np.ones(after, np.float32), np.zeros(after, np.float32)
    return nir.IF(r=ones, v_threshold=ones * below, v_reset=zeros, metadata=facts)


WRITERS: dict[type[Op], Callable[..., Any]] = {
    Input: written_input,
    Convolution: written_convolution,
    Linear: written_linear,
    Reshape: written_flatten,
    AveragePool: written_pool,
    IntegrateAndFire: written_neurons,
    ResetToZero: written_neurons,
}


def graph_of(network: Network, facts: dict[str, Any]) -> Any:
    """Return the NIR graph of a network in its vocabulary; a sum becomes several edges into one node."""
    nir = package()
    sizes = shapes(network)
    nodes, edges = {}, []
    for name, node in network.nodes.items():
        if isinstance(node.op, Add):
            continue
        write = written_output if isinstance(node.op, Decoder) else WRITERS[type(node.op)]
        nodes[name] = write(nir, node.op, sizes[node.inputs[0]] if node.inputs else (), sizes[name])
        edges += [(source, name) for source in summed(network, name)]
    try:
        return nir.NIRGraph(nodes=nodes, edges=edges, metadata=facts)
    except (ValueError, AssertionError) as error:
        raise ExportError(f"The package nir {nir.version} does not take this graph: {error}") from error


def summed(network: Network, name: str) -> list[str]:
    """Return the nodes whose values a node reads; those of a sum one by one."""
    found: list[str] = []
    for source in network.nodes[name].inputs:
        found += summed(network, source) if isinstance(network.nodes[source].op, Add) else [source]
    return found


def write(network: Network, path: Path, facts: dict[str, Any]) -> None:
    """Write a network as a NIR file, whole or not at all; `facts` go into its metadata."""
    content = io.BytesIO()
    package().write(content, graph_of(network, facts))
    write_bytes(path, content.getvalue())
