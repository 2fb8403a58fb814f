"""The figures and the page of a report say what the report holds, whatever it holds."""

from __future__ import annotations

import dataclasses
import math
import re
import threading
from html.parser import HTMLParser

import matplotlib as mpl
import pytest
from matplotlib.figure import Figure

from transpike.analysis import Checkpoint, Diagnosis, Exits, Layer, LayerLoss, Raster, Report
from transpike.analysis.card import Budget, Card, CardPoint, ChipCost
from transpike.analysis.diagnosis import CAUSES, Norm, Part, Stage
from transpike.analysis.energy import energies
from transpike.analysis.metric import Measured
from transpike.analysis.traffic import Estimate
from transpike.errors import ArchiveError, ArgumentError
from transpike.parts import Finding, Method
from transpike.report import FIGURES, page, save_figure, write_page
from transpike.report.causes import by_cause, by_stage
from transpike.report.curves import accuracy_against_energy, accuracy_over_time, operations_over_time
from transpike.report.layers import firing_rates, layer_errors, spike_raster
from transpike.report.leaving import with_exit
from transpike.report.losses import error_growth, loss_by_layer
from transpike.report.style import rendered
from transpike.report.tables import by_layer, over_time
from transpike.report.verdict import verdict
from transpike.report.wording import MINUS, NONE, number, scale, share, times

HOSTILE = "<script>alert(1)</script>"
MACS, FIRST_LAYER = 37_000_000, 400_000


def make_layer(place: int, name: str = "") -> Layer:
    rates = (0.6, *[0.02] * 19, 0.02)[:20]
    return Layer(
        name or f"stage{place // 4}.block{place % 4}.relu",
        f"stage{place // 4}",
        16_384,
        1.5 + 0.1 * place,
        0.02 * (place + 1),
        0.127,
        8e-6,
        0.0034,
        rates,
        (0.25, 2.1, 4.0),
        1_234_567.0 + place,
    )


def make_checkpoint(step: int, accuracy: float | None) -> Checkpoint:
    operations = 4.5e6 * step
    costs = energies(MACS, FIRST_LAYER, 0, operations, step)
    return Checkpoint(step, accuracy, 27e3 * step, 0.14 * step, operations, costs)


def make_loss(layer: Layer, place: int) -> LayerLoss:
    error = layer.error**2
    parts = {cause: Part(error * part, -0.001) for cause, part in zip(CAUSES, (0.1, 0.2, 0.3, 0.4), strict=True)}
    growths = {"growth": 0.5, "growth_bound": 10.0 ** (9 - place)}
    numbers = {"power": 1.0, "error": error, "own": error, "bound": 10.0**place, "cost": 0.3 - 0.1 * place, **growths}
    return LayerLoss(layer.name, layer.origin, layer.neurons, **numbers, **parts, recovered=0.05)


def make_diagnosis(layers: tuple[Layer, ...]) -> Diagnosis:
    stages = tuple(Stage(name, 0.9, 0.95, 0.1) for name in ("ANN", "clipped", "quantised", "SNN"))
    findings = (Finding("costly-layers", "These cost most.", "Raise them.", layers[0].name, "warning"),)
    losses = tuple(make_loss(layer, place) for place, layer in enumerate(layers))
    return Diagnosis(32, 200, stages, losses, (Norm("conv", "conv", 2.5),), 0.2, 1e6, findings)


def make_card(steps: list[int], spikes: float = 0.15) -> Card:
    def point(step: int) -> CardPoint:
        anns = Estimate(60.0, 90.0, 90.0), Estimate(3.0, 20.0, 20.0), Estimate(2.0, 15.0, 15.0)
        made = Estimate(1.0 + spikes * step, 1.0 + spikes * step, 3.0 + spikes * step)
        models = (
            Budget("arithmetic, float32", "45 nm", made, anns[0], None, None),
            Budget("with memory", HOSTILE, made, *anns),
        )
        return CardPoint(step, spikes * step, spikes * step, 5, models, 0.4 if spikes else None)

    costs = (ChipCost("loihi", "Loihi", Estimate(1.0, 2.0, 3.0), "spikes", "measured", None),)
    counts = {"footprint": 1e6, "effective_acs": 3.2e7, "connection_sparsity": 0.1}
    return Card(tuple(point(step) for step in steps), costs, counts, spikes)


