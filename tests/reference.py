"""The definition of correct: every sample, step and neuron by itself, in float64, with loops.

Nothing here is fast and nothing is shared between steps: a constant input is computed anew at each of them.
"""

from __future__ import annotations

import itertools

import numpy as np
import torch

from literal_neurons import LITERAL, LiteralFirstSpike
from transpike.codings import BiasOnce, DifferenceInput, Recorded, Regular
from transpike.neurons import (
    AccumulatedMaxPool,
    Announcement,
    Delayed,
    DifferenceDecoder,
    DifferenceFunction,
    DifferenceMaxPool,
    DifferenceNeuron,
    EarlyExit,
    FirstSpike,
    FirstToMargin,
    FunctionOfSignals,
    GatedMaxPool,
    Integrator,
    LookAhead,
    Neuron,
    Pulse,
    StepFunction,
    StepMaxPool,
    WinnerTakeAll,
)
from transpike.ops import (
    Add,
    Affine,
    AveragePool,
    Concatenate,
    Constant,
    Convolution,
    Identity,
    Input,
    Linear,
    MaxPool,
    Reshape,
)
from transpike.parts import Stateful


def simulate_literally(network, inputs, time_steps):
    """Return (outputs, spikes): key -> [time, batch, ...] and spiking node -> bool [time, batch, ...]."""
    samples = [run_sample(network, [x[i] for x in inputs], i, time_steps) for i in range(len(inputs[0]))]
    outputs, spikes = zip(*samples, strict=True)
    return together(outputs), together(spikes)


def together(samples):
    return {name: np.stack([sample[name] for sample in samples], axis=1) for name in samples[0]}


def run_sample(network, inputs, index, time_steps):
    """Step one sample through time; return its outputs and spikes, name -> [time, ...]."""
    memory = {}
    outputs = {key: [] for key in network.outputs}
    fired = {name: [] for name, node in network.nodes.items() if "count" in getattr(node.op, "keeps", ())}
    for _ in range(time_steps):
        values, given = {}, iter(inputs)
        for name, node in network.nodes.items():
            if isinstance(node.op, Input):
                values[name] = next(given).double().numpy()
            elif isinstance(node.op, FirstSpike | Announcement):
                values[name] = first_spikes(node.op, memory, name, *[values[source] for source in node.inputs])
            elif isinstance(node.op, FunctionOfSignals):
                values[name] = function_of_signals(node.op, memory.setdefault(name, {}), [values[s] for s in node.inputs])
            elif isinstance(node.op, Stateful):
                values[name] = advance(node.op, memory, name, values[node.inputs[0]], index)
            else:
                values[name] = evaluate(node.op, [values[source] for source in node.inputs])
        for key, name in network.outputs.items():
            outputs[key].append(values[name])
        for name, train in fired.items():
            train.append(values[name] != 0)
    return stacked(outputs), stacked(fired)


def stacked(traces):
    return {name: np.stack(trace) for name, trace in traces.items()}


def advance(op, memory, name, x, index):
    """Return what an op with a memory sends in this step."""
    for kind, rule in RULES.items():
        if type(op) is kind:
            return rule(op, memory.setdefault(name, {}), x)
    if isinstance(op, Neuron):
        if name not in memory:
            memory[name] = population(op, x.shape)
        return fire(memory[name], x)
    if isinstance(op, Integrator):
        total, steps = memory.get(name, (np.zeros(x.shape), 0))
        total = x if steps == op.delay else total + x
        memory[name] = total, steps + 1
        return total / (steps + 1 - op.delay if steps >= op.delay else steps + 1)
    if isinstance(op, AccumulatedMaxPool):
        total, sent, steps = memory.get(name, (np.zeros(x.shape), 0.0, 0))
        if steps in op.restarts:
            total, sent = np.zeros(x.shape), 0.0
        maximum = evaluate(op.pool, [total + x])
        memory[name] = total + x, maximum, steps + 1
        return maximum - sent
    if isinstance(op, Delayed):
        heard = memory.setdefault(name, [])
        heard.append(x)
        return heard[-1 - op.steps] if len(heard) > op.steps else np.zeros(x.shape)
    tensor = torch.from_numpy(x)[None]
    if name not in memory:
        memory[name] = op.start(tensor, index)
    return op.step(memory[name], tensor)[0].numpy().copy()


