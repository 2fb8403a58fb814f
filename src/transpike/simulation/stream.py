"""Run a spiking network on live data, step by step or element by element of a sequence."""

from __future__ import annotations

from collections.abc import Mapping

from torch import Tensor

from transpike.data import check_input
from transpike.errors import ArgumentError
from transpike.network import Network
from transpike.network.grammar import check_spiking
from transpike.network.turns import sequential, steps_for
from transpike.ops import Input
from transpike.simulation.elements import Elements
from transpike.simulation.stepper import Stepper, laid_out


class Stream:
    """A spiking network fed with live data: by `step`, one time step after the other; or, if it is recurrent, by `feed`.

    >>> import torch
    >>> from transpike import convert
    >>> model = torch.nn.Sequential(torch.nn.Linear(4, 8), torch.nn.ReLU(), torch.nn.Linear(8, 3)).eval()
    >>> live = Stream(convert(model, torch.rand(64, 4)))
    >>> for frame in torch.rand(10, 1, 4):
    ...     answer = live.step(frame)
    >>> answer.shape, live.steps
    (torch.Size([1, 3]), 10)

    `feed` takes an element of a sequence, which gets a window of time steps, `time_steps` where the code has none of its
    own. Its answers are those of `simulate` for the sequence so far, and memory does not grow with the sequence. Raises
    ArgumentError, naming the place, where the model needs other elements too, as in a backward direction.

    >>> class Reader(torch.nn.Module):
    ...     def __init__(self):
    ...         super().__init__()
    ...         self.layer, self.head = torch.nn.LSTM(4, 8, batch_first=True), torch.nn.Linear(8, 3)
    ...     def forward(self, x):
    ...         return self.head(self.layer(x)[0][:, -1])
    >>> live = Stream(convert(Reader().eval(), torch.rand(64, 5, 4), "population-quantile"))
    >>> for element in torch.rand(10, 1, 4):
    ...     answer = live.feed(element)
    >>> answer.shape, live.elements, sorted(live.spikes)[0]
    (torch.Size([1, 3]), 10, 'layer.candidate')
    """

    def __init__(self, network: Network, time_steps: int | None = None) -> None:
        self.network = laid_out(check_spiking(network))
        if sequential(network) and not network.previous:
            raise ArgumentError("A sequential network runs window by window, not step by step: use simulate instead.")
        self.loop = Elements(self.network, steps_for(network, time_steps)) if network.previous else None
        self.reset()

    def reset(self) -> None:
        """Forget everything: the next step, or element, is the first."""
        self.stepper: Stepper | None = None
        self.batch: int | None = None
        self.steps = 0
        if self.loop is not None:
            self.loop.reset()

    @property
    def elements(self) -> int:
        """How many elements of a sequence were fed."""
        return self.loop.fed if self.loop is not None else 0

    @property
    def spikes(self) -> Mapping[str, Tensor]:
        """How many spikes each neuron sent in the window of the last element [batch, ...], by node."""
        return self.loop.spikes if self.loop is not None else {}

    def step(self, *inputs: Tensor) -> Tensor | dict[str, Tensor]:
        """Feed one time step of input [batch, ...] and return the decoded output so far.

        The batch must stay the same until `reset`. Raises DataError for inputs that the network does not take.
        """
        if self.loop is not None:
            raise ArgumentError("A recurrent network has a window of time steps for each element: give elements to feed().")
        self.check(self.network.inputs, inputs, "step", self.steps)
        if self.stepper is None:
            self.stepper = Stepper(self.network, inputs, live=True)
        self.steps += 1
        return answer({key: value.clone() for key, value in self.stepper.step(inputs).items()})

    def feed(self, *inputs: Tensor) -> Tensor | dict[str, Tensor]:
        """Feed one element of a sequence [batch, ...] and return the answer for the sequence so far.

        Inputs that are no sequences, such as initial states, are given whole with each element; so are lengths, beyond which a
        sample keeps its state. An output that is itself a sequence gives its present element. Raises DataError for inputs
        that the network does not take.
        """
        if self.loop is None:
            raise ArgumentError("This network has no recurrent layers, so that it has no elements: give time steps to step().")
        self.check(self.loop.inputs, inputs, "element", self.loop.fed)
        return answer(self.loop.feed(inputs))

    def check(self, expected: Mapping[str, Input], inputs: tuple[Tensor, ...], what: str, seen: int) -> None:
        """Raise ArgumentError or DataError unless `inputs` are what is expected, for as many samples as before."""
        if len(inputs) != len(expected):
            raise ArgumentError(f"The network takes {len(expected)} inputs per {what}, not {len(inputs)}.")
        for (name, op), tensor in zip(expected.items(), inputs, strict=True):
            check_input(name, op, tensor, f"input of this {what}", seen)
        self.batch = len(inputs[0]) if self.batch is None else self.batch
        if len(inputs[0]) != self.batch:
            raise ArgumentError(f"This stream runs {self.batch} samples, not {len(inputs[0])}: reset() it first.")


def answer(outputs: dict[str, Tensor]) -> Tensor | dict[str, Tensor]:
    """Return the one output, or all by key."""
    return next(iter(outputs.values())) if len(outputs) == 1 else outputs
