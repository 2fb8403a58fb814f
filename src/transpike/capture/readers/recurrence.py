"""Readers of recurrent layers and cells: a loop over the elements of a sequence, or one turn of it."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor

from transpike import ops
from transpike.capture.call import Call, outcome
from transpike.capture.layout import TURNED, Laid, Signal
from transpike.capture.readers.shape import as_signal
from transpike.capture.sequences import GATES
from transpike.ops import Sigmoid, Tanh
from transpike.parts import Op


@dataclass(frozen=True)
class Weights:
    """The weights of one layer in one direction: [gates * hidden, inputs], [gates * hidden, outputs] and biases, if any.

    `projection` [outputs, hidden] makes the output of an LSTM smaller than its cell.
    """

    inputs: Tensor
    hidden: Tensor
    input_bias: Tensor | None = None
    hidden_bias: Tensor | None = None
    projection: Tensor | None = None

    @property
    def both(self) -> Tensor | None:
        """The sum of both biases."""
        return None if self.input_bias is None or self.hidden_bias is None else self.input_bias + self.hidden_bias


@dataclass(frozen=True)
class Scribe:
    """Adds nodes under a common name."""

    call: Call
    prefix: str

    def add(self, part: str, op: Op, *inputs: Signal) -> Signal:
        """Add `op` under the name of a part of the layer and return its signal."""
        value = outcome(op, inputs)
        shape = tuple(value.shape[1:])
        return self.call.program.add(f"{self.prefix}.{part}", op, inputs, self.call.origin, shape, value.dtype)

    def split(self, part: str, signal: Signal, names: Sequence[str]) -> dict[str, Signal]:
        """Return equal pieces of the last axis by name."""
        size = signal.shape[-1] // len(names)
        axis = len(signal.shape)
        return {
            name: self.add(f"{name}_{part}", ops.Slice(axis, i * size, (i + 1) * size), signal) for i, name in enumerate(names)
        }


@dataclass(frozen=True)
class Activations:
    """The curves of a cell: of its gates and of its states."""

    gate: Op
    state: Op


States = Mapping[str, Signal]
Step = Callable[[Scribe, Weights, Activations, Signal, States], dict[str, Signal]]


def lstm_step(scribe: Scribe, weights: Weights, curves: Activations, x: Signal, states: States) -> dict[str, Signal]:
    """Return c' = f c + i g, h' = o tanh(c'), with i, f, o = gate(W x + U h + b), g = state(W x + U h + b)."""
    recurrent = scribe.add("hidden", ops.Linear(weights.hidden, None), states["h"])
    sums = scribe.split("current", scribe.add("current", ops.Add(), x, recurrent), ("input", "forget", "cell", "output"))
    gates = {name: scribe.add(f"{name}_gate", curves.gate, sums[name]) for name in ("input", "forget", "output")}
    candidate = scribe.add("candidate", curves.state, sums["cell"])
    kept = scribe.add("kept", ops.Multiply(), gates["forget"], states["c"])
    written = scribe.add("written", ops.Multiply(), gates["input"], candidate)
    cell = scribe.add("cell_state", ops.Add(), kept, written)
    hidden = scribe.add("hidden_state", ops.Multiply(), gates["output"], scribe.add("cell_output", curves.state, cell))
    if weights.projection is not None:
        hidden = scribe.add("projected", ops.Linear(weights.projection, None), hidden)
    return {"h": hidden, "c": cell}


def gru_step(scribe: Scribe, weights: Weights, curves: Activations, x: Signal, states: States) -> dict[str, Signal]:
    """Return h' = n + z (h - n), with r, z = gate(W x + U h + b) and n = state(W x + b + r (U h + b))."""
    names = ("reset", "update", "new")
    both = scribe.add("hidden", ops.Linear(weights.hidden, weights.hidden_bias), states["h"])
    recurrent = scribe.split("hidden", both, names)
    inputs = scribe.split("input", x, names)
    reset, update = (
        scribe.add(f"{name}_gate", curves.gate, scribe.add(f"{name}_current", ops.Add(), inputs[name], recurrent[name]))
        for name in names[:2]
    )
    admitted = scribe.add("admitted", ops.Multiply(), reset, recurrent["new"])
    candidate = scribe.add("candidate", curves.state, scribe.add("new_current", ops.Add(), inputs["new"], admitted))
    kept = scribe.add("kept", ops.Multiply(), update, scribe.add("change", ops.Add(-1.0), states["h"], candidate))
    return {"h": scribe.add("hidden_state", ops.Add(), candidate, kept)}


def elman_step(scribe: Scribe, weights: Weights, curves: Activations, x: Signal, states: States) -> dict[str, Signal]:
    """Return h' = state(W x + U h + b)."""
    recurrent = scribe.add("hidden", ops.Linear(weights.hidden, None), states["h"])
    return {"h": scribe.add("hidden_state", curves.state, scribe.add("current", ops.Add(), x, recurrent))}


@dataclass(frozen=True)
class Kind:
    """A kind of cell: its turn, the names of its states, its curves, and whether both biases may be added at once."""

    step: Step
    states: tuple[str, ...]
    curves: Activations
    one_bias: bool = True


STANDARD = Activations(Sigmoid(), Tanh())
NORMAL = Activations(ops.NormalCurve(1.75), ops.NormalCurve(0.88, -1.0))  # those of transpike.training.NormalLSTM
KINDS = {
    "lstm": Kind(lstm_step, ("h", "c"), STANDARD),
    "gru": Kind(gru_step, ("h",), STANDARD, one_bias=False),
    "rnn_tanh": Kind(elman_step, ("h",), STANDARD),
    "rnn_relu": Kind(elman_step, ("h",), Activations(Sigmoid(), ops.Relu())),
    "normal_lstm": Kind(lstm_step, ("h", "c"), NORMAL),
    "normal_gru": Kind(gru_step, ("h",), NORMAL, one_bias=False),
    "normal_rnn": Kind(elman_step, ("h",), NORMAL),
}


def layers(call: Call) -> tuple[Any, ...]:
    """Read a recurrent layer of one or more levels and directions: all outputs, and the last states [levels, batch, ...]."""
    kind = KINDS[call.kind]
    turned = isinstance(call.data, Laid)
    if turned == call.batch_first:
        raise call.refusal("it takes the axis of the batch for that of time", "Set batch_first as the data are laid out.")
    source: Signal = call.data.signal if turned else call.data
    mask = None if call.lengths is None else mask_of(call, source.shape[0])
    directions = 1 + call.bidirectional
    weights = grouped(call, call.num_layers * directions)
    last: dict[str, list[Signal]] = {name: [] for name in kind.states}
    for level in range(call.num_layers):
        outputs = []
        for direction in range(directions):
            place, backwards = level * directions + direction, bool(direction)
            initial = initial_states(call, kind, weights[place], place)
            scribe = Scribe(call, name_of(call, level, backwards=backwards))
            states, output = loop(scribe, kind, weights[place], source, initial, mask, backwards=backwards)
            outputs.append(output)
            for name, values in states.items():
                last[name].append(at(call, values, 0 if backwards else values.shape[0] - 1))
        source = call.emit(ops.Concatenate(len(outputs[0].shape)), *outputs) if len(outputs) > 1 else outputs[0]
    finals = [Laid(beside(call, last[name]), TURNED) for name in kind.states]
    return (Laid(source, TURNED) if turned else source, *finals)


def mask_of(call: Call, count: int) -> Signal:
    """Return 1 at the elements of each sequence and 0 behind its end [elements, 1]."""
    return call.emit(ops.Within(count), as_signal(call, call.lengths))


def name_of(call: Call, level: int, *, backwards: bool) -> str:
    """Return the name of one level and direction of a layer."""
    parts = [call.origin or call.operator, f"l{level}" if call.num_layers > 1 else "", "backwards" if backwards else ""]
    return ".".join(filter(None, parts))


def grouped(call: Call, places: int) -> list[Weights]:
    """Return the weights of each level and direction from the flat list of parameters."""
    parameters: list[Tensor] = list(call.weights)
    count = len(parameters) // places
    projected = count - 2 * call.has_biases > 2  # noqa: PLR2004 - two matrices and perhaps biases
    found = []
    for i in range(places):
        group = parameters[i * count : (i + 1) * count]
        biases = group[2:4] if call.has_biases else (None, None)
        found.append(Weights(group[0], group[1], biases[0], biases[1], group[-1] if projected else None))
    return found


def loop(
    scribe: Scribe,
    kind: Kind,
    weights: Weights,
    source: Signal,
    initial: Mapping[str, Signal],
    mask: Signal | None,
    *,
    backwards: bool,
) -> tuple[dict[str, Signal], Signal]:
    """Add a loop over a sequence [elements, inputs]; return its states and its output at all elements.

    Behind the end of a sequence, where `mask` is 0, the states stay and the output is 0.
    """
    program, name, origin = scribe.call.program, scribe.prefix, scribe.call.origin

    def add(part: str, op: Op, source: Signal, shape: tuple[int, ...]) -> Signal:
        return program.add(f"{name}.{part}", op, (source,), origin, shape, source.dtype)

    bias = weights.both if kind.one_bias else weights.input_bias
    currents = scribe.add("input", ops.Linear(weights.inputs, bias), source)
    entry = add("element", ops.Element(name, backwards), currents, currents.shape[1:])
    before = {key: add(f"previous_{key}", ops.Previous(name), value, value.shape) for key, value in initial.items()}
    states = kind.step(scribe, weights, kind.curves, entry, before)
    output = states["h"]
    if mask is not None:
        within = add("within", ops.Element(name, backwards), mask, mask.shape[1:])
        zero = as_signal(scribe.call, torch.zeros(1, *output.shape))
        output = scribe.add("output", ops.Choose(), within, output, zero)
        states = {key: scribe.add(f"held_{key}", ops.Choose(), within, new, before[key]) for key, new in states.items()}
    program.previous.update({before[key].name: value.name for key, value in states.items()})

    def collected(part: str, value: Signal) -> Signal:
        return add(part, ops.Collect(name), value, (source.shape[0], *value.shape))

    return {key: collected(f"all_{key}", value) for key, value in states.items()}, collected("outputs", output)


def initial_states(call: Call, kind: Kind, weights: Weights, place: int) -> dict[str, Signal]:
    """Return the initial states of one level and direction, zero if the model gives none."""
    sizes = {"h": weights.hidden.shape[1], "c": weights.inputs.shape[0] // GATES[call.kind]}
    given = [initial_state(call, value, place) for value in call.states]
    zeros = [torch.zeros(1, sizes[name], dtype=weights.hidden.dtype) for name in kind.states]
    return dict(zip(kind.states, given or [as_signal(call, zero) for zero in zeros], strict=True))


def initial_state(call: Call, value: Any, place: int) -> Signal:
    """Return one of the initial states [levels, batch, hidden]."""
    if isinstance(value, Laid):
        return at(call, value.signal, place)
    if isinstance(value, Signal):
        raise call.refusal("its initial states have the batch as axis 0", "Give them as [layers, batch, hidden].")
    return as_signal(call, value[place])


def at(call: Call, signal: Signal, index: int) -> Signal:
    """Return one element of a sequence."""
    picked = call.emit(ops.Slice(1, index, index + 1), signal)
    return call.emit(ops.Reshape(signal.shape[1:]), picked)


def beside(call: Call, signals: Sequence[Signal]) -> Signal:
    """Return signals of one shape side by side along a new axis 1."""
    each = [call.emit(ops.Reshape((1, *signal.shape)), signal) for signal in signals]
    return call.emit(ops.Concatenate(1), *each) if len(each) > 1 else each[0]


def cell(call: Call) -> Any:
    """Read one turn of a cell that a user's own loop calls."""
    kind, weights, states, scribe = parts_of(call)
    bias = weights.both if kind.one_bias else weights.input_bias
    x = scribe.add("input", ops.Linear(weights.inputs, bias), as_signal(call, call.input))
    after = kind.step(scribe, weights, kind.curves, x, states)
    return tuple(after[name] for name in kind.states) if len(kind.states) > 1 else after["h"]


def parts_of(call: Call) -> tuple[Kind, Weights, dict[str, Signal], Scribe]:
    """Return the kind, the weights and the states of a call of a cell, and who adds its nodes."""
    kind = KINDS[call.operator.removesuffix("_cell")]
    hx = call.hx if isinstance(call.hx, list | tuple) else [call.hx]
    states = {name: as_signal(call, value) for name, value in zip(kind.states, hx, strict=True)}
    return kind, Weights(call.w_ih, call.w_hh, call.b_ih, call.b_hh), states, Scribe(call, call.origin or call.operator)


def rolled(call: Call, source: Signal, first: int, step: int, count: int) -> tuple[Signal, list[Any]]:
    """Read `count` calls of a cell on the elements `first`, `first` + `step` ... of a sequence as one loop.

    Returns its outputs at these elements, in the order of the sequence, and what each call gives, in the order of the calls.
    """
    kind, weights, states, scribe = parts_of(call)
    start = first if step > 0 else first - count + 1
    if (start, count) != (0, source.shape[0]):
        source = scribe.add("elements", ops.Slice(1, start, start + count), source)
    after, outputs = loop(scribe, kind, weights, source, states, None, backwards=step < 0)
    results: list[Any] = []
    for i in range(count):
        each = [at(call, after[name], i if step > 0 else count - 1 - i) for name in kind.states]
        results.append(tuple(each) if len(each) > 1 else each[0])
    return outputs, results


def embedding(call: Call) -> Signal:
    if isinstance(call.weight, Signal) or isinstance(call.indices, Tensor):
        raise call.refusal("its table depends on the input")
    return call.emit(ops.Embedding(call.weight), call.indices)


def one_hot(call: Call) -> Signal:
    if call.num_classes < 1:
        raise call.refusal("it finds the number of classes in the data", "Give num_classes.")
    return call.emit(ops.OneHot(call.num_classes), call.arguments["self"])