def make_report(time_steps: int = 32, layers: int = 6, **changes) -> Report:
    curve = tuple(round(0.9 - 0.7 / (step + 1), 4) for step in range(1, time_steps + 1))
    steps = sorted({2**k for k in range(11) if 2**k <= time_steps} | {time_steps})
    report = Report(
        title="ResNet-20",
        method=Method("rate", "Rate coding", "Rueckauer et al. 2017"),
        input="constant current",
        time_steps=time_steps,
        samples=200,
        accuracy=curve,
        reference_accuracy=0.91,
        agreement=tuple(value + 0.02 for value in curve),
        output_error=tuple(1.5 / step for step in range(1, time_steps + 1)),
        latency={"99%": min(24, time_steps), "99.9%": None},
        neurons=16_384 * layers,
        spikes_per_neuron=4.65,
        ann_macs=40_551_040,
        ann_connections=MACS,
        static_macs=FIRST_LAYER,
        current_macs=0,
        checkpoints=tuple(make_checkpoint(step, curve[step - 1]) for step in steps),
        layers=tuple(make_layer(place) for place in range(layers)),
        rasters=(Raster("stage0.block0.relu", (3, 17, 40), ((1, 5, time_steps), (2,), (1,))),),
        findings=(
            Finding("saturated", "Neurons fire at every step.", "Raise the percentile.", "stage0.block1.relu", "warning"),
            Finding("few", "Accuracies rest on 200 samples.", "Evaluate more samples."),
        ),
        version="0.1.0",
        card=make_card(steps),
    )
    return dataclasses.replace(report, **changes)


def unlabelled(report: Report) -> Report:
    points = tuple(dataclasses.replace(point, accuracy=None) for point in report.checkpoints)
    return dataclasses.replace(report, accuracy=None, reference_accuracy=None, latency={}, checkpoints=points)


def make_exits(**changes) -> Exits:
    costs = energies(MACS, FIRST_LAYER, 0, 6e7, 13.7)
    made = Exits(3.25, 0.001, 0.95, 4000, 32, 13.7, 31, 0.954, 0.0005, 0.9215, 1.93, 6e7, costs)
    return dataclasses.replace(made, **changes)


LONG_NAME = "model.transformer.encoder.layers.11.feed_forward.intermediate.activation"
MAP = Measured("mAP", (1, 2, 4, 32), (0.0, 10.0, 31.5, 70.9), 71.1, True)
REPORTS = {
    "full": make_report(diagnosis=make_diagnosis(make_report().layers), exits=make_exits(), metrics=(MAP,)),
    "no labels": unlabelled(make_report(exits=make_exits(accuracy=None, margin=None))),
    "no labels, no classes": unlabelled(make_report(agreement=None, card=None)),
    "several outputs, metrics": unlabelled(
        make_report(
            agreement=None,
            output_errors={key: tuple(0.4 / step for step in range(1, 33)) for key in ("classes.0", LONG_NAME, HOSTILE)},
            metrics=(
                MAP,
                Measured(HOSTILE, (32,), (float("nan"),), 0.5),
            ),
        )
    ),
    "one layer, no rasters": make_report(layers=1, rasters=()),
    "no layers": make_report(layers=0, rasters=(), neurons=0, spikes_per_neuron=0.0, findings=()),
    "60 layers": make_report(layers=60, diagnosis=make_diagnosis(make_report(layers=60).layers)),
    "one step": make_report(1),
    "odd number of steps": make_report(100),
    "hostile": make_report(
        title=HOSTILE,
        method=Method(HOSTILE, HOSTILE, HOSTILE, HOSTILE),
        input=HOSTILE,
        version=HOSTILE,
        layers=2,
    ),
    "silent": make_report(
        card=make_card([1, 32], 0.0),
        checkpoints=tuple(Checkpoint(step, 0.1, 0.0, 0.0, 0.0, energies(0, 0, 0, 0.0, step)) for step in (1, 2, 4, 8, 16, 32)),
        ann_connections=0,
        ann_macs=0,
        static_macs=0,
        output_error=(math.inf,) * 32,
        rasters=(Raster("a", (), ()), Raster("b", (0,), ((),))),
    ),
}
hostile = dataclasses.replace(
    REPORTS["hostile"],
    layers=tuple(
        make_layer(0, name)
        for name in (HOSTILE, '"><img src=x onerror=alert(1)>', "$\\frac", "a\nb-->\x07", "层 \U0001d518", LONG_NAME)
    ),
    rasters=(Raster(HOSTILE, (0,), ((1, 2),)), Raster("$x^", (0,), ((1,),))),
    findings=(Finding("x", HOSTILE, HOSTILE, HOSTILE, '" onclick="alert(1)'),),
)
REPORTS["hostile"] = dataclasses.replace(hostile, diagnosis=make_diagnosis(hostile.layers))
broken = tuple(dataclasses.replace(make_layer(i), error=value) for i, value in enumerate((math.inf, math.nan, 0.3)))
REPORTS["errors without end"] = make_report(layers=3, rasters=())
REPORTS["errors without end"] = dataclasses.replace(REPORTS["errors without end"], layers=broken)


