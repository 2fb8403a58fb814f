"""Capture a PyTorch model with torch.export and read the result into a network."""

from __future__ import annotations

import io
import logging
import operator
import traceback
import warnings
from collections.abc import Iterator, Sequence
from contextlib import contextmanager, redirect_stderr
from pathlib import Path
from typing import Any

import torch
from torch import Tensor, fx, nn
from torch.export import Dim, ExportedProgram
from torch.export.graph_signature import InputKind
from torch.fx.node import map_aggregate

from transpike import ops
from transpike.capture.call import Call, Program, exported_sizes, foreign, operator_name, where, worded
from transpike.capture.laying import holds_signal, read_laid
from transpike.capture.layout import BatchSize, Laid, Signal, multiple
from transpike.capture.outputs import output_names
from transpike.capture.readers import READERS, recurrence, unreadable
from transpike.capture.rolling import Chain, chains
from transpike.capture.sequences import whole_sequences
from transpike.errors import CaptureError
from transpike.network import Network, Node


def export(model: nn.Module, samples: Sequence[Tensor]) -> ExportedProgram:
    """Return the functional ATen program of `model` with the batch left open, or raise CaptureError with the reason."""
    batch = Dim("batch")
    try:
        with warnings.catch_warnings(), quiet(), whole_sequences(model):
            warnings.simplefilter("ignore")  # torch warns about its own internals here
            program = torch.export.export(
                model, tuple(samples), dynamic_shapes=tuple({0: batch} for _ in samples), strict=False
            )
            return program.run_decompositions({})  # functional, so that in-place ops and views cannot surprise
    except Exception as error:
        raise CaptureError(export_refusal(error)) from error


@contextmanager
def quiet() -> Iterator[None]:
    """Silence what torch.export logs and prints before it raises: the refusal says it in one sentence."""
    level = logging.root.manager.disable
    logging.disable(logging.CRITICAL)
    try:
        with redirect_stderr(io.StringIO()):
            yield
    finally:
        logging.disable(level)


def export_refusal(error: Exception) -> str:
    """Say in one sentence why torch.export refused a model, and at which line of it."""
    text = str(error)
    first = next((line.strip() for line in text.splitlines() if line.strip()), type(error).__name__)
    if "data-dependent" in text or "GuardOnDataDependent" in type(error).__name__ or "unbacked" in text:
        return (
            f"The model has control flow or shapes that depend on the values of the data{user_line(error)}, so it has no "
            "fixed graph to convert. Replace the condition by fixed code."
        )
    if "Constraints violated" in text or ("batch" in text and "specialized" in text):
        return (
            "The model fixes the size of the batch or mixes its samples: it must accept any number of samples along "
            "axis 0 and treat each alone. Look for a constant batch size in a view or reshape, for len(x), which is a fixed "
            "number during an export (write x.shape[0]), or for an index into the batch."
        )
    return f"torch.export cannot capture the model{user_line(error)}: {first} Make the model exportable by torch.export first."


def user_line(error: BaseException) -> str:
    """Name the last line of the user's own code in the traceback of an error, if there is one."""
    frames = traceback.extract_tb(error.__traceback__)
    models = [frame for frame in frames if frame.name == "forward" and foreign(frame.filename)]
    return f" ({Path(models[-1].filename).name}, line {models[-1].lineno}: `{models[-1].line}`)" if models else ""


LEAVES = ("torch.nn", "transpike.training", "transpike.frontends")


