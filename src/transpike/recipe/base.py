"""What a recipe is: a method in words, and its passes in order."""

from __future__ import annotations

import dataclasses
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass

import torch
from torch import Tensor

from transpike.codings import Poisson, RateCode
from transpike.errors import ArgumentError, positive_whole
from transpike.neurons import BinaryValue, Neuron, Population
from transpike.ops import Relu
from transpike.parts import Method, Op
from transpike.passes import (
    AccumulateMaxPool,
    ActivateBeforePool,
    CompeteForMax,
    CorrectIntegers,
    CorrectLayers,
    CountSpikes,
    DecodeOutputs,
    EncodeInputs,
    FewSpikeRelu,
    FitFewSpikes,
    FitIntegers,
    FitWindow,
    FoldBatchNorm,
    GateMaxPool,
    InsertNeurons,
    InsertPopulations,
    InsertRelays,
    MaxPoolForm,
    MultiplyCounts,
    MultiplyMeans,
    MultiplySpikes,
    NormaliseOutputs,
    Pass,
    Percentile,
    PoolBeforeActivation,
    PoolEachStep,
    SendBits,
    SplitSigned,
    UseTrainedThresholds,
)


@dataclass(frozen=True)
class WithWindow:
    """Makes neurons as `neuron` does, with another window."""

    neuron: Callable[[Tensor, Tensor, Op], Neuron]
    steps: int

    def __call__(self, threshold: Tensor, initial: Tensor, activation: Op) -> Neuron:
        """Return neurons of (threshold, initial, activation)."""
        return self.neuron(threshold, initial, activation).with_window(self.steps)


