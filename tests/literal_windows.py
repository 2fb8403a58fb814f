"""Neurons whose layers take turns, stepped one by one in absolute time: every spike is sent, received and weighted.

Each kind is its own equation in plain loops over slots; nothing here is shared with the program.
"""

from __future__ import annotations

import numpy as np

from reference import evaluate
from transpike.neurons import (
    AccumulatedMaxPool,
    BinaryPhase,
    EvenFiring,
    FewSpike,
    FirstSpikeTime,
    GeometricPhase,
    Integrator,
    Phase,
    PulsePhase,
    RampedPhase,
    SignedDigits,
    Windowed,
)
from transpike.ops import Input


def phase(op, potential, theta, slots, height):
    """The oscillation lifts the potential slot by slot; the first crossing is the spike."""
    train, trace, spent = [], [], np.zeros(potential.shape, bool)
    for k in range(1, slots + 1):
        lifted = potential + theta * (float(op.initial) + k - 1) / slots
        last = k > slots + 1 - op.smallest
        fires = (lifted >= theta) & ~spent & (not last)
        spent |= fires
        train.append(fires.astype(float))
        trace.append(np.where(spent, 0, lifted))
    return train, [(slots + 1 - k) / slots * height for k in range(1, slots + 1)], trace


def binary(op, potential, theta, slots, height):
    """Compare with half of what was compared with before, and subtract."""
    most = 2**op.bits - 1
    v = potential + float(op.initial) * theta / most
    train, worth, trace = [], [], []
    for k in range(1, slots + 1):
        part = theta * 2 ** (slots - k) / most
        fires = v >= part
        v = v - fires * part
        train.append(fires.astype(float))
        worth.append(height * 2 ** (slots - k) / most)
        trace.append(v)
    return train, worth, trace


def signed(op, potential, theta, slots, height):
    """Send a digit where the ones after it could not make up for it."""
    most = 2**op.bits - 1
    v = np.clip(np.floor(potential * most / theta + float(op.initial)), 0, most) * theta / most
    left, trace = potential + float(op.initial) * theta / most, []
    train, worth = [], []
    for k in range(1, slots + 1):
        power = 2 ** (slots - k)
        digit = np.sign(v) * (np.abs(v) >= ((2 * power) // 3 + 0.5) * theta / most)
        v = v - digit * power * theta / most
        left = left - digit * power * theta / most
        train.append(digit)
        worth.append(height * power / most)
        trace.append(left)
    return train, worth, trace


def geometric(op, potential, theta, slots, height):
    """A threshold that decays; the first crossing is the spike."""
    train, worth, trace, spent = [], [], [], np.zeros(potential.shape, bool)
    for k in range(1, slots + 1):
        this, following = op.base ** (1 - k), op.base ** (-k)
        fires = (potential >= theta * (this - float(op.initial) * (this - following))) & ~spent
        spent |= fires
        train.append(fires.astype(float))
        worth.append(height * this)
        trace.append(np.where(spent, 0, potential))
    return train, worth, trace


def few_spike(op, potential, theta, slots, height):
    """Run the program."""
    v, train, worth, trace = potential / theta, [], [], []
    for threshold, reset, part in zip(op.thresholds.tolist(), op.resets.tolist(), op.heights.tolist(), strict=True):
        fires = v >= threshold
        v = v - reset * fires
        train.append(fires.astype(float))
        worth.append(height * part)
        trace.append(v * theta)
    assert len(train) == slots
    return train, worth, trace


def even(op, potential, theta, slots, height):
    """A spike whenever the share that is due is half ahead of what was sent."""
    count = np.clip(np.floor(potential * slots / theta + float(op.initial)), 0, slots)
    train, sent = [], np.zeros_like(count)
    for k in range(1, slots + 1):
        spike = (count * k * 2 + slots >= (sent + 1) * 2 * slots).astype(float)
        train.append(spike)
        sent = sent + spike
    return train, [height / slots] * slots, []


SENDERS = {
    Phase: phase,
    PulsePhase: phase,
    RampedPhase: phase,
    BinaryPhase: binary,
    SignedDigits: signed,
    GeometricPhase: geometric,
    FewSpike: few_spike,
    EvenFiring: even,
}


def deliver(op, train, worth):
    """Return what the receivers get in each slot of the window: an impulse, or a pulse to the end of the window."""
    if isinstance(op, PulsePhase):
        slots = len(train)
        unit = worth[0] / slots
        return [sum(train[j] for j in range(k + 1)) * unit for k in range(slots)]
    return [spike * part for spike, part in zip(train, worth, strict=True)]


def listening(op, integrated, theta, k, slots):
    """Return the potential after slot k of the listening window."""
    if isinstance(op, BinaryPhase):
        return integrated + theta * float(op.initial) / (2**op.bits - 1)
    if isinstance(op, GeometricPhase | FewSpike):
        return integrated
    start = theta * float(op.initial) / slots
    if isinstance(op, RampedPhase):
        return integrated + start
    if isinstance(op, PulsePhase):
        return integrated + start + theta * (slots - (k - 1)) / slots  # the oscillation falls from the threshold to 0
    return integrated + start - theta * (slots - (k - 1)) / slots  # it rises from minus the threshold to 0


def simulate(network, inputs, slots):
    """Return (answers [time, ...], trains, potentials) of one sample [...]; a window is a list of `slots` arrays."""
    arriving, given = {}, iter(inputs)
    trains, potentials, constant = {}, {}, set()
    for name, node in network.nodes.items():
        op, sources = node.op, [arriving[source] for source in node.inputs]
        if isinstance(op, Input):
            arriving[name] = [np.asarray(next(given))] + [np.zeros(op.shape)] * (slots - 1)
            constant.add(name)
        elif isinstance(op, Windowed):
            theta, height = op.threshold.numpy(), op.worth_of_spike().numpy()
            integrated, trace = np.zeros(1), []
            for k, current in enumerate(sources[0], 1):
                integrated = integrated + current
                trace.append(listening(op, integrated, theta, k, slots))
            train, worth, after = SENDERS[type(op)](op, integrated, theta, slots, height)
            trains[name] = train
            potentials[name] = [*trace, *after]
            arriving[name] = deliver(op, train, worth)
        elif isinstance(op, Integrator):
            arriving[name] = list(np.cumsum(sources[0], 0))
        elif isinstance(op, AccumulatedMaxPool):
            totals = [evaluate(op.pool, [total]) for total in np.cumsum(sources[0], 0)]
            arriving[name] = [total - (totals[k - 1] if k else 0) for k, total in enumerate(totals)]
        else:  # linear: a bias comes in the first slot, as from a neuron that is fully active
            nothing = evaluate(op, [np.zeros_like(source[0]) for source in sources])
            arriving[name] = [evaluate(op, [source[k] for source in sources]) - (nothing if k else 0) for k in range(slots)]
    return {key: np.stack(arriving[name]) for key, name in network.outputs.items()}, trains, potentials


KINDS = (*SENDERS, FirstSpikeTime)
