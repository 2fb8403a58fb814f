"""Reports: every number against a plain computation of it; interrupted evaluations go on."""

from __future__ import annotations

import pytest
import torch
from torch import nn

import transpike as tp
from helpers import spiking_of
from transpike.analysis import Report
from transpike.analysis.summary import latencies
from transpike.capture import capture
from transpike.errors import ArchiveError, ArgumentError, DataError
from transpike.network import forward

STEPS = 24


@pytest.fixture(scope="module")
def setting():
    torch.manual_seed(1)
    model = nn.Sequential(
        nn.Conv2d(1, 4, 3, padding=1), nn.ReLU(), nn.MaxPool2d(2), nn.Conv2d(4, 6, 3), nn.ReLU(), nn.Flatten(), nn.Linear(6, 3)
    ).eval()
    x = torch.rand(70, 1, 6, 6)
    return model, tp.convert(model, torch.rand(60, 1, 6, 6)), x, torch.randint(3, (70,))


@pytest.fixture(scope="module")
def report(setting):
    model, network, x, labels = setting
    return tp.evaluate(model, network, (x, labels), STEPS, block=16)


def test_accuracy_at_every_step(setting, report):
    model, network, x, labels = setting
    run = tp.simulate(network, x, STEPS, block=16)
    answers = run.outputs.argmax(2)
    expected = model(x).argmax(1)
    assert report.accuracy == pytest.approx([float((a == labels).float().mean()) for a in answers], abs=1e-6)
    assert report.agreement == pytest.approx([float((a == expected).float().mean()) for a in answers], abs=1e-6)
    assert report.reference_accuracy == pytest.approx(float((expected == labels).float().mean()), abs=1e-6)


def test_spikes_and_layer_errors(setting, report):
    _, network, x, _ = setting
    names = [layer.name for layer in report.layers]
    run = tp.simulate(network, x, STEPS, record=tp.Record(counts=names), block=16)
    activations = {}
    forward(network.analogue(), [x], activations.__setitem__)
    for layer in report.layers:
        counts, activation = run.counts[layer.name], activations[layer.name]
        sent = counts * network.nodes[layer.name].op.threshold / STEPS
        assert layer.neurons == counts[0].numel()
        assert layer.spikes_per_neuron == pytest.approx(float(counts.mean()), rel=1e-5)
        assert layer.error == pytest.approx(float((sent - activation).norm() / activation.norm()), rel=1e-4)
        assert layer.silent == pytest.approx(float((counts.sum(0) == 0).float().mean()), abs=1e-6)
        assert layer.saturated == pytest.approx(float((counts == STEPS).float().mean()), abs=1e-6)
        assert sum(layer.rates) == pytest.approx(1, abs=1e-6)
    assert report.final.spikes == pytest.approx(sum(float(run.counts[n].flatten(1).sum(1).mean()) for n in names), rel=1e-5)


def test_checkpoints_are_what_shorter_runs_give(setting, report):
    model, network, x, labels = setting
    short = tp.evaluate(model, network, (x, labels), 8, block=16)
    at_eight = next(point for point in report.checkpoints if point.time_steps == 8)
    assert short.final == at_eight
    assert [point.time_steps for point in report.checkpoints] == [1, 2, 4, 8, 16, 24]


def test_energy_is_the_stated_formula(report):
    for point in report.checkpoints:
        energy = point.energy[0]
        assert energy.ann == pytest.approx(4.6e-6 * report.ann_connections)
        analogue = report.static_macs + point.time_steps * report.current_macs
        assert energy.snn == pytest.approx(1e-6 * (4.6 * analogue + 0.9 * point.synaptic_operations))


def test_a_graded_spike_of_four_bits_costs_four_accumulates(setting):
    model, _, x, labels = setting
    report = tp.evaluate(model, tp.convert(model, x, "graded"), (x, labels), 4)
    for point in report.checkpoints:
        analogue = report.static_macs + point.time_steps * report.current_macs
        assert point.energy[0].snn == pytest.approx(1e-6 * (4.6 * analogue + 4 * 0.9 * point.synaptic_operations))


def test_latency_is_the_step_from_which_accuracy_stays():
    assert latencies((0.5, 0.9, 0.8, 0.9, 0.9), 0.9) == {"99%": 4, "99.9%": 4}
    assert latencies((0.9, 0.9), 0.9) == {"99%": 1, "99.9%": 1}
    assert latencies((0.9, 0.5), 0.9) == {"99%": None, "99.9%": None}
    assert latencies(None, None) == {}