@dataclass(frozen=True)
class Recipe:
    """How to convert: a method in words, and its passes in order."""

    method: Method
    passes: tuple[Pass, ...]

    @property
    def name(self) -> str:
        """The name of the method."""
        return self.method.name

    @property
    def window(self) -> int | None:
        """How many steps the window of its code has; None if its networks run for any number."""
        if any(isinstance(step, FitWindow) for step in self.passes):
            return None  # found on the samples
        return next((probe.own_window for probe in self.probes() if probe.own_window is not None), None)

    @property
    def has_window(self) -> bool:
        """Whether its code has a window of its own, known beforehand or found on the samples."""
        return any(probe.own_window is not None for probe in self.probes())

    def probes(self) -> Iterator[Neuron]:
        """Yield a neuron of each kind that its passes insert, with threshold 1."""
        for step in self.passes:
            if isinstance(step, InsertNeurons | UseTrainedThresholds):
                yield step.neuron(torch.ones(()), torch.zeros(()), Relu())
            if isinstance(step, InsertPopulations):
                yield Population(torch.ones(()), torch.zeros(()), Relu())
            if isinstance(step, SendBits):
                yield BinaryValue(torch.ones(()), torch.zeros(()), Relu(), bits=step.bits)

    def with_window(self, steps: int) -> Recipe:
        """Return this recipe with another window: so many steps, or bits, in which a layer sends.

        More steps are a finer resolution and a longer wait. Raises ArgumentError if its code has no window of its own.

        >>> from transpike import recipes
        >>> recipes["phase"].with_window(15).window
        15
        """
        passes = tuple(with_window(step, steps) for step in self.passes if not isinstance(step, FitWindow))
        if not self.has_window:
            raise ArgumentError(f"Recipe {self.name!r} has no window of its own: give time_steps= where you run its network.")
        return self.variant(f"window {positive_whole('window', steps)}", passes)

    def with_population(self, size: int | None = None, sizes: Mapping[str, int] | None = None) -> Recipe:
        """Return this recipe with populations of another size; `sizes` gives those of some nodes, by patterns of their names.

        Raises ArgumentError if it is no recipe of population coding.

        >>> from transpike import recipes
        >>> recipes["population-quantile"].with_population(200, {"*.forget_gate": 1000}).name
        "population-quantile, populations of 200 ('*.forget_gate': 1000)"
        """
        before = next((step for step in self.passes if isinstance(step, InsertPopulations)), None)
        if before is None:
            raise ArgumentError(f"Recipe {self.name!r} has no populations: take one of population coding.")
        changed = dataclasses.replace(before, size=before.size if size is None else size, sizes=tuple((sizes or {}).items()))
        words = ", ".join(f"{pattern!r}: {each}" for pattern, each in changed.sizes)
        passes = tuple(changed if step is before else step for step in self.passes)
        return self.variant(f"populations of {changed.size}" + (f" ({words})" if words else ""), passes)

    def with_relays(self) -> Recipe:
        """Return this recipe with neurons that send on, as spikes, what weights would else read as numbers: products of gates.

        See `InsertRelays`. Raises ArgumentError if its neurons cannot stand for any activation, as y = x.

        >>> from transpike import recipes
        >>> recipes["population-quantile"].with_relays().name
        'population-quantile, relays before weights'
        """
        if not any(isinstance(step, InsertPopulations | FitFewSpikes | SendBits) for step in self.passes):
            raise ArgumentError(
                f"Recipe {self.name!r} has no neurons for y = x: take few-spike, binary-value or one of population coding."
            )
        return self.variant("relays before weights", (FoldBatchNorm(), InsertRelays(), *self.passes))

    def with_products(self, products: MultiplyMeans | MultiplyCounts) -> Recipe:
        """Return this recipe with another way to multiply two signals: the values of both, or numbers of spikes.

        Raises ArgumentError for `MultiplyCounts` where numbers of spikes are no values: in all but population coding.

        >>> from transpike import recipes
        >>> from transpike.passes import MultiplyCounts
        >>> recipes["population-normal"].with_products(MultiplyCounts()).name
        'population-normal, products of spike counts'
        """
        if isinstance(products, MultiplyCounts) and not any(isinstance(step, InsertPopulations) for step in self.passes):
            raise ArgumentError(f"In recipe {self.name!r} a number of spikes is no value: take one of population coding.")
        return self.replaced(PRODUCTS, (products,), products.worded())

    def variant(self, words: str, passes: tuple[Pass, ...]) -> Recipe:
        """Return a recipe with other passes, whose name and title say so."""
        method = dataclasses.replace(self.method, name=f"{self.name}, {words}", title=f"{self.method.title}; {words}")
        return Recipe(method, passes)

    def with_pass(self, changed: Pass) -> Recipe:
        """Return this recipe with `changed` in place of its pass of the same kind; raises ArgumentError if it has none.

        >>> from transpike import recipes
        >>> from transpike.passes import SilenceByResidual
        >>> recipes["srp"].with_pass(SilenceByResidual(tau=8)).name
        'srp, SilenceByResidual(tau=8)'
        """
        if type(changed) not in map(type, self.passes):
            raise ArgumentError(f"Recipe {self.name!r} has no pass {type(changed).__name__}.")
        passes = tuple(changed if type(step) is type(changed) else step for step in self.passes)
        return self.variant(repr(changed), passes)

    def poisson(self, seed: int = 0) -> Recipe:
        """Return this recipe with Poisson input instead of constant current."""
        return self.with_input(Poisson(seed=seed))

    def with_input(self, code: RateCode) -> Recipe:
        """Return this recipe with spikes of `code` (`Poisson()`, `Regular()`) as input instead of constant current."""
        return self.variant(f"{type(code).__name__} input", (*self.passes, EncodeInputs(code)))

    def with_output(self, *steps: CountSpikes | DecodeOutputs | NormaliseOutputs) -> Recipe:
        """Return this recipe with another way to read the answer, in order of the signal.

        `DecodeOutputs()` is the accumulated potential, `DecodeOutputs(FirstToMargin(2.0))` decides each sample as soon as a
        class leads; `CountSpikes()` before it lets the outputs fire; `NormaliseOutputs()` behind it is a softmax. Raises
        ArgumentError unless the steps come in this order and exactly one of them is a DecodeOutputs.
        """
        kinds = [type(step) for step in steps]
        if kinds.count(DecodeOutputs) != 1 or kinds != [kind for kind in OUTPUT_STEPS if kind in kinds]:
            raise ArgumentError("An output is CountSpikes (or not), DecodeOutputs, NormaliseOutputs (or not), in this order.")
        words = " and ".join(step.worded() for step in steps)
        return self.replaced(OUTPUT_STEPS, steps, f"output by {words}")

    def with_integers(self, form: FitIntegers, *, corrected: bool = True) -> Recipe:
        """Return this recipe for chips that compute in whole numbers.

        If it corrects its layers for a number of time steps, they are corrected again after rounding, unless not `corrected`.

        >>> from transpike import recipes
        >>> from transpike.passes import FitIntegers
        >>> recipes["rate"].with_integers(FitIntegers(weight_bits=4)).name
        'rate, weights of 4 bits, potentials of 16'
        """
        again = corrected and any(isinstance(step, CorrectLayers) for step in self.passes)
        return self.variant(form.worded(), (*self.passes, form, *([CorrectIntegers(form)] if again else [])))

    def with_max_pool(self, form: MaxPoolForm) -> Recipe:
        """Return this recipe with another form of max-pool.

        `AccumulateMaxPool()` is exact in the limit; `PoolEachStep()`, `GateMaxPool()` and `CompeteForMax()` are the
        published ones that are not. Raises ArgumentError if the recipe has a max-pool of its own, or corrects the heights
        of the spikes that a winner-take-all circuit was fitted to.
        """
        if isinstance(form, CompeteForMax) and any(isinstance(step, CorrectLayers) for step in self.passes):
            raise ArgumentError(
                f"Recipe {self.name!r} changes the heights of spikes after its max-pools are made, so that a winner-take-all "
                "circuit would no longer fit them: take another form of max-pool, or another recipe."
            )
        changed = self.replaced(MAX_POOL_FORMS, (form,), form.worded())
        return dataclasses.replace(changed, passes=tuple(form.stands if isinstance(p, PLACES) else p for p in changed.passes))

    def replaced(self, kinds: tuple[type, ...], steps: tuple[Pass, ...], words: str) -> Recipe:
        """Return this recipe with `steps` in place of its first pass of one of `kinds`, and without the others."""
        places = [place for place, step in enumerate(self.passes) if isinstance(step, kinds)]
        if not places:
            raise ArgumentError(f"Recipe {self.name!r} has no step to change: it does not take {words}.")
        kept = [step for place, step in enumerate(self.passes) if place not in places]
        return self.variant(words, (*kept[: places[0]], *steps, *kept[places[0] :]))

    def with_percentile(self, percent: float) -> Recipe:
        """Return this recipe with another percentile in its threshold rule; 100 takes the maximum.

        Raises ArgumentError if the recipe sets its thresholds by another rule.
        """
        for place, step in enumerate(self.passes):
            if isinstance(step, InsertNeurons) and isinstance(step.threshold, Percentile):
                changed = dataclasses.replace(step, threshold=dataclasses.replace(step.threshold, percent=percent))
                return self.variant(f"percentile {percent:g}", (*self.passes[:place], changed, *self.passes[place + 1 :]))
        raise ArgumentError(f"Recipe {self.name!r} does not set its thresholds by a percentile.")