PAGES = ("full", "no labels", "several outputs, metrics", "one layer, no rasters", "no layers", "one step", "hostile")


class Elements(HTMLParser):
    """Collects the tags of a page with their attributes, and the text of table cells."""

    def __init__(self, text: str):
        super().__init__()
        self.tags, self.text, self.open = [], [], []
        self.feed(text)

    def handle_starttag(self, tag, attrs):
        self.tags.append((tag, dict(attrs)))

    def handle_data(self, data):
        self.text.append(data)


@pytest.fixture(scope="module")
def pages():
    return {name: page(REPORTS[name]) for name in PAGES}


def lines(figure: Figure, panel: int = 0) -> dict:
    return {line.get_label(): list(line.get_ydata()) for line in figure.axes[panel].get_lines()}


@pytest.mark.parametrize("figure", FIGURES)
@pytest.mark.parametrize("report", REPORTS)
def test_every_figure_of_every_report_can_be_drawn(report, figure):
    drawn = FIGURES[figure].draw(REPORTS[report])
    assert isinstance(drawn, Figure)
    if report not in PAGES:  # those are rendered for their pages
        drawn.draw_without_rendering()


def test_of_very_many_layers_every_few_are_named():
    axes = layer_errors(make_report(layers=200)).axes[0]
    assert len(axes.patches) == 200
    assert [label.get_text() for label in axes.get_yticklabels()][:2] == ["stage0.block0.relu", "stage0.block3.relu"]


def test_accuracy_lines_are_the_reports():
    report = REPORTS["full"]
    figure = accuracy_over_time(report)
    drawn = lines(figure)
    assert tuple(drawn["SNN"]) == report.accuracy
    assert tuple(drawn["SNN agrees with ANN"]) == report.agreement
    assert set(drawn["ANN, 91.0\u00a0%"]) == {0.91}
    assert drawn["99 % of ANN: step 24"] == [report.accuracy[23]]
    assert not any("99.9" in label for label in drawn)
    assert figure.axes[0].get_xlabel() == "Time steps"
    assert figure.axes[0].get_xscale() == "log"
    assert tuple(figure.axes[0].get_lines()[0].get_xdata()) == tuple(range(1, 33))


def test_without_labels_the_error_of_the_output_is_drawn():
    figure = accuracy_over_time(REPORTS["no labels"])
    assert tuple(lines(figure)["SNN"]) == REPORTS["no labels"].output_error
    assert figure.axes[0].get_yscale() == "log"
    assert tuple(lines(figure, 1)["SNN"]) == REPORTS["no labels"].agreement
    assert len(accuracy_over_time(REPORTS["no labels, no classes"]).axes) == 1
    title, caption = FIGURES["accuracy_over_time"].words(REPORTS["no labels"])
    assert title == "Output error over time"
    assert "accuracy" not in caption.lower()


def test_operations_and_energy_are_the_checkpoints():
    report = REPORTS["full"]
    drawn = lines(operations_over_time(report))
    assert drawn["SNN: synaptic operations"] == [point.synaptic_operations for point in report.checkpoints]
    assert set(drawn["ANN: multiply-accumulates"]) == {MACS}
    figure = accuracy_against_energy(report)
    assert lines(figure)["SNN after T steps"] == [point.accuracy for point in report.checkpoints]
    xs = {line.get_label(): list(line.get_xdata()) for line in figure.axes[0].get_lines()}
    assert xs["SNN after T steps"] == [point.energy[0].snn for point in report.checkpoints]
    assert xs["ANN"] == [report.final.energy[0].ann]
    assert [text.get_text() for text in figure.axes[0].texts] == ["1", "2", "4", "8", "16", "32"]
    with pytest.raises(ArgumentError, match=r"Energy model 'x' is unknown. Choose one of '45 nm CMOS, float32'."):
        accuracy_against_energy(report, model="x")