class Reader:
    """Walks the nodes of an exported program and reads each into ops; constants are folded on the way."""

    def __init__(self, exported: ExportedProgram, model: nn.Module, refusals: list[CaptureError] | None = None) -> None:
        """Prepare to read; with `refusals` given, refusals are collected there and reading goes on behind them."""
        self.exported = exported
        self.refusals = refusals
        self.program = Program()
        self.values: dict[fx.Node, Any] = {}
        self.sequences: dict[fx.Node, Signal] = {}  # the outputs of chains of cells, by their first calls
        self.symbol = ""
        self.modules = dict(model.named_modules())
        self.chains = chains(exported.graph)

    def leaf(self, path: str) -> bool:
        """Whether `path` names a module of PyTorch's own or of ours, so that its one op can bear its name."""
        module = self.modules.get(path)
        return bool(path) and module is not None and type(module).__module__.startswith(LEAVES)

    def read(self) -> Network:
        """Return the network."""
        self.read_placeholders()
        for node in self.exported.graph.nodes:
            if node.op == "call_function" and node not in self.values:
                self.values[node] = self.attempt(node)
        if self.refusals:
            return Network(self.known(), {})
        result = next(node for node in self.exported.graph.nodes if node.op == "output").args[0]
        names = output_names(self.exported, len(result))
        outputs = {}
        for key, node in zip(names, result, strict=True):
            value = self.values.get(node)
            if isinstance(value, Signal):
                outputs[key] = value.name
            elif isinstance(value, Laid):
                raise CaptureError(f"Output {key!r} has not the batch alone as axis 0: return it so.")
            elif value is not None:
                raise CaptureError(f"Output {key!r} of the model does not depend on its input.")
        return Network(self.program.nodes, outputs, previous=self.program.previous)

    def known(self) -> dict[str, Node]:
        """Return the nodes read so far without their links, which may lead to refused operators."""
        return {name: Node(name, node.op, (), node.origin) for name, node in self.program.nodes.items()}

    def attempt(self, node: fx.Node) -> Any:
        """Read one call; where refusals are collected, stand in an unknown value of the right shape for a refused one."""
        try:
            return self.read_call(node)
        except CaptureError as refusal:
            if self.refusals is None:
                raise
            self.refusals.append(refusal)
            return unknown(node.meta.get("val"))

    def read_placeholders(self) -> None:
        """Bind parameters, buffers and constants to their values, and make a node of each input."""
        exported = self.exported
        state = {**exported.state_dict, **exported.constants}
        for spec, node in zip(exported.graph_signature.input_specs, self.placeholders(), strict=True):
            if spec.kind == InputKind.USER_INPUT:
                value = node.meta.get("val")
                if not isinstance(value, Tensor):
                    self.values[node] = value
                    continue
                self.symbol = self.symbol or str(value.shape[0])
                node.meta["batch"] = self.symbol
                if exported_sizes(node, value).place:
                    raise CaptureError(f"Input {node.name!r} has shape {worded(value, self.symbol)}: the batch must be axis 0.")
                shape = tuple(value.shape[1:])
                op = ops.Input(shape, str(value.dtype).removeprefix("torch."))
                self.values[node] = self.program.add(node.name, op, (), "", shape, value.dtype)
            else:
                tensor = state[spec.target]
                self.values[node] = tensor.detach().clone() if isinstance(tensor, Tensor) else tensor

    def placeholders(self) -> list[fx.Node]:
        return [node for node in self.exported.graph.nodes if node.op == "placeholder"]

    def resolve(self, argument: Any) -> Any:
        """Return an fx argument with nodes replaced by their values."""
        return fx.map_arg(argument, lambda node: self.values[node])

    def read_call(self, node: fx.Node) -> Any:
        """Return what a call computes: a signal, several, or a folded constant."""
        node.meta["batch"] = self.symbol
        if node.target is operator.getitem:
            return self.resolve(node.args[0])[node.args[1]]
        sources = list(node.all_input_nodes)
        signals = any(holds_signal(self.values[source]) for source in sources)
        if operator_name(node) == "sym_size":
            return self.size(node)
        if not signals:
            return self.fold(node)
        if not node.users and "assert" in operator_name(node):
            return None
        call = Call(node, self.named_arguments(node), self.program, self.leaf)
        if node in self.chains:
            return self.read_chain(call, self.chains[node])
        reader = READERS.get(call.operator)
        if reader is None:
            raise unreadable(call)
        return read_laid(call, reader)

    def read_chain(self, call: Call, chain: Chain) -> Any:
        """Read the calls of one cell along a sequence as a loop; return what the first of them computes."""
        known = self.sequences.get(chain.base, self.values.get(chain.base))
        source = known.signal if isinstance(known, Laid) else known
        if not isinstance(source, Signal):
            return READERS[call.operator](call)
        outputs, results = recurrence.rolled(call, source, chain.first, chain.step, len(chain.calls))
        self.sequences[chain.calls[0]] = outputs
        self.values.update(zip(chain.calls, results, strict=True))
        return results[0]

    def named_arguments(self, node: fx.Node) -> dict[str, Any]:
        """Return the arguments of an ATen call by name, defaults included."""
        schema = node.target._schema.arguments  # type: ignore[union-attr]  # noqa: SLF001 - the public way lacks names
        values = [self.resolve(argument) for argument in node.args]
        named = dict(zip((argument.name for argument in schema), values, strict=False))
        named.update({key: self.resolve(value) for key, value in node.kwargs.items()})
        return {argument.name: named.get(argument.name, argument.default_value) for argument in schema}

    def fold(self, node: fx.Node) -> Any:
        """Compute a value that depends on no input; the batch counts as 1 there, to be broadcast."""
        if isinstance(node.meta.get("val"), torch.SymInt):
            return self.size(node)
        args, kwargs = (
            map_aggregate(self.resolve(a), lambda v: v.factor if isinstance(v, BatchSize) else v)
            for a in (node.args, node.kwargs)
        )
        return node.target(*args, **kwargs)  # type: ignore[operator]

    def size(self, node: fx.Node) -> int | BatchSize:
        """Return a size that the model asks for: a number, or a multiple of the batch."""
        size = node.meta["val"]
        if isinstance(size, int):
            return size
        factor = multiple(size, self.symbol)
        if factor is None:
            what = "computes with the size of the batch" if self.symbol in str(size) else "has a size that depends on values"
            raise CaptureError(f"Operator {operator_name(node)!r} {where(node)} {what}.")
        return BatchSize(factor)


def unknown(value: Any) -> Any:
    """Return a signal, or several, standing for what a refused operator computes."""
    if isinstance(value, tuple | list):
        return tuple(unknown(item) for item in value)
    if not isinstance(value, Tensor):
        return None
    return Signal("", tuple(size if isinstance(size, int) else 1 for size in value.shape[1:]), value.dtype)
