"""The table of figures: name -> function, with words for whoever sees it for the first time."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from types import MappingProxyType

from matplotlib.figure import Figure

from transpike.analysis import Report
from transpike.report.card import energy_break_even
from transpike.report.curves import accuracy_against_energy, accuracy_over_time, metrics_over_time, operations_over_time
from transpike.report.layers import firing_rates, layer_errors, spike_raster
from transpike.report.losses import error_growth, loss_by_layer


@dataclass(frozen=True)
class Drawing:
    """A figure of a report: how it is drawn, what it is called, and how to read it.

    `unlabelled` holds title and caption where the report has no accuracy and the figure shows something else; `needs`
    names the field of the report without which there is nothing to draw.
    """

    draw: Callable[..., Figure]
    title: str
    caption: str
    unlabelled: tuple[str, str] | None = None
    needs: str = "checkpoints"

    def words(self, report: Report) -> tuple[str, str]:
        """Return title and caption as they apply to `report`."""
        return self.unlabelled if self.unlabelled and report.accuracy is None else (self.title, self.caption)

    def applies(self, report: Report) -> bool:
        """Say whether `report` has anything to draw."""
        return bool(getattr(report, self.needs))


FIGURES: Mapping[str, Drawing] = MappingProxyType(
    {
        "accuracy_over_time": Drawing(
            accuracy_over_time,
            "Accuracy over time",
            "How often the spiking network (SNN) is right if you stop it after so many time steps: the sooner the thick "
            "line meets the dashed line of the original network (ANN), the less time the conversion costs; marks show "
            "from where on it stays at a share of the ANN's accuracy.",
            (
                "Output error over time",
                (
                    "How far the answer of the spiking network is from the ANN's after so many time steps, on logarithmic "
                    "axes: a straight fall means that more steps still help, a flat end that they no longer do."
                ),
            ),
        ),
        "metrics_over_time": Drawing(
            metrics_over_time,
            "Metrics over time",
            "What was asked to be measured, if the spiking network is stopped after so many time steps: the sooner the dots "
            "meet the dashed line of the original network (ANN), the less time the conversion costs.",
            needs="metrics",
        ),
        "accuracy_against_energy": Drawing(
            accuracy_against_energy,
            "Accuracy against energy",
            "Each dot is the spiking network stopped after the number of time steps beside it; a dot left of the star "
            "needs less energy than the ANN for its arithmetic, a dot below the star is less accurate.",
            (
                "Answer against energy",
                (
                    "Each dot is the spiking network stopped after the number of time steps beside it; a dot left of the "
                    "star needs less energy than the ANN for its arithmetic, and the nearer its height to the star's, the "
                    "nearer its answers to the ANN's."
                ),
            ),
        ),
        "operations_over_time": Drawing(
            operations_over_time,
            "Operations over time",
            "Each spike causes one operation per connection that it arrives over, so work grows with time; above the "
            "dashed line the spiking network does more operations than the ANN, although each is cheaper.",
        ),
        "energy_break_even": Drawing(
            energy_break_even,
            "Energy against break-evens",
            "Each mark is the network stopped after some time steps: above the black line it needs more energy than the ANN. "
            "Bands are the ranges of the assumptions; vertical lines are published break-evens (1.72 spikes per neuron, 6.4 % "
            "of the steps), left of which a spiking network may save energy.",
            needs="card",
        ),
        "spike_raster": Drawing(
            spike_raster,
            "Spikes on the first sample",
            "Each row is a neuron that fired at least once, each mark one of its spikes: the denser a row, the larger "
            "the activation that it stands for.",
            needs="rasters",
        ),
        "layer_errors": Drawing(
            layer_errors,
            "Error per layer",
            "How far the activation decoded from the spikes is from the ANN's, layer by layer from input to output: "
            "errors build up with depth, so look for the first bar that is much longer than those above it; bars beyond "
            "20 % (dotted line) have another colour.",
            needs="layers",
        ),
        "firing_rates": Drawing(
            firing_rates,
            "Firing rates per layer",
            "Each row shows how a layer's firing rates are spread, darker for more neurons: much at the far left means "
            "neurons that hardly fire, anything at the far right neurons that fire at every step and can send no more.",
            needs="layers",
        ),
        "loss_by_layer": Drawing(
            loss_by_layer,
            "Causes of the error of each layer",
            "The error of each layer, divided by cause: grey is inherited from the layers before, the colours are what the "
            "layer adds itself by clipping, by whole numbers of spikes, and by spikes that come unevenly in time.",
            needs="diagnosis",
        ),
        "error_growth": Drawing(
            error_growth,
            "Growth of errors against the bound",
            "Above, the error at each layer; below, how much an error made at that layer is lengthened on its way to the "
            "answer. The dashed line is the most that the product of the layers' norms allows: a true bound, but a very "
            "loose one, and the looser the more layers an error passes.",
            needs="diagnosis",
        ),
    }
)
