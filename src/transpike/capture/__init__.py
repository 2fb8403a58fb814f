"""Read a trained model into an analogue network, and prove that it computes the same."""

from __future__ import annotations

import copy
import inspect
import itertools
from collections.abc import Sequence
from typing import Any

import torch
from torch import Tensor, nn
from torch.export import ExportedProgram

from transpike.capture.activations import whole_activations
from transpike.capture.channels import channels_first
from transpike.capture.exported import Reader, export
from transpike.capture.models import as_module as as_module
from transpike.capture.models import named as named
from transpike.data import check_finite, first_values
from transpike.errors import ArgumentError, CaptureError, DataError, TranspikeError
from transpike.network import Network, forward
from transpike.ops import QUANTISED

TRACED_SAMPLES = 4
TOLERANCE = {torch.float32: 1e-4, torch.float64: 1e-9}


def capture(model: nn.Module | ExportedProgram, inputs: Sequence[Tensor]) -> Network:
    """Return the analogue network that computes what `model` computes.

    `inputs` are sample inputs of the model, each [batch, ...]; a few samples suffice. The network is compared with the
    model on them, together and alone. Raises ArgumentError for a model in training mode or with NaN or infinite
    weights, DataError if the model cannot run on the samples, CaptureError for operators without a row, control flow
    that depends on data, and models that mix the samples of a batch.

    >>> import torch
    >>> network = capture(torch.nn.Sequential(torch.nn.Linear(4, 3), torch.nn.ReLU()).eval(), [torch.zeros(2, 4)])
    >>> list(network.nodes)
    ['input', '0', '1']
    """
    model = check_model(model)
    samples = traceable(inputs)
    expected = run(model, samples)
    with torch.no_grad():
        network = whole_activations(channels_first(Reader(export(model, samples), model).read()))
    verify(network, model, samples, expected)
    return network


def survey(model: nn.Module | ExportedProgram, inputs: Sequence[Tensor]) -> tuple[Network, list[str]]:
    """Return what can be read of `model` and every refusal, instead of stopping at the first one.

    If there are refusals the network holds unlinked nodes only, good for listing. Raises as `capture` does where the
    model cannot be exported at all.
    """
    model = check_model(model)
    samples = traceable(inputs)
    run(model, samples)
    refusals: list[CaptureError] = []
    with torch.no_grad():
        network = Reader(export(model, samples), model, refusals).read()
    return network if refusals else whole_activations(network), [str(refusal) for refusal in refusals]


def traceable(inputs: Sequence[Tensor]) -> list[Tensor]:
    """Return a few samples, at least two: torch.export would take a batch of one for a constant."""
    for position, tensor in enumerate(inputs):
        check_finite(str(position), tensor[:TRACED_SAMPLES], "samples", 0)
    samples = [tensor[:TRACED_SAMPLES].detach() for tensor in inputs]
    return [tensor.repeat(2, *[1] * (tensor.ndim - 1)) if len(tensor) == 1 else tensor for tensor in samples]


def count_inputs(model: nn.Module, samples: Any = None) -> int:
    """Return how many inputs `model.forward` requires.

    Where all of its inputs have defaults: how many of the first values of `samples` are inputs, the first and whatever masks
    it, which has its shape and holds 0 and 1 alone. Labels have one value for each sample.
    """
    parameters = inspect.signature(model.forward).parameters.values()
    required = [p for p in parameters if p.default is p.empty and p.kind in (p.POSITIONAL_ONLY, p.POSITIONAL_OR_KEYWORD)]
    if required or samples is None:
        return max(1, len(required))
    first, *others = first_values(samples) or (None,)
    masks = itertools.takewhile(lambda value: is_mask(value, first), others)
    return 1 + len(list(masks))


def is_mask(value: Any, of: Any) -> bool:
    """Whether a value hides parts of another: it has the same shape, of two axes or more, and holds 0 and 1 alone."""
    both = isinstance(value, Tensor) and isinstance(of, Tensor)
    return both and value.ndim > 1 and value.shape == of.shape and bool(((value == 0) | (value == 1)).all())


def check_model(given: nn.Module | ExportedProgram) -> nn.Module:
    """Return a model as a module; raise ArgumentError if it is none, trains, or has weights that are not finite or coarse."""
    model = as_module(given)
    if training := [name or "the model itself" for name, module in model.named_modules() if module.training]:
        raise ArgumentError(
            f"The model is in training mode ({training[0]} and {len(training) - 1} more): call model.eval() first."
        )
    for name, tensor in [*model.named_parameters(), *model.named_buffers()]:
        if tensor.is_floating_point() and tensor.dtype not in TOLERANCE:
            raise ArgumentError(
                f"{name!r} of the model is {str(tensor.dtype).removeprefix('torch.')}, too coarse to add up spikes in: "
                "convert model.float() with samples in float32."
            )
        if tensor.is_floating_point() and not torch.isfinite(tensor).all():
            raise ArgumentError(f"{name!r} of the model has NaN or infinite values: load or train the weights again.")
    return model


def run(model: nn.Module, samples: Sequence[Tensor]) -> list[Tensor]:
    """Return the outputs of the model on `samples` as a flat list."""
    try:
        with torch.inference_mode():
            result = model(*samples)
    except Exception as error:
        shapes = ", ".join(f"{str(t.dtype).removeprefix('torch.')} {tuple(t.shape)}" for t in samples)
        first = str(error).strip().splitlines()[0] if str(error).strip() else type(error).__name__
        raise DataError(f"The model cannot run on the samples ({shapes}): {first}") from error
    leaves, _ = torch.utils._pytree.tree_flatten(result)  # noqa: SLF001 - the same order as torch.export's
    return [leaf for leaf in leaves if isinstance(leaf, Tensor)]


def verify(network: Network, model: nn.Module, samples: Sequence[Tensor], expected: Sequence[Tensor]) -> None:
    """Raise CaptureError unless network and model agree, in float64 where rounding alone may tell them apart."""
    if network.having(*QUANTISED):
        compare_precisely(network, model, samples)
        return
    try:
        compare(network, samples, expected)
    except CaptureError as difference:  # perhaps no more than a deep network in float32 differs from itself
        try:
            compare_precisely(network, model, samples)
        except TranspikeError:
            raise difference from None


def compare_precisely(network: Network, model: nn.Module, samples: Sequence[Tensor]) -> None:
    """Compare in float64: where activations jump, the last bit of float32 can move a value by a whole level."""
    precise = [tensor.double() if tensor.is_floating_point() else tensor for tensor in samples]
    compare(network.to(dtype=torch.float64), precise, run(copy.deepcopy(model).double(), precise))


def compare(network: Network, samples: Sequence[Tensor], expected: Sequence[Tensor]) -> None:
    """Raise CaptureError unless network and model agree on the samples, together and the first one alone."""
    alone = [tensor[:1] for tensor in samples]
    for inputs, wanted in ((samples, expected), (alone, [tensor[:1] for tensor in expected])):
        got = list(forward(network, inputs).values())
        for key, ours, theirs in zip(network.outputs, got, wanted, strict=True):
            scale = float(theirs.abs().max()) or 1.0
            error = float((ours - theirs).abs().max()) / scale
            if not error <= TOLERANCE.get(theirs.dtype, 1e-4):
                raise CaptureError(
                    f"The captured network differs from the model by {error:.1e} (relative) at output {key!r}. Either the "
                    "model mixes the samples of a batch, is random, or this is a defect: please report it."
                )
