"""The literal equations of each kind of neuron, one neuron and one step at a time, in plain numbers.

Written from the publications' pseudo-code, not from `transpike.neurons`. `lost` is the charge, in the units of the potential,
that left a neuron otherwise than by its spikes.
"""

from __future__ import annotations

import math

from transpike.neurons import (
    Burst,
    CorrectiveFirstSpike,
    EulerLeaky,
    Graded,
    IntegrateAndFire,
    LeakyIntegrateAndFire,
    LookAhead,
    MultiThreshold,
    OffsetCalibrated,
    PreciseLeaky,
    Refractory,
    ResetToZero,
    ResidualSilenced,
    Saturating,
    SignedGraded,
    Ternary,
    Wrapping,
)


class LiteralNeuron:
    """`step(current)` returns what is sent; `most` spikes of one threshold each."""

    def __init__(self, op, threshold, initial):
        self.op, self.threshold = op, threshold
        self.v = initial * threshold
        self.start = self.v
        self.t = 0
        self.net = 0
        self.lost = 0.0

    def step(self, current):
        self.t += 1
        spikes = self.spikes(current)
        self.net += spikes
        return spikes * self.threshold

    def spikes(self, current):
        self.v += current
        if self.v >= self.threshold:
            self.v -= self.threshold
            return 1
        return 0


class Zero(LiteralNeuron):
    def spikes(self, current):
        self.v += current
        if self.v < self.threshold:
            return 0
        self.lost += self.v - self.threshold
        self.v = 0.0
        return 1


class Register(LiteralNeuron):
    """A register holds whole numbers: it starts from one."""

    def __init__(self, op, threshold, initial):
        super().__init__(op, threshold, initial)
        self.v = self.start = float(round(self.v))


class AtTheEnds(Register):
    """A register of so many bits that stays at the end of its range."""

    def spikes(self, current):
        before, half = self.v + current, 2 ** (self.op.bits - 1)
        self.v = min(max(before, -half), half - 1)
        self.lost += before - self.v
        return super().spikes(0.0)


class AroundTheEnds(Register):
    """Two's complement: above the range it goes on at the bottom."""

    def spikes(self, current):
        before, half = self.v + current, 2 ** (self.op.bits - 1)
        self.v = before
        while self.v >= half:
            self.v -= 2 * half
        while self.v < -half:
            self.v += 2 * half
        self.lost += before - self.v
        return super().spikes(0.0)


class Resting(LiteralNeuron):
    last = -math.inf

    def spikes(self, current):
        self.v += current
        if self.v >= self.threshold and self.t - self.last > self.op.period:
            self.v -= self.threshold
            self.last = self.t
            return 1
        return 0


class Signed(LiteralNeuron):
    """SNM: s+ where v >= theta; s- where v <= retract theta and the sum of what was emitted is above 0."""

    def spikes(self, current):
        self.v += current
        spike = 0
        if self.v >= self.threshold:
            spike = 1
        elif self.v <= self.op.retract * self.threshold and self.net > 0:
            spike = -1
        self.v -= spike * self.threshold
        if self.op.forgives_debt and self.net + spike == 0:
            self.lost += min(self.v, 0.0)
            self.v = max(self.v, 0.0)
        return spike


class Group(LiteralNeuron):
    """Members k = 1 ... m with thresholds k theta share a membrane; each whose threshold is reached fires once."""

    def spikes(self, current):
        self.v += current
        fired = sum(self.v >= k * self.threshold for k in range(1, self.op.limit + 1))
        self.v -= fired * self.threshold
        return fired


class Expansion(LiteralNeuron):
    """H-MT: for i = 1 ... n, thresholds lambda_i = 2^(n-i) lambda_min: s_i = 1[m >= lambda_i], m -= lambda_i s_i."""

    def spikes(self, current):
        self.v += current
        sent = 0
        for i in reversed(range(self.op.limit.bit_length())):
            if self.v >= 2**i * self.threshold:
                self.v -= 2**i * self.threshold
                sent += 2**i
        return sent