def test_how_the_data_are_batched_does_not_matter(setting, report):
    model, network, x, labels = setting
    batches = list(zip(x.split(9), labels.split(9), strict=True))
    assert tp.evaluate(model, network, batches, STEPS, block=16) == report


def test_without_labels_there_is_agreement_and_no_accuracy(setting):
    model, network, x, _ = setting
    unlabelled = tp.evaluate(model, network, x, 4)
    assert unlabelled.accuracy is None
    assert len(unlabelled.agreement) == 4


def test_without_a_model_the_network_is_its_own_reference(setting, report):
    _, network, x, labels = setting
    assert tp.evaluate(None, network, (x, labels), STEPS, block=16).accuracy == report.accuracy


def test_report_survives_json(report, tmp_path):
    report.save(tmp_path / "report.json")
    assert Report.load(tmp_path / "report.json") == report


@pytest.mark.parametrize("content", ["", "[1]", "{}", '{"format": 99}', '{"format": 1, "layers": 3}'])
def test_damaged_reports_are_refused(content, tmp_path):
    (tmp_path / "report.json").write_text(content)
    with pytest.raises(ArchiveError):
        Report.load(tmp_path / "report.json")


class Interrupted(Exception):
    pass


def interrupted_after(blocks):
    left = [blocks]

    def progress(_):
        left[0] -= 1
        if left[0] == 0:
            raise Interrupted

    return progress


def test_an_interrupted_evaluation_goes_on_where_it_stopped(setting, report, tmp_path):
    model, network, x, labels = setting
    with pytest.raises(Interrupted):
        tp.evaluate(model, network, (x, labels), STEPS, block=16, folder=tmp_path, progress=interrupted_after(2))
    done = []
    resumed = tp.evaluate(model, network, (x, labels), STEPS, block=16, folder=tmp_path, resume=True, progress=done.append)
    assert done == [32, 16, 16, 6]
    assert resumed == report
    assert list(tmp_path.iterdir()) == []


def test_resuming_with_other_data_or_steps_is_refused(setting, tmp_path):
    model, network, x, labels = setting
    with pytest.raises(Interrupted):
        tp.evaluate(model, network, (x, labels), STEPS, block=16, folder=tmp_path, progress=interrupted_after(2))
    with pytest.raises(ArchiveError, match="samples differ"):
        tp.evaluate(model, network, (x.flip(0), labels), STEPS, block=16, folder=tmp_path, resume=True)
    with pytest.raises(ArchiveError, match="another number of time steps"):
        tp.evaluate(model, network, (x, labels), 8, block=16, folder=tmp_path, resume=True)
    (tmp_path / "progress.safetensors").write_bytes(b"broken")
    with pytest.raises(ArchiveError, match="damaged"):
        tp.evaluate(model, network, (x, labels), STEPS, block=16, folder=tmp_path, resume=True)


def test_mistakes_are_named(setting):
    model, network, x, labels = setting
    with pytest.raises(DataError, match="Label 7 of sample 3 is out of range: the network tells 3 classes apart"):
        tp.evaluate(model, network, (x, torch.where(torch.arange(70) == 3, 7, labels)), 4)
    with pytest.raises(DataError, match="whole numbers"):
        tp.evaluate(model, network, (x, labels.float()), 4)
    with pytest.raises(ArgumentError, match="time_steps"):
        tp.evaluate(model, network, (x, labels), 0)
    with pytest.raises(ArgumentError, match="training mode"):
        tp.evaluate(nn.Sequential(nn.Linear(2, 2)), network, (x, labels), 4)
    with pytest.raises(ArgumentError, match="'nobody' is unknown"):
        tp.evaluate(model, network, (x, labels), 4, raster=["nobody"])


def kinds(report):
    return {finding.kind for finding in report.findings}


def test_findings_name_what_is_wrong():
    torch.manual_seed(0)
    model = nn.Sequential(nn.Linear(8, 30), nn.ReLU(), nn.Linear(30, 30), nn.ReLU(), nn.Linear(30, 4)).eval()
    x = torch.rand(600, 8)
    labels = model(x).argmax(1)
    clipped = tp.convert(model, x, tp.recipes["rate"].with_percentile(20))
    found = kinds(tp.evaluate(model, clipped, (x, labels), 32))
    assert {"saturated", "clipped", "layer-error", "energy"} <= found
    good = tp.convert(model, x, tp.recipes["rate"].with_percentile(100))
    assert not {"saturated", "clipped", "accuracy-loss"} & kinds(tp.evaluate(model, good, (x, labels), 256))