def test_layers_stand_in_network_order_with_their_errors():
    report = REPORTS["full"]
    axes = layer_errors(report).axes[0]
    assert [bar.get_width() for bar in axes.patches] == [layer.error for layer in report.layers]
    assert [label.get_text() for label in axes.get_yticklabels()] == [layer.name for layer in report.layers]
    assert axes.yaxis_inverted()
    heat = firing_rates(report).axes[0]
    assert heat.collections[0].get_array().shape == (6, 20)
    assert heat.collections[0].get_array()[2, 0] == report.layers[2].rates[0]
    assert list(heat.get_lines()[0].get_xdata()) == [layer.spikes_per_neuron / 32 for layer in report.layers]


def test_each_bar_is_the_error_of_its_layer_divided_by_cause():
    report = REPORTS["full"]
    bars = loss_by_layer(report).axes[0].containers
    assert [container.get_label() for container in bars] == [
        "own clipping",
        "own quantisation",
        "own unevenness",
        "inherited",
    ]
    for place, layer in enumerate(report.layers):
        widths = [container[place].get_width() for container in bars]
        assert widths == pytest.approx([layer.error * part for part in (0.1, 0.2, 0.3, 0.4)])


def test_growth_is_drawn_against_its_bound():
    report = REPORTS["full"]
    figure = error_growth(report)
    drawn = lines(figure)
    assert drawn["measured"] == [layer.error for layer in report.layers]
    assert drawn["bound: product of norms"] == [10.0**place for place in range(6)]
    assert lines(figure, 1)["measured"] == [0.5] * 6
    assert figure.axes[1].get_yscale() == "log"


def test_early_exit_has_its_own_section(pages):
    row = [cell.text for cell in with_exit(REPORTS["full"]).rows[1].cells]
    assert row[:6] == ["each to its exit", "13.7", "31", "92.2", "0.05", "1.93"]
    text = " ".join("".join(Elements(pages["full"]).text).split())
    assert "at most 0.1 % of decisions differ from those after 32 steps" in text
    assert "too few to promise a loss of at most 0.1 points" in pages["no labels"]
    assert "Early exit" not in pages["one step"]


def test_the_diagnosis_has_its_own_section(pages):
    assert '<h2 id="causes">Where the loss comes from</h2>' in pages["full"]
    assert "These cost most." in pages["full"]
    assert pages["full"].index('id="causes"') < pages["full"].index('id="figure-loss_by_layer"')
    assert 'id="causes"' not in pages["no labels"]
    assert "loss_by_layer" not in pages["no labels"]
    row = [cell.text for cell in by_cause(REPORTS["full"].diagnosis).rows[1].cells]
    assert row == ["2", "stage0.block1.relu", "4.0", "0.7", "1.5", "2.2", "40", "20.0", "5.0", "0.50", "10⁸"]
    assert len(by_stage(REPORTS["full"].diagnosis).rows) == 4


def test_rasters_show_each_spike_and_can_be_chosen():
    report = REPORTS["full"]
    (axes,) = spike_raster(report).axes
    assert [tuple(strokes.get_positions()) for strokes in axes.collections] == list(report.rasters[0].times)
    assert axes.get_title(loc="left") == "stage0.block0.relu: 3 of 16,384 neurons"
    with pytest.raises(ArgumentError, match=r"Recorded layer 'stage0\.block0\.rel' is unknown\. Did you mean"):
        spike_raster(report, ["stage0.block0.rel"])


def test_many_spikes_do_not_make_a_huge_file():
    times = tuple(tuple(range(1, 1001)) for _ in range(40))
    report = make_report(1000, rasters=(Raster("a", tuple(range(40)), times),))
    assert len(rendered(spike_raster(report), "svg")) < 300_000