class Pair(LiteralNeuron):
    """Signed H-MT: a neuron on u and one on -u; after each step each adds what the other sent."""

    def __init__(self, op, threshold, initial):
        super().__init__(op, threshold, initial)
        self.positive = Expansion(op, threshold, initial)
        self.negative = Expansion(op, threshold, 1 - initial)

    def spikes(self, current):
        up, down = self.positive.spikes(current), self.negative.spikes(-current)
        self.positive.v += down * self.threshold
        self.negative.v += up * self.threshold
        self.v = self.positive.v
        return up - down


class Nearest(LiteralNeuron):
    """MT: the largest level lambda_k with |m| >= 0.75 lambda_k; a negative one only if C >= lambda_k."""

    def spikes(self, current):
        self.v += current
        for i in reversed(range(self.op.levels)):
            if self.v >= 0.75 * 2**i * self.threshold:
                self.v -= 2**i * self.threshold
                return 2**i
            if self.v <= -0.75 * 2**i * self.threshold and self.net >= 2**i:
                self.v += 2**i * self.threshold
                return -(2**i)
        return 0


class Windowed(LiteralNeuron):
    """Runs window after window and judges each from its record: (potential before the reset, fired) for each step."""

    def __init__(self, op, threshold, initial):
        super().__init__(op, threshold, initial)
        self.window = []
        self.correction = 0.0
        self.silenced = False

    def spikes(self, current):
        if self.t > 1 and (self.t - 1) % self.op.length == 0 and (self.t - 1) // self.op.length <= self.op.windows:
            self.judge((self.t - 1) // self.op.length)
            self.lost += self.v - (self.start + self.correction)
            self.v, self.net, self.window = self.start + self.correction, 0, []
        self.v += current
        fired = self.v >= self.threshold and not self.silenced
        self.window.append((self.v, fired))
        self.v -= fired * self.threshold
        return int(fired)


class Silenced(Windowed):
    def judge(self, number):
        self.silenced = self.v <= 1e-3 * self.threshold


class Offset(Windowed):
    def judge(self, number):
        if number != self.op.layer:
            return
        fired = [m / self.threshold for m, spiked in self.window if spiked]
        silent = [m / self.threshold for m, spiked in self.window if not spiked]
        if self.v < 0 and fired:
            self.correction = -max(1, min(fired) - 0.999) * self.threshold
        if self.v >= self.threshold and silent:
            self.correction = max(1, 1.001 - max(silent)) * self.threshold


class Leaky(LiteralNeuron):
    """C dV/dt = -g (V - rest) + I, solved over each step; spikes at its end. `leaked` is g times the integral of V - rest."""

    def __init__(self, op, threshold, initial):
        super().__init__(op, threshold, initial)
        cell = op.cell
        self.v = self.start = cell.reset + initial * (cell.threshold - cell.reset)
        self.tau = cell.capacitance / cell.conductance
        self.blocked = self.received = self.leaked = 0.0

    def current(self, x):
        return self.op.offset + self.op.slope * x / (self.op.largest_rate * self.op.time_step * self.threshold)

    def flow(self, current, seconds):
        """Let the potential flow for some seconds, keeping account of the charge."""
        cell = self.op.cell
        end = cell.rest + current / cell.conductance
        decay = math.exp(-seconds / self.tau)
        integral = (end - cell.rest) * seconds + (self.v - end) * self.tau * (1 - decay)
        self.received += current * seconds
        self.leaked += cell.conductance * integral
        self.v = end + (self.v - end) * decay

    def spikes(self, x):
        cell, dt = self.op.cell, self.op.time_step
        self.flow(self.current(x), max(0.0, dt - self.blocked))
        self.blocked = max(0.0, self.blocked - dt)
        if self.v < cell.threshold:
            return 0
        self.lost += cell.capacitance * (self.v - cell.reset)
        self.v, self.blocked = cell.reset, cell.refractory
        return 1


class LeakyBySlope(Leaky):
    """The same by Euler's method: what leaks in a step is what leaks at its start."""

    def flow(self, current, seconds):
        cell = self.op.cell
        leak = cell.conductance * (self.v - cell.rest)
        self.received += current * seconds
        self.leaked += leak * seconds
        self.v += (current - leak) * seconds / cell.capacitance


class LeakyWithin(Leaky):
    """The same with the spike at the moment of crossing, found by halving the interval sixty times."""

    def spikes(self, x):
        cell, dt = self.op.cell, self.op.time_step
        current, left = self.current(x), max(0.0, dt - self.blocked)
        self.blocked = max(0.0, self.blocked - dt)
        before, accounts = self.v, (self.received, self.leaked)
        self.flow(current, left)
        if max(self.v, before) < cell.threshold:
            return 0
        low, high = 0.0, left
        for _ in range(60):
            middle = (low + high) / 2
            self.v = before
            self.flow(current, middle)
            low, high = (low, middle) if self.v >= cell.threshold else (middle, high)
        crossing = 0.0 if before >= cell.threshold else high
        self.v, (self.received, self.leaked) = before, accounts
        self.flow(current, crossing)
        self.lost += cell.capacitance * (self.v - cell.reset)
        self.v = cell.reset
        left -= crossing + cell.refractory
        self.blocked = max(0.0, -left)
        self.flow(current, max(0.0, left))
        return 1


class Expecting(LiteralNeuron):
    """Fires from step delay + 1 on, for the input since step delay - ahead + 1, as if it were even over the window."""

    heard = 0.0

    def spikes(self, current):
        op, k = self.op, self.t - self.op.delay
        if -op.ahead < k <= op.window - op.ahead:
            self.heard += current
        else:
            self.lost += current
        if not 1 <= k <= op.window:
            spike = 0
        else:
            expected = self.start + self.heard * k / min(k + op.ahead, op.window) - self.threshold * self.net
            spike = int(expected >= self.threshold)
        self.v = self.start + self.heard - self.threshold * (self.net + spike)
        return spike


class LiteralFirstSpike:
    """One neuron: what it has collected, whether it is on, and what it has announced."""

    def __init__(self, kind, threshold, resolution):
        self.kind, self.threshold, self.resolution = kind, threshold, resolution
        self.charge, self.on, self.fired, self.waiting, self.told = 0.0, 0, False, False, 0
        self.total = 0.0  # of all that came, also after the spike

    def step(self, current, missing):
        """Return the spike: 1, 0 or -1."""
        needed = self.resolution * (self.threshold + missing)
        if self.kind is CorrectiveFirstSpike:
            self.charge += current
            spike = int(self.charge >= needed) - self.on
            self.on += spike
            return spike
        if self.fired:
            return 0
        self.charge += current
        self.fired = self.charge >= needed
        self.on = int(self.fired)
        return self.on

    def announce(self, current, spike, level=0.0):
        """Announce a spike while the charge exceeds the level; withdraw it when it does not; firing ends it."""
        self.total += current
        waiting = self.total > level and not self.fired
        if waiting != self.waiting and spike <= 0:
            self.told += 1
        self.waiting = waiting


LITERAL = {
    Saturating: AtTheEnds,
    Wrapping: AroundTheEnds,
    IntegrateAndFire: LiteralNeuron,
    ResetToZero: Zero,
    Refractory: Resting,
    LeakyIntegrateAndFire: Leaky,
    PreciseLeaky: LeakyWithin,
    EulerLeaky: LeakyBySlope,
    Ternary: Signed,
    Burst: Group,
    Graded: Expansion,
    SignedGraded: Pair,
    MultiThreshold: Nearest,
    ResidualSilenced: Silenced,
    OffsetCalibrated: Offset,
    LookAhead: Expecting,
}