def with_window(step: Pass, steps: int) -> Pass:
    """Return a pass that inserts neurons with a window of so many steps, if it inserts any."""
    match step:
        case InsertPopulations():
            raise ArgumentError("A population answers in one step: give it another number of neurons (with_population).")
        case SendBits():
            return dataclasses.replace(step, bits=steps)
        case FitFewSpikes():
            return dataclasses.replace(step, steps=steps)
        case InsertNeurons(neuron=FewSpikeRelu()):
            return dataclasses.replace(step, neuron=FewSpikeRelu(steps))
        case InsertNeurons() | UseTrainedThresholds():
            return dataclasses.replace(step, neuron=WithWindow(step.neuron, steps))
    return step


OUTPUT_STEPS = (CountSpikes, DecodeOutputs, NormaliseOutputs)
MAX_POOL_FORMS = (AccumulateMaxPool, PoolEachStep, GateMaxPool, CompeteForMax)
PRODUCTS = (MultiplyMeans, MultiplyCounts, MultiplySpikes)
PLACES = (PoolBeforeActivation, ActivateBeforePool)
STRUCTURE: tuple[Pass, ...] = (FoldBatchNorm(), SplitSigned(), PoolBeforeActivation(), MultiplyMeans(), DecodeOutputs())
LIMITS = "ReLU-like activations; softmax and sigmoid at the output only"