def test_drawing_leaves_the_users_settings_alone_even_in_threads():
    before = dict(mpl.rcParams)
    threads = [threading.Thread(target=layer_errors, args=(REPORTS["full"],)) for _ in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert dict(mpl.rcParams) == before


def test_the_users_settings_do_not_change_the_figure():
    expected = rendered(layer_errors(REPORTS["full"]), "svg")
    with mpl.rc_context({"font.size": 30, "axes.facecolor": "red", "svg.fonttype": "none"}):
        assert rendered(layer_errors(REPORTS["full"]), "svg") == expected


@pytest.mark.parametrize(("name", "start"), [("a.png", b"\x89PNG"), ("b.SVG", b"<?xml")])
def test_figures_are_saved_by_suffix_with_the_same_bytes(tmp_path, name, start):
    for folder in ("one", "two"):
        save_figure(layer_errors(REPORTS["full"]), tmp_path / folder / name)
    first, second = ((tmp_path / folder / name).read_bytes() for folder in ("one", "two"))
    assert first.startswith(start)
    assert first == second


def test_other_suffixes_are_refused_with_the_choices(tmp_path):
    with pytest.raises(ArgumentError, match=r"Figure format '.pdf' is unknown. Choose one of '.png', '.svg'."):
        save_figure(Figure(), tmp_path / "a.pdf")
    assert not list(tmp_path.iterdir())


@pytest.mark.parametrize("report", PAGES)
def test_the_page_needs_nothing_else_and_is_well_formed(pages, report):
    elements = Elements(pages[report])
    for tag, attributes in elements.tags:
        assert tag not in {"link", "iframe", "object", "img"}
        for key in ("src", "href", "xlink:href"):
            if value := attributes.get(key):
                assert value.startswith(("#", "data:image/png;base64,")), (tag, key, value)
        assert not any(key.startswith("on") for key in attributes)
    assert sum(tag == "script" for tag, _ in elements.tags) == 1
    ids = [attributes["id"] for _, attributes in elements.tags if "id" in attributes]
    assert len(ids) == len(set(ids))
    links = {attributes[key][1:] for _, attributes in elements.tags for key in ("href", "xlink:href") if key in attributes}
    links |= set(re.findall(r"url\(#([^)]+)\)", pages[report]))
    links |= {
        attributes[key]
        for _, attributes in elements.tags
        for key in ("aria-labelledby", "aria-describedby")
        if key in attributes
    }
    assert {link for link in links if not link.startswith("ata:")} <= set(ids)
    assert "http://" not in pages[report]
    assert "https://" not in pages[report]


@pytest.mark.parametrize("report", REPORTS)
def test_each_row_of_a_table_is_complete(report):
    tables = [over_time(REPORTS[report]), by_layer(REPORTS[report])]
    for table in tables:
        assert all(len(row.cells) == len(table.columns) for row in (*table.rows, *table.foot))
    assert len(tables[0].rows) == len(REPORTS[report].checkpoints)
    assert len(tables[1].rows) == len(REPORTS[report].layers)
    assert not any("nan" in cell.text or "inf" in cell.text for table in tables for row in table.rows for cell in row.cells)


def test_the_page_says_every_finding_warnings_first(pages):
    text = pages["full"]
    for finding in REPORTS["full"].findings:
        assert finding.message in text
        assert finding.advice in text
    assert text.index("▲ Warning") < text.index("● Note")
    assert '<a href="#layer-2">See stage0.block1.relu in the layer table.</a>' in text
    assert "Nothing stood out." in pages["no layers"]


def test_every_figure_has_a_title_and_a_caption(pages):
    for name, drawing in FIGURES.items():
        assert f'aria-labelledby="{name}-title"' in pages["full"]
        assert drawing.title in pages["full"]
    assert "spike_raster" not in pages["one layer, no rasters"]


def test_hostile_names_are_shown_as_text(pages):
    text = pages["hostile"]
    assert "<script>alert" not in text
    assert "<img" not in text
    assert 'onclick="' not in text
    assert text.count("&lt;script&gt;alert(1)&lt;/script&gt;") >= 8
    shown = "".join(Elements(text).text)
    assert f"{HOSTILE} as a spiking network" in shown
    assert LONG_NAME in shown


def test_the_policy_admits_the_pages_own_script(pages):
    import base64
    import hashlib

    script = re.search(r"<script>(.*?)</script>", pages["full"], re.DOTALL)[1]
    digest = base64.b64encode(hashlib.sha256(script.encode()).digest()).decode()
    assert f"script-src 'sha256-{digest}'" in pages["full"]
    assert "&#39;" not in script
    assert "&#34;" not in script


def test_the_same_report_gives_the_same_page(pages, tmp_path):
    write_page(Report.load(saved(REPORTS["full"], tmp_path)), tmp_path / "page.html")
    assert (tmp_path / "page.html").read_text() == pages["full"]


def test_a_page_that_cannot_be_written_is_a_plain_error(tmp_path):
    (tmp_path / "file").touch()
    with pytest.raises(ArchiveError, match="Cannot write"):
        write_page(REPORTS["no layers"], tmp_path / "file" / "page.html")


def test_without_labels_the_page_speaks_of_no_accuracy_of_its_own(pages):
    assert "accuracy, loss and latency are unknown" in pages["no labels"]
    assert "<dt>Latency</dt>" in pages["full"]
    assert "<dt>Latency</dt>" not in pages["no labels"]


def saved(report, folder):
    report.save(folder / "report.json")
    return folder / "report.json"


def test_the_verdict_is_in_the_reports_numbers():
    tiles = [(tile.value.replace("\u00a0", " "), tile.note.replace("\u00a0", " ")) for tile in verdict(REPORTS["full"])]
    assert tiles == [
        ("87.9 %", "ANN: 91.0 %"),
        ("3.1 points", "6 of 200 samples, net"),
        ("24", "99.9 %: not reached"),
        ("70.9", "ANN: 71.1"),
        ("4.65", "98,304 neurons; mean rate 0.145 per step"),
        ("1.3 times less", "131.4 µJ against 170.2 µJ per sample; 45 nm CMOS, float32"),
    ]


def test_the_verdict_admits_gains_unreached_shares_and_missing_labels():
    better = make_report(reference_accuracy=0.85, latency={"99%": None, "99.9%": None})
    assert verdict(better)[1].label == "gained on the ANN"
    assert verdict(better)[2].value == "not reached"
    same = make_report(reference_accuracy=make_report().accuracy[-1])
    assert verdict(same)[1].value == "0.0 points"
    labels = [tile.label for tile in verdict(REPORTS["no labels"])]
    assert labels[:2] == ["same answer as the ANN after 32 time steps", "error of the output after 32 time steps"]
    assert len(verdict(REPORTS["no labels, no classes"])) == 3
    assert verdict(REPORTS["one step"])[0].label == "accuracy after 1 time step"


def test_table_numbers_match_the_report(pages):
    table = over_time(REPORTS["full"])
    last = [cell.text for cell in table.rows[-1].cells]
    assert last == ["32", "87.9", "70.9", "4.48", "144.00", "0.40", "131.4", "188.5", "0.77"]
    assert [cell.text for cell in table.foot[0].cells] == ["ANN", "91.0", "71.1", NONE, NONE, "37.00", "170.2", NONE, "1.00"]
    assert [cell.text for cell in table.foot[1].cells][5] == "40.55"
    first = [cell.text for cell in by_layer(REPORTS["full"]).rows[0].cells]
    assert first[:8] == ["1", "stage0.block0.relu", "stage0", "16,384", "1.50", "0.047", "2.0", "12.70"]
    assert first[8:] == ["<0.01", "0.34", "0.250", "2.100", "4.000", "1.23"]
    for text in (*last, *first):
        assert f">{text.replace('<', '&lt;')}</t" in pages["full"]


def test_currents_are_charged_every_step_and_said_so():
    report = make_report(layers=0, rasters=(), current_macs=1_000_000)
    assert [row.cells[4].text for row in over_time(report).rows] == ["1.40", "2.40", "4.40", "8.40", "16.40", "32.40"]
    assert "layers that read currents instead of spikes (1.00\u00a0M at every step)" in page(report)


def test_a_second_energy_model_gets_its_own_columns():
    report = make_report(2, layers=0, rasters=())
    points = tuple(
        dataclasses.replace(point, energy=(*point.energy, dataclasses.replace(point.energy[0], model="other")))
        for point in report.checkpoints
    )
    twice = dataclasses.replace(report, checkpoints=points)
    assert [group for group, _ in over_time(twice).groups if group] == ["Energy, 45 nm CMOS, float32", "Energy, other"]
    assert "Energy model “other”:" in page(twice)
    assert accuracy_against_energy(twice, model="other").axes


@pytest.mark.parametrize(
    ("worded", "expected"),
    [
        (number(-0.5, 1), MINUS + "0.5"),
        (number(math.nan, 1), NONE),
        (number(-math.inf, 1), MINUS + "∞"),
        (share(0.5), "50.00"),
        (times(0.04), "25 times less"),
        (times(2.0), "2.0 times more"),
        (times(0.99), "about the same"),
        (times(math.nan), "unknown"),
        (times(0.0), "nothing used"),
        (scale([]).worded(0.0), "0"),
        (scale([3e9]).worded(3e9), "3.00\u00a0G"),
        (scale([532.4]).worded(532.4), "532"),
    ],
)
def test_wording(worded, expected):
    assert worded == expected
