"""Export to NIR: write the file and its test stimulus, read both back, and compare spike for spike."""

from __future__ import annotations

import io
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import Tensor

from transpike.data import Batch, batches, checked
from transpike.errors import ArgumentError, ExportError, positive_whole
from transpike.export.checking import Comparison, compared, expected, placed, play, stimulus_of
from transpike.export.compact import Compact
from transpike.export.portable import Portable
from transpike.export.reading import Reading, loaded
from transpike.export.sayable import ROUNDING
from transpike.export.stages import Form
from transpike.export.writing import package, write
from transpike.files import write_bytes
from transpike.network import Network

SAMPLES = 4  # random ones, where none are given
PROFILES: dict[str, type[Portable | Compact]] = {"portable": Portable, "compact": Compact}


@dataclass(frozen=True)
class Written:
    """What `nir` wrote, and what running it gave: `differing` of the `slots` in which a neuron may fire, over all samples."""

    path: Path
    stimulus: Path
    profile: str
    layers: int
    time_steps: int
    samples: int
    spikes: int
    differing: int
    trains: int
    differing_trains: int
    left_out: tuple[str, ...]

    @property
    def identical(self) -> bool:
        """Whether every spike of the file is one of the network, at its step, and the other way round."""
        return not self.differing

    def words(self) -> str:
        """Say what was compared, and why spikes differ if some do."""
        where = f"{self.samples} samples, {self.time_steps} steps, {self.spikes:,} spikes"
        if self.identical:
            return f"Read back and run: all spike trains are those of the network ({where})."
        roundings = [what for what in self.left_out if what.startswith(ROUNDING)]
        cause = "sums of weights off a grid are rounded in another order: convert with exact=True"
        if roundings:
            cause = f"NIR cannot say {', '.join(roundings)}: export with currents"
        return f"Read back and run: {self.differing:,} spikes differ ({where}), since {cause}."


def nir(
    network: Network,
    path: str | Path,
    samples: Any = None,
    *,
    profile: Portable | Compact | None = None,
    time_steps: int = 32,
) -> Written:
    """Write a converted network as a NIR file, with a stimulus and the spikes that it must give, and check it at once.

    `profile` is `Portable()`, one chain that every loader reads alike, or `Compact()`. Beside `net.nir` stands
    `net.stimulus.npz`: `stimulus` [time, batch, ...], which enters step by step, `counts/<node>` [batch, ...], the spikes that
    the neurons of that node of the file send, and `answer` [batch, ...], the mean over time of what reaches the output.
    `samples` [batch, ...] make the stimulus (random ones in 0 .. 1 if there are none). The file is read back and run here: it
    must send the spikes that were written, bit for bit, else ExportError; how many differ from those of `network` itself,
    and why, is in what is returned. Raises ExportError, naming the place and the reason, for what NIR cannot say.
    """
    positive_whole("time_steps", time_steps)
    package()
    chosen = Portable() if profile is None else profile
    if not isinstance(chosen, Portable | Compact):
        raise ArgumentError(f"profile must be Portable() or Compact(), not {profile!r}.")
    form = chosen.form(network)
    inputs = stimulating(network, samples)
    network = network.to("cpu", torch.float32)
    stimulus = stimulus_of(form, inputs, time_steps)
    path = Path(path)
    write(form.network, path, facts_of(form, chosen.name, time_steps))
    comparison, beside = checked_file(network, form, path, inputs, stimulus)
    neurons = len({place.name for place in form.places.values()})
    return Written(
        path,
        beside,
        chosen.name,
        neurons,
        time_steps,
        len(inputs),
        comparison.spikes,
        comparison.differing,
        comparison.trains,
        comparison.differing_trains,
        form.prepared.dropped,
    )


def stimulating(network: Network, samples: Any) -> Tensor:
    """Return the samples of the stimulus."""
    op = next(iter(network.inputs.values()))
    if samples is None:
        return torch.rand((SAMPLES, *op.shape), generator=torch.Generator().manual_seed(0))
    stream = list(checked(batches(samples, 1, "samples"), network.inputs, "samples"))
    whole: Batch = stream[0]
    for batch in stream[1:]:
        whole = whole.followed_by(batch)
    return whole.inputs[0].cpu().float()


def facts_of(form: Form, profile: str, time_steps: int) -> dict[str, Any]:
    """Return what the graph says of itself; no loader needs it."""
    method = form.network.method
    return {
        "generator": "transpike",
        "profile": profile,
        "coding": "rate" if method is None else method.name,
        "time_steps": time_steps,
        "dt": 1.0,
        "start_channel": int(form.start),
        "answer": "the sum over time of what reaches the output",
    }


def checked_file(network: Network, form: Form, path: Path, inputs: Tensor, stimulus: Tensor) -> tuple[Comparison, Path]:
    """Run what was written and what is read back, compare, and write the stimulus beside it."""
    names = sorted({place.name for place in form.places.values()})
    said, found = play(form.network, stimulus, names), play(loaded(path, Reading("zero", 1.0)), stimulus, names)
    wrong = [name for name in names if not torch.equal(said.spikes[name], found.spikes[name])]
    if wrong or not torch.equal(said.answer, found.answer):
        where = wrong[0] if wrong else "output"
        raise ExportError(f"{path} gives other spikes than what was written into it, in {where!r}: please report it.")
    given = expected(network, form, inputs, len(stimulus))
    beside = path.with_name(f"{path.stem}.stimulus.npz")
    arrays = {f"counts/{name}": found.spikes[name].sum(0).numpy() for name in names}
    content = io.BytesIO()
    np.savez_compressed(content, stimulus=stimulus.numpy(), answer=found.answer.numpy(), **arrays)  # type: ignore[arg-type]
    write_bytes(beside, content.getvalue())
    return compared(given, placed(form, found.spikes, given)), beside
