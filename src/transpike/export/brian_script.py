"""The script that runs an exported network in Brian2: it needs Brian2 and its arrays, and nothing of ours."""

SCRIPT = '''"""A converted spiking network in Brian2 (written by Transpike; its arrays stand beside it).

    python THIS.py [--substeps 1] [--samples N] [--out result.npz]

Time is in steps of one second. With --substeps n the clock ticks n times in a step: 1 is the network as it was converted, spike
for spike; more ticks come closer to continuous time. A synapse passes a spike on within one tick, so that layer number d on the
longest path runs d - 1 ticks behind the input.
"""

import argparse
from pathlib import Path

import brian2
import numpy as np

brian2.prefs.codegen.target = "numpy"


def build(arrays, tick):
    """Return the network and, by number, its layers, what records their spikes, and when each of them starts."""
    layers, spikes, starts, synapses = {}, {}, {}, []
    numbers = sorted({int(key.split("/")[1]) for key in arrays if key.startswith("layer/")})
    for number in numbers:
        key = f"layer/{number}"
        fires = f"{key}/threshold" in arrays
        starts[number] = max(0, int(arrays[f"{key}/depth"]) - 1 - (not fires)) * tick  # what is read out waits for no threshold
        size = arrays[f"{key}/current"].shape[1]
        names = {"start": (starts[number] - tick / 2) * brian2.second}
        equations = "dv/dt = I * int(t > start) / second : 1\\nI : 1 (constant)\\ntheta : 1 (constant)"
        reset = ("v = 0" if arrays[f"{key}/to_zero"] else "v -= theta") if fires else None
        threshold = "v >= theta" if fires else None
        group = brian2.NeuronGroup(size, equations, threshold=threshold, reset=reset, method="euler", namespace=names)
        layers[number] = group
        if fires:
            group.theta, group.v = arrays[f"{key}/threshold"], arrays[f"{key}/initial"]
            spikes[number] = brian2.SpikeMonitor(group)
    for key in {key.rsplit("/", 1)[0] for key in arrays if key.startswith("synapses/")}:
        source, target = map(int, key.split("/")[1:])
        one = brian2.Synapses(layers[source], layers[target], "w : 1 (constant)", on_pre="v_post += w")
        one.connect(i=arrays[f"{key}/i"], j=arrays[f"{key}/j"])
        one.w, one.delay = arrays[f"{key}/w"], int(arrays[f"{key}/delay"]) * tick * brian2.second
        synapses.append(one)
    network = brian2.Network(*layers.values(), *spikes.values(), *synapses)
    network.schedule = ["start", "groups", "thresholds", "resets", "synapses", "end"]  # what arrives outlives a reset
    return network, layers, spikes, starts


def simulate(arrays, samples, substeps):
    """Return the spikes of each layer [time, samples, neurons] and the answers [samples, ...]."""
    tick, steps = 1 / substeps, int(arrays["time_steps"])
    brian2.defaultclock.dt = tick * brian2.second
    network, layers, spikes, starts = build(arrays, tick)
    read_out = next(number for number in layers if number not in spikes)
    network.store()
    trains = {number: np.zeros((steps, samples, len(layers[number])), int) for number in spikes}
    answers = []
    for sample in range(samples):
        network.restore()
        for number, group in layers.items():
            group.I = arrays[f"layer/{number}/current"][sample]
        network.run((steps + starts[read_out]) * brian2.second)
        answers.append(np.array(layers[read_out].v) / steps)
        for number, monitor in spikes.items():
            ticks = np.round((np.array(monitor.t / brian2.second) - starts[number]) / tick).astype(int)
            inside = ticks < steps * substeps  # what comes later no layer behind it has heard
            np.add.at(trains[number], (ticks[inside] // substeps, sample, np.array(monitor.i)[inside]), 1)
    return trains, np.stack(answers)


if __name__ == "__main__":
    here = Path(__file__)
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--substeps", type=int, default=1)
    parser.add_argument("--samples", type=int)
    parser.add_argument("--out", type=Path, default=here.with_suffix(".result.npz"))
    given = parser.parse_args()
    with np.load(here.with_suffix(".npz")) as file:
        arrays = dict(file)
    samples = min(given.samples or int(arrays["samples"]), int(arrays["samples"]))
    trains, answers = simulate(arrays, samples, given.substeps)
    print(f"Brian2 {brian2.__version__}, {samples} samples, {given.substeps} tick(s) per step")
    for number, train in trains.items():
        wanted = arrays[f"expected/{number}"][:, :samples]
        print(
            f"{arrays[f'layer/{number}/name']}: {train.sum()} spikes, expected {wanted.sum()}; "
            f"{np.sum(train != wanted)} of {train.size} slots and {np.sum(train.sum(0) != wanted.sum(0))} counts differ"
        )
    wanted = arrays["expected/answer"][:samples].reshape(samples, -1)
    same = np.mean(answers.argmax(1) == wanted.argmax(1))
    print(f"answers: largest difference {np.abs(answers - wanted).max():.3g}, {100 * same:.1f} % of the decisions the same")
    kept = {f"spikes/{number}": train for number, train in trains.items()}
    np.savez_compressed(given.out, version=np.array(brian2.__version__), answer=answers, **kept)
'''