def first_spikes(op, memory, name, x, other=None):
    """Return the spikes of first-spike neurons, given what is missing, or their announcements, given their spikes."""
    neurons = memory.setdefault(name, [])
    threshold = np.broadcast_to((op.threshold if isinstance(op, FirstSpike) else op.height).numpy(), x.shape)
    if not neurons:
        resolution = op.resolution if isinstance(op, FirstSpike) else 0
        neurons += [LiteralFirstSpike(type(op), float(one), resolution) for one in threshold.flat]
    others = np.zeros(x.size) if other is None else other.flat
    if isinstance(op, FirstSpike):
        sent = [one.step(current, missing) for one, current, missing in zip(neurons, x.flat, others, strict=True)]
    else:
        sent = []
        levels = np.broadcast_to(0.0 if op.level is None else op.level.numpy(), x.shape)
        for one, current, spike, level in zip(neurons, x.flat, others, levels.flat, strict=True):
            one.fired = one.fired or spike > 0
            one.announce(current, spike, level)
            sent.append(one.waiting)
    return np.array(sent, float).reshape(x.shape) * threshold


def population(op, shape):
    """Return literal neurons [...] of one sample, with what each gets and sends beside its threshold."""
    threshold = np.broadcast_to(op.threshold.numpy(), shape)
    initial = np.broadcast_to(op.initial.numpy(), shape)
    neurons = np.empty(shape, object)
    delay = 0 if isinstance(op, LookAhead) else op.delay  # which knows itself when to listen and when to fire
    bias, height = (None if table is None else [np.broadcast_to(row.numpy(), shape) for row in table] for table in extras(op))
    for place in np.ndindex(*shape):
        neuron = LITERAL[type(op)](op, float(threshold[place]), float(initial[place]))
        neurons[place] = Dressed(neuron, delay, *(None if t is None else [r[place] for r in t] for t in (bias, height)))
    return neurons


def extras(op):
    return op.bias, op.height


class Dressed:
    """A neuron that waits for `delay` steps, gets a bias in each step, and sends spikes of another height."""

    def __init__(self, neuron, delay, bias, height):
        self.neuron, self.delay, self.bias, self.height = neuron, delay, bias, height
        self.t = 0

    def step(self, current):
        self.t += 1
        if self.t <= self.delay:
            return 0.0
        sent = self.neuron.step(current + self.row(self.bias, 0.0))
        return sent if self.height is None else sent / self.neuron.threshold * self.row(self.height, None)

    def row(self, table, default):
        if table is None:
            return default
        return table[0] if len(table) == 1 else table[self.t - 1]


def fire(neurons, current):
    """Step each neuron with its current; return what is sent."""
    sent = np.zeros(current.shape)
    for place in np.ndindex(*current.shape):
        sent[place] = neurons[place].step(float(current[place]))
    return sent


def evaluate(op, inputs):  # noqa: PLR0911 - one line for each op
    """Return the value of an op without memory for one sample."""
    match op:
        case Constant():
            return op.value[0].double().numpy()
        case Linear():
            return linear(op, *inputs)
        case Convolution():
            return convolution(op, *inputs)
        case Affine():
            scale = 1.0 if op.scale is None else op.scale.numpy()
            return inputs[0] * scale + (0.0 if op.shift is None else op.shift.numpy())
        case Add():
            return inputs[0] + op.scale * inputs[1]
        case AveragePool():
            return pool(op, inputs[0], average)
        case MaxPool():
            return pool(op, inputs[0], maximum)
        case Concatenate():
            return np.concatenate(inputs, op.axis - 1)
        case Reshape():
            return inputs[0].reshape(op.shape)
    return op(*[torch.from_numpy(np.ascontiguousarray(x))[None] for x in inputs])[0].numpy()


def linear(op, x):
    weight = op.weight.numpy()
    result = np.zeros((*x.shape[:-1], len(weight)))
    for place in np.ndindex(*result.shape):
        *row, out = place
        result[place] = 0.0 if op.bias is None else op.bias.numpy()[out]
        for i in range(x.shape[-1]):
            result[place] += weight[out, i] * x[(*row, i)]
    return result


