"""What may be stated of a chip: each quantity with its unit and its meaning; a quantity is a row."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True)
class Kind:
    """A quantity that chips have: its unit ("1" counts things), what it means, and whether it is a list of numbers."""

    unit: str
    meaning: str
    several: bool = False


QUANTITIES: dict[str, Kind] = {
    "process": Kind("nm", "feature size of the process"),
    "die": Kind("mm2", "area of the die"),
    "cores": Kind("1", "cores that neurons can be placed on"),
    "neurons": Kind("1", "neurons of the whole chip"),
    "neurons_per_core": Kind("1", "neurons of a core"),
    "synapses": Kind("1", "synapses of the whole chip"),
    "fan_in": Kind("1", "connections that reach one neuron"),
    "fan_out": Kind("1", "connections that leave one neuron"),
    "axons_per_core": Kind("1", "inputs of a core: senders whose spikes it can receive"),
    "out_axons_per_core": Kind("1", "destinations of all spikes that leave a core"),
    "synapse_bits_per_core": Kind("bit", "memory for synapses in a core"),
    "destinations": Kind("1", "cores to which one sender can send"),
    "inputs": Kind("1", "input channels"),
    "hidden": Kind("1", "neurons that are no outputs"),
    "outputs": Kind("1", "output channels"),
    "weights": Kind("1", "weights of the whole chip"),
    "weight_values": Kind("1", "different weights that one neuron can have"),
    "weight_bits": Kind("bit", "a weight"),
    "state_bits": Kind("bit", "a membrane potential"),
    "spike_bits": Kind("bit", "what a spike can carry; 1 is a plain spike"),
    "spikes_per_step": Kind("1", "spikes of one neuron in one time step"),
    "kernel_entries": Kind("1", "entries of the kernel memory, core by core", several=True),
    "neuron_entries": Kind("1", "entries of the neuron memory, core by core", several=True),
    "bias_entries": Kind("1", "entries of the bias memory, core by core", several=True),
    "input_side": Kind("1", "largest width and height of what a core reads"),
    "map_side": Kind("1", "largest width and height of the neurons of a core"),
    "channels": Kind("1", "largest number of channels"),
    "kernel_side": Kind("1", "largest width and height of a kernel"),
    "strides": Kind("1", "strides of a convolution", several=True),
    "padding": Kind("1", "largest padding of a convolution"),
    "pools": Kind("1", "widths of a sum-pool", several=True),
    "synaptic_operation": Kind("pJ", "energy of one spike that arrives over one connection, by itself"),
    "synaptic_operation_total": Kind("pJ", "energy of the whole chip, with all else in it, over synaptic operations"),
    "neuron_update": Kind("pJ", "energy of one update of a neuron"),
    "spike": Kind("pJ", "energy of a spike that leaves a neuron, without the way to another core"),
    "idle_power": Kind("mW", "power without any spikes"),
    "power": Kind("mW", "power at work, for orientation"),
    "step": Kind("us", "duration of a time step in normal operation"),
    "event_latency": Kind("us", "time from an event to its effect at the end of the chip"),
}

CONFIDENCES = {
    "measured": "measured on the chip by its makers, published",
    "documented": "stated by the makers, or read in the tool of the vendor",
    "simulated": "from simulations before the chip was made, though published as the chip's",
    "estimated": "an estimate of the makers or of others",
    "secondary": "read in a table or page of others; not checked in the original",
}
ABILITIES = {
    "reset by subtraction": "a neuron that fires keeps what its potential exceeds the threshold by",
    "reset to zero": "a neuron that fires starts anew from 0",
    "leak": "potentials decay",
    "graded spikes": "a spike carries a number",
    "signed spikes": "a neuron takes back what it has sent",
    "programs": "neurons run code of the user, so that any rule of firing can be written",
}
