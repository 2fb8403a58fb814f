"""Run a spiking network on live data, step by step."""

from __future__ import annotations

from torch import Tensor

from transpike.data import check_input
from transpike.errors import ArgumentError
from transpike.network import Network
from transpike.network.grammar import check_spiking
from transpike.network.turns import sequential
from transpike.simulation.stepper import Stepper, laid_out


class Stream:
    """A spiking network fed step by step with live data.

    >>> import torch
    >>> from transpike import convert
    >>> model = torch.nn.Sequential(torch.nn.Linear(4, 8), torch.nn.ReLU(), torch.nn.Linear(8, 3)).eval()
    >>> live = Stream(convert(model, torch.rand(64, 4)))
    >>> for frame in torch.rand(10, 1, 4):
    ...     answer = live.step(frame)
    >>> answer.shape, live.steps
    (torch.Size([1, 3]), 10)
    """

    def __init__(self, network: Network) -> None:
        self.network = laid_out(check_spiking(network))
        if sequential(network):
            raise ArgumentError("A sequential network runs window by window, not step by step: use simulate instead.")
        self.stepper: Stepper | None = None
        self.steps = 0

    def step(self, *inputs: Tensor) -> Tensor | dict[str, Tensor]:
        """Feed one time step of input [batch, ...] and return the decoded output so far.

        The batch must stay the same until `reset`. Raises DataError for inputs that the network does not take.
        """
        if len(inputs) != len(self.network.inputs):
            raise ArgumentError(f"The network takes {len(self.network.inputs)} inputs per step, not {len(inputs)}.")
        for (name, op), tensor in zip(self.network.inputs.items(), inputs, strict=True):
            check_input(name, op, tensor, "input of this step", self.steps)
        if self.stepper is None:
            self.stepper = Stepper(self.network, inputs, live=True)
            self.batch = len(inputs[0])
        if len(inputs[0]) != self.batch:
            raise ArgumentError(f"This stream runs {self.batch} samples, not {len(inputs[0])}: reset() it first.")
        self.steps += 1
        outputs = {key: value.clone() for key, value in self.stepper.step(inputs).items()}
        return next(iter(outputs.values())) if len(outputs) == 1 else outputs

    def reset(self) -> None:
        """Forget everything: the next step is the first."""
        self.stepper, self.steps = None, 0