def convolution(op, x):
    """Slide each kernel over its group of channels, in any number of dimensions."""
    weight, sides = op.weight.numpy(), op.weight.shape[2:]
    x = np.pad(x, [(0, 0), *[(width, width) for width in op.padding]])
    reach = [d * (k - 1) + 1 for d, k in zip(op.dilation, sides, strict=True)]
    spatial = [(size - r) // s + 1 for size, r, s in zip(x.shape[1:], reach, op.stride, strict=True)]
    result = np.zeros((len(weight), *spatial))
    for out, *place in itertools.product(*map(range, result.shape)):
        first = out // (len(weight) // op.groups) * weight.shape[1]
        window = [slice(first, first + weight.shape[1])]
        for p, s, r, d in zip(place, op.stride, reach, op.dilation, strict=True):
            window.append(slice(p * s, p * s + r, d))
        bias = 0.0 if op.bias is None else op.bias.numpy()[out]
        result[(out, *place)] = bias + np.sum(weight[out] * x[tuple(window)])
    return result


def pool(op, x, reduce):
    """Reduce each window of each channel; a window may hang over the border."""
    shape, spots = window_spots(op, x)
    result = np.zeros(shape)
    for place, (inside, full) in spots.items():
        result[place] = reduce(op, [x[spot] for spot in inside], full)
    return result


def window_spots(op, x):
    """Return the shape of the pooled sample, and for each of its places the inputs of the window and its full size."""
    dilation = getattr(op, "dilation", (1,) * len(op.kernel))
    axes = list(zip(x.shape[1:], op.kernel, op.stride, op.padding, dilation, strict=True))
    shape = (len(x), *[windows(*axis, op.ceil_mode) for axis in axes])
    spots = {}
    for channel, *place in itertools.product(*map(range, shape)):
        picks, full = [], 1
        for p, (size, kernel, stride, padding, step) in zip(place, axes, strict=True):
            start = p * stride - padding
            inside = [i for i in range(start, start + step * kernel, step) if i < size + padding]
            full *= len(inside)
            picks.append([i for i in inside if 0 <= i < size])
        spots[(channel, *place)] = [(channel, *spot) for spot in itertools.product(*picks)], full
    return shape, spots


def windows(size, kernel, stride, padding, step, ceil_mode):
    """Count the windows along one axis; with `ceil_mode` the last one must start inside the input or its left border."""
    room = size + 2 * padding - step * (kernel - 1) - 1
    count = (-(-room // stride) if ceil_mode else room // stride) + 1
    return count - 1 if ceil_mode and (count - 1) * stride >= size + padding else count


def average(op, values, full):
    """Divide the sum by the values in the window, with or without the padded border, or by a fixed number."""
    return sum(values) / (op.divisor or (full if op.count_include_pad else len(values)))


def maximum(op, values, full):
    return max(values)


def regular(op, memory, x):
    """Diffuse the error of each value over time."""
    rest = memory.setdefault("rest", np.zeros(x.shape))
    amplitude = float(op.amplitude)
    sent = np.zeros(x.shape)
    for place in np.ndindex(*x.shape):
        rest[place] += min(max(x[place] / amplitude, -1.0), 1.0)
        spike = 0
        if rest[place] >= 0.5:
            spike = 1
        elif rest[place] <= -0.5:
            spike = -1
        rest[place] -= spike
        sent[place] = spike * amplitude
    return sent


def first_to_margin(op, memory, x):
    """Answer with the mean of the accumulated potential until one class leads by the margin, then with that answer."""
    memory["steps"] = memory.get("steps", 0) + 1
    restarts = memory["steps"] == op.delay + 1
    memory["total"] = x if restarts else memory.get("total", 0.0) + x
    if "decided" in memory:
        return memory["decided"]
    listened = memory["steps"] > op.delay
    answer = memory["total"] / (memory["steps"] - op.delay * listened)
    second, first = sorted(memory["total"])[-2:]
    if listened and first - second >= op.margin:
        memory["decided"] = answer
    return answer


def step_max_pool(op, memory, x):
    return evaluate(op.pool, [x])


def gated_max_pool(op, memory, x):
    """Pass on what the input with the largest sum sends; of equal ones the first."""
    memory["total"] = memory.get("total", 0.0) + x
    shape, spots = window_spots(op.pool, x)
    sent = np.zeros(shape)
    for place, (inside, _) in spots.items():
        leader = inside[0]
        for spot in inside[1:]:
            if memory["total"][spot] > memory["total"][leader]:
                leader = spot
        sent[place] = x[leader]
    return sent


def winner_take_all(op, memory, x):
    """Step the neurons of each window one by one; the inhibitory neuron answers the spikes of the step before."""
    shape, spots = window_spots(op.pool, x)
    threshold = np.broadcast_to(op.threshold.numpy(), shape)
    sent = np.zeros(shape)
    for place, (inside, _) in spots.items():
        height = threshold[place]
        potential, fired = memory.setdefault(place, ([0.0] * len(inside), [0] * len(inside)))
        before = list(fired)
        for i, spot in enumerate(inside):
            inhibitory_spikes = sum(before) - before[i]
            potential[i] += x[spot] - op.inhibition * height * inhibitory_spikes
            potential[i] = max(potential[i], -op.rest * height)
            fired[i] = int(potential[i] >= height)
            potential[i] -= height * fired[i]
        sent[place] = height * sum(fired)
    return sent


def difference_neuron(op, memory, x):
    """Differential coding as published, with separate estimates of the rates of input and output."""
    t = memory["t"] = memory.get("t", 0) + 1
    threshold = np.broadcast_to(op.threshold.numpy(), x.shape)
    zero = np.zeros(x.shape)
    v, total = memory.get("v", op.initial.numpy() * threshold), memory.get("total", zero)
    into, out = memory.get("into", zero), memory.get("out", zero)
    m = v + x + into - out
    total = total + out
    sent = np.zeros(x.shape)
    parts = 2**op.mantissa
    scale = 1.0 if op.scales is None else float(op.scales[min(t, len(op.scales)) - 1])
    fine = [scale, *(scale * (1 + j / parts) / 2**k for k in range(1, op.levels) for j in reversed(range(parts)))]
    sizes = [*(2.0**-k for k in range(20) if 2.0**-k > scale), *fine]
    below = [*sizes[1:], (1 - 1 / parts / 2) * sizes[-1]]  # what rounding would take next
    for place in np.ndindex(*x.shape):
        for size, smaller in zip(sizes, below, strict=True):
            level, limit = size * threshold[place], (size + smaller) / 2 * threshold[place]
            if m[place] >= limit:
                sent[place] = level
                break
            may = isinstance(op.activation, Identity) or total[place] * (1 + 1e-4) >= level
            if m[place] <= -limit and may:
                sent[place] = -level
                break
    memory.update(v=m - sent, total=total + sent, into=into + x / t, out=out + sent / t)
    return sent


def difference_input(op, memory, x):
    values = memory.setdefault("values", [])
    sent = x - (sum(values) / len(values) if values else 0.0)
    values.append(x)
    return sent


def bias_once(op, memory, x):
    first = "done" not in memory
    memory["done"] = True
    return x + op.bias.numpy() if first else x


def estimated(memory, x):
    """Return the decoded value of a differentially coded stream."""
    memory["t"] = memory.get("t", 0) + 1
    memory["rate"] = memory.get("rate", 0.0) + x / memory["t"]
    return memory["rate"]


def difference_decoder(op, memory, x):
    return estimated(memory, x)


def difference_max_pool(op, memory, x):
    maximum = evaluate(op.pool, [estimated(memory, x)])
    sent = memory["t"] * (maximum - memory.get("maximum", 0.0))
    memory["maximum"] = maximum
    return sent


def function_of_signals(op, memory, inputs):
    """Send what brings the decoded output, a mean or a sum of x[t] / t, from the function of the inputs before to that now."""
    t = memory["t"] = memory.get("t", 0) + 1
    if isinstance(op, StepFunction):
        return evaluate(op.op, inputs)
    history = memory.setdefault("history", [])
    history.append(inputs)
    weights = [1 / k if isinstance(op, DifferenceFunction) else 1 / t for k in range(1, t + 1)]
    values = [
        x if i in op.held else sum(weight * past[i] for weight, past in zip(weights, history, strict=True))
        for i, x in enumerate(inputs)
    ]
    now, before = evaluate(op.op, values), memory.get("value", 0.0)
    memory["value"] = now
    return t * (now - before) if isinstance(op, DifferenceFunction) else t * now - (t - 1) * before


def pulse(op, memory, x):
    """Return the sum of all that came."""
    memory["sum"] = memory.get("sum", 0.0) + x
    return memory["sum"]


def recorded(op, memory, x):
    """Send the next frame [...] of a recording x [frames, ...], and begin anew after the last."""
    memory["step"] = memory.get("step", -1) + 1
    return x[memory["step"] % len(x)]


RULES = {
    Recorded: recorded,
    Pulse: pulse,
    Regular: regular,
    FirstToMargin: first_to_margin,
    EarlyExit: first_to_margin,
    StepMaxPool: step_max_pool,
    GatedMaxPool: gated_max_pool,
    WinnerTakeAll: winner_take_all,
    DifferenceNeuron: difference_neuron,
    DifferenceInput: difference_input,
    BiasOnce: bias_once,
    DifferenceDecoder: difference_decoder,
    DifferenceMaxPool: difference_max_pool,
}