OWN_WINDOW = [name for name in tp.recipes if tp.recipes[name].has_window and name != "ttfs-clamped"]
OF_OTHER_CODES = (
    "run more time steps",
    "give it more time steps",
    "fewest time steps that",
    "at every step",
    "twice the steps",
)


@pytest.fixture(scope="module")
def captured():
    torch.manual_seed(3)
    model = nn.Sequential(nn.Linear(8, 30), nn.ReLU(), nn.Linear(30, 30), nn.ReLU(), nn.Linear(30, 4)).eval()
    x = torch.rand(600, 8)
    return model, x, capture(model, (x,))


@pytest.mark.parametrize("name", [*OWN_WINDOW, "sequential"])
def test_codes_in_windows_are_advised_what_they_can_do(name, captured, tmp_path):
    """Calibrated on half the inputs they do everything badly; no advice is for networks that run for any number of steps."""
    model, x, analogue = captured
    steps = None if name in OWN_WINDOW else 3
    network = spiking_of(analogue, x[:300] / 2, name, steps)
    in_turns = not name.startswith("ttfs") or name == "ttfs-exact"  # first spikes in time are not diagnosed
    report = tp.evaluate(model, network, (x, model(x).argmax(1)), steps, diagnose=in_turns)
    assert {"saturated", "clipped"} & kinds(report)
    found = (*report.findings, *(report.diagnosis.findings if in_turns else ()))
    words = " ".join(f"{finding.message} {finding.advice}" for finding in found)
    assert not [phrase for phrase in (*OF_OTHER_CODES, "raise the percentile", " 1 steps") if phrase in words]
    assert report.own_window == (steps is None)
    report.save(tmp_path / "report.json")
    assert Report.load(tmp_path / "report.json").own_window == report.own_window


def advised(report, kind):
    return next(finding for finding in report.findings if finding.kind == kind)


def test_a_window_that_is_too_short_should_be_longer():
    torch.manual_seed(3)
    model = nn.Sequential(nn.Linear(8, 30), nn.ReLU(), nn.Linear(30, 30), nn.ReLU(), nn.Linear(30, 4)).eval()
    x = torch.rand(600, 8)
    network = tp.convert(model, x, tp.recipes["phase"].with_window(2))
    report = tp.evaluate(model, network, (x, model(x).argmax(1)), diagnose=True)
    loss = advised(report, "accuracy-loss")
    assert "After 2 windows of 2 steps the network loses" in loss.message
    assert "longer window (Recipe.with_window, or --window)" in loss.advice
    assert "recipe phase-sbg helps" in loss.advice
    assert "shortest window that reaches your accuracy" in advised(report, "energy").advice
    assert "longer window" in next(f.advice for f in report.diagnosis.findings if f.kind == "loss-by-cause")


def test_first_spikes_after_the_best_window_should_have_that():
    torch.manual_seed(3)
    model = nn.Sequential(nn.Linear(8, 30), nn.ReLU(), nn.Linear(30, 30), nn.ReLU(), nn.Linear(30, 4)).eval()
    x = torch.rand(600, 8)
    labels = model(x).argmax(1)
    best = tp.evaluate(model, tp.convert(model, x, "ttfs-base"), (x, labels))
    late = tp.evaluate(model, tp.convert(model, x, tp.recipes["ttfs-base"].with_window(8 * best.time_steps)), (x, labels))
    assert late.loss > best.loss
    peak = late.accuracy.index(max(late.accuracy)) + 1
    assert f"higher at step {peak}: convert with that window" in advised(late, "accuracy-loss").advice


def test_a_dead_channel_is_a_finding_and_has_a_threshold():
    model = nn.Sequential(nn.Linear(4, 6), nn.ReLU(), nn.Linear(6, 2)).eval()
    with torch.no_grad():
        model[0].bias[2] = -100
    network = tp.convert(model, torch.rand(50, 4))
    thresholds = network.nodes["1"].op.threshold
    assert (thresholds > 0).all()
    assert torch.isfinite(thresholds).all()
    assert [finding.node for finding in network.findings if finding.kind == "dead-channels"] == ["1"]
