"""The outside view: commands, their files, and their messages."""

from __future__ import annotations

import json
import pickle
import subprocess
import sys

import numpy as np
import pytest
import torch
from safetensors.torch import save_file
from torch import nn
from typer.testing import CliRunner

import transpike as tp
from transpike import demo as demo_network
from transpike.analysis import evaluation
from transpike.cli import app
from transpike.neurons import CountProduct, Population

MODELS = """
import torch
from torch import nn

def small():
    return nn.Sequential(nn.Conv2d(1, 4, 3), nn.BatchNorm2d(4), nn.ReLU(), nn.Flatten(), nn.Linear(4 * 36, 10))

def pooled():
    return nn.Sequential(nn.Conv2d(1, 4, 3), nn.ReLU(), nn.MaxPool2d(2), nn.Flatten(), nn.Linear(4 * 9, 10))

class Special(nn.Module):
    def forward(self, x):
        return torch.lgamma(x) + torch.digamma(x)

def special():
    return nn.Sequential(nn.Flatten(), nn.Linear(64, 8), Special(), nn.Linear(8, 10))

def smooth():
    return nn.Sequential(nn.Flatten(), nn.Linear(64, 8), nn.GELU(), nn.LayerNorm(8), nn.Linear(8, 10))

def gated():
    return nn.Sequential(nn.Flatten(), nn.Linear(64, 8), nn.Sigmoid(), nn.Linear(8, 8), nn.ReLU(), nn.Linear(8, 10))

class Rows(nn.Module):
    def __init__(self):
        super().__init__()
        self.layer, self.head = nn.LSTM(8, 4, batch_first=True), nn.Linear(4, 10)

    def forward(self, x):
        return self.head(self.layer(x.flatten(1, 2))[0][:, -1])

def rows():
    return Rows()

def needs(width):
    return nn.Linear(width, width)

number = 3
"""


@pytest.fixture
def folder(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    (tmp_path / "models.py").write_text(MODELS)
    torch.manual_seed(0)
    model = nn.Sequential(nn.Conv2d(1, 4, 3), nn.BatchNorm2d(4), nn.ReLU(), nn.Flatten(), nn.Linear(4 * 36, 10))
    save_file(model.state_dict(), tmp_path / "weights.safetensors")
    torch.save({"state_dict": {f"module.{k}": v for k, v in model.state_dict().items()}}, tmp_path / "weights.pt")
    return tmp_path


def call(*arguments, code=0):
    result = CliRunner().invoke(app, [str(argument) for argument in arguments])
    assert result.exit_code == code, result.output + result.stderr
    assert "Traceback" not in result.output + result.stderr
    return result


def refused(*arguments):
    """Return the one-sentence refusal of a command, without line breaks."""
    return " ".join(call(*arguments, code=2).stderr.split())


def converted():
    call("convert", "models.py:small", "--weights", "weights.pt", "--data", "digits", "--samples", 200, "--out", "net")


def test_from_model_to_page(folder):
    output = call("inspect", "models.py:small", "--shape", "1,8,8").output
    assert "becomes neurons" in output
    assert "This model converts." in output
    converted()
    result = call("evaluate", "net", "--data", "digits", "--time-steps", 8, "--samples", 50, "--out", "run")
    assert "of the ANN's accuracy" in result.output
    call("report", "run", "--figures", "figures")
    page = (folder / "run" / "report.html").read_text()
    assert "net on digits" in page
    assert {path.suffix for path in (folder / "figures").iterdir()} == {".svg", ".png"}
    assert sorted(path.name for path in (folder / "run").iterdir()) == ["report.html", "report.json"]


def test_where_the_loss_comes_from(folder):
    converted()
    arguments = ("evaluate", "net", "--data", "digits", "--time-steps", 4, "--samples", 50, "--diagnose", "--out", "run")
    assert "Where the loss comes from" in call(*arguments).output
    call("report", "run", "--figures", "figures")
    assert {"loss_by_layer.svg", "error_growth.svg"} <= {path.name for path in (folder / "figures").iterdir()}
    diagnosis = json.loads(call(*arguments, "--json").stdout)["diagnosis"]
    assert [stage["name"] for stage in diagnosis["stages"]] == ["ANN", "clipped", "quantised", "SNN"]
    assert diagnosis["layers"][0]["unevenness"]["mean_square"] == 0


def test_samples_may_exit_early(folder):
    converted()
    arguments = ("hasten", "net", "--data", "digits", "--time-steps", 8, "--points", 1, "--confidence", 90)
    output = " ".join(call(*arguments, "--out", "quick").output.split())
    assert "at most 1 % of decisions differ from those after 8 steps" in output
    assert "run transpike evaluate quick --time-steps 8" in output
    output = " ".join(call("evaluate", "quick", "--data", "digits", "--time-steps", 8).output.split())
    assert "Early exit" in output
    assert "Promised from 1,437 calibration samples, with 90 % confidence" in output.replace("\u00a0", " ")
    exits = json.loads((folder / "quick" / "report.json").read_text())["exits"]
    assert exits["mean_steps"] <= exits["steps_99"] <= 8
    call("report", "quick")
    assert '<h2 id="leaving">Early exit</h2>' in (folder / "quick" / "report.html").read_text()
    values = json.loads(call(*arguments, "--out", "quick", "--json").stdout)
    assert (values["time_steps"], values["loss"], values["samples"]) == (8, 0.01, 1437)
    values = json.loads(call("hasten", "net", "--data", "digits", "--samples", 50, "--out", "none", "--json").stdout)
    assert values["margin"] is None
    assert "at least 2,995 samples" in values["findings"][-1]["advice"]


def test_json_everywhere(folder):
    assert json.loads(call("inspect", "models.py:small", "--shape", "1,8,8", "--json").stdout)["converts"] is True
    result = call("convert", "models.py:small", "--data", "digits", "--out", "net", "--json", "--samples", 100)
    assert json.loads(result.stdout)["method"]["name"] == "rate"
    report = json.loads(call("evaluate", "net", "--data", "digits", "--time-steps", 4, "--json", "--samples", 20).stdout)
    assert len(report["accuracy"]) == 4
    assert json.loads(call("report", "net", "--json").stdout)["written"] == ["net/report.html"]


def test_both_weight_formats_and_the_model_as_reference(folder):
    for weights in ("weights.pt", "weights.safetensors"):
        call(
            "convert", "models.py:small", "--weights", weights, "--data", "digits", "--samples", 100, "--out", weights + ".net"
        )
    arguments = ("--data", "digits", "--time-steps", 4, "--samples", 30, "--json")
    own = json.loads(call("evaluate", "weights.pt.net", *arguments).stdout)
    model = ("--model", "models.py:small", "--weights", "weights.safetensors")
    other = json.loads(call("evaluate", "weights.safetensors.net", *arguments, *model).stdout)
    assert own["accuracy"] == other["accuracy"]
    assert own["reference_accuracy"] == other["reference_accuracy"]


def test_uint8_images_are_scaled_and_normalised(folder):
    images = np.random.default_rng(0).integers(0, 256, (60, 8, 8), dtype=np.uint8)
    np.savez(folder / "data.npz", images=images, labels=np.arange(60) % 10)
    call("convert", "models.py:small", "--data", "data.npz", "--mean", "0.5", "--std", "0.25", "--out", "net")
    report = call("evaluate", "net", "--data", "data.npz", "--mean", "0.5", "--std", "0.25", "--time-steps", 4, "--json")
    assert json.loads(report.stdout)["samples"] == 60


def test_poisson_and_percentile_change_the_network(folder):
    base = ("convert", "models.py:small", "--data", "digits", "--samples", 100, "--out")
    call(*base, "a")
    call(*base, "b", "--input", "poisson", "--seed", 3)
    call(*base, "c", "--percentile", 90)
    graphs = {name: json.loads((folder / name / "network.json").read_text()) for name in "abc"}
    assert "Poisson" in {node["op"]["kind"] for node in graphs["b"]["nodes"]}
    assert graphs["a"]["tensors_sha256"] != graphs["c"]["tensors_sha256"]


def test_input_output_and_max_pool_are_chosen_by_name(folder):
    base = ("convert", "models.py:pooled", "--data", "digits", "--samples", 60, "--out", "net")
    for options, kinds in (
        (("--input", "regular"), {"Regular", "AccumulatedMaxPool", "Integrator"}),
        (("--output", "spikes", "--margin", 2, "--softmax"), {"FirstToMargin", "Softmax"}),
        (("--max-pool", "winner-take-all"), {"WinnerTakeAll"}),
        (("--recipe", "dcgs"), {"DifferenceNeuron", "DifferenceInput", "DifferenceMaxPool", "DifferenceDecoder"}),
    ):
        call(*base, *options)
        nodes = json.loads((folder / "net" / "network.json").read_text())["nodes"]
        assert kinds <= {node["op"]["kind"] for node in nodes}
    assert json.loads(call("evaluate", "net", "--data", "digits", "--time-steps", 2, "--samples", 9, "--json").stdout)[
        "samples"
    ]
    assert "Input 'poison' is unknown. Did you mean 'poisson'?" in refused(*base, "--input", "poison")
    assert "Max-pool 'gate' is unknown. Did you mean 'gated'?" in refused(*base, "--max-pool", "gate")
    assert "Output 'spike' is unknown. Did you mean 'spikes'?" in refused(*base, "--output", "spike")
    assert "margin must be above 0" in refused(*base, "--margin", 0)


def test_inspect_lists_every_obstacle(folder):
    output = " ".join(call("inspect", "models.py:special", "--shape", "1,8,8", code=1).output.split())
    assert "'lgamma'" in output
    assert "'digamma'" in output
    assert "2 obstacles" in output
    output = call("inspect", "models.py:smooth", "--shape", "1,8,8").output
    assert "LayerNorm" in output
    assert "acts on the decoded" in output
    output = " ".join(call("inspect", "models.py:gated", "--shape", "1,8,8", code=1).output.split())
    assert "Sigmoid '2' stands before Relu '4'" in output


def test_populations_products_and_relays_are_chosen_in_words(folder):
    base = ("convert", "models.py:rows", "--data", "digits", "--samples", 60, "--out", "net", "--recipe", "population-quantile")
    call(*base, "--population", 50, "--population", "*.forget_gate=70", "--products", "counts", "--relays")
    network = tp.load(folder / "net")
    sizes = {node.name: node.op.size for node in network.having(Population)}
    assert sizes.pop("layer.forget_gate") == 70
    assert set(sizes.values()) == {50}
    assert "layer.hidden_state.relay" in sizes
    assert len(network.having(CountProduct)) == 3
    call(*base, "--population", "layer.candidate=20")
    sizes = {node.name: node.op.size for node in tp.load(folder / "net").having(Population)}
    assert (sizes["layer.candidate"], sizes["layer.input_gate"]) == (20, 1000)
    for wrong in ("many", "0", "*.gate=", "a=b"):
        assert f"'*.forget_gate=5000', not '{wrong}'" in refused(*base, "--population", wrong)
    assert "No activation is called '*.absent'" in refused(*base, "--population", "*.absent=3")
    assert "has no populations" in refused(*base[:-1], "few-spike", "--population", 10)
    assert "Products 'count' is unknown. Did you mean 'counts'?" in refused(*base, "--products", "count")
    assert "no neurons for y = x" in refused(*base[:-1], "rate", "--relays")


def test_sizes_of_populations_are_compared(folder):
    arguments = ("populations", "models.py:rows", "--data", "digits", "--samples", 60, "--sizes", "2,20", "--draws", 2)
    table = call(*arguments).stdout
    assert "layer.forget_gate" in table
    assert "20 neurons" in table
    found = json.loads(call(*arguments, "--json").stdout)
    assert len(found["rows"]) == 6 * 2
    assert all(len(row["accuracy"]) == 2 for row in found["rows"])
    assert "has no populations" in refused(*arguments, "--recipe", "rate")


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        (("inspect", "models.py", "--shape", "1"), "must be package.module:factory"),
        (("inspect", "models.py:nothing", "--shape", "1"), "has no 'nothing'"),
        (("inspect", "models.py:number", "--shape", "1"), "must be callable without arguments"),
        (("inspect", "models.py:needs", "--shape", "1"), "must be callable without arguments"),
        (("inspect", "absent.py:small", "--shape", "1"), "There is no file absent.py"),
        (("inspect", "absent_module:small", "--shape", "1"), "Cannot import absent_module"),
        (("inspect", "models.py:small"), "Give --data or --shape"),
        (("inspect", "models.py:small", "--shape", "1,x"), "must be numbers with commas"),
        (("inspect", "models.py:small", "--shape", "3,8,8"), "cannot run on the samples"),
        (("convert", "models.py:special", "--data", "digits", "--out", "net"), "Operator 'lgamma'"),
        (("convert", "models.py:small", "--data", "digits", "--out", "net", "--recipe", "rat"), "Did you mean 'rate'?"),
        (("convert", "models.py:small", "--data", "digits", "--out", "net", "--percentile", "0"), "percent must be"),
        (("convert", "models.py:small", "--data", "absent.npz", "--out", "net"), "Cannot read the data file"),
        (("convert", "models.py:small", "--data", "data.csv", "--out", "net"), "must be digits (bundled), .npz or .npy arrays"),
        (("convert", "models.py:small", "--data", "digits", "--out", "models.py"), "in the way"),
        (("evaluate", "absent", "--data", "digits"), "holds no network"),
        (("report", "absent"), "Cannot read the report"),
        (("hasten", "absent", "--data", "digits", "--out", "net"), "holds no network"),
        (("hasten", "absent", "--data", "digits", "--out", "net", "--points", 0), "--points must lie between 0 and 100, not 0"),
        (("hasten", "absent", "--data", "digits", "--out", "net", "--confidence", 100), "--confidence must lie between 0 and"),
    ],
)
def test_mistakes_are_one_sentence(folder, arguments, words):
    assert words in refused(*arguments)
    assert not (folder / "net").exists()


def test_codes_in_windows_are_evaluated_rather_than_predicted(folder):
    arguments = ("convert", "models.py:small", "--data", "digits", "--samples", 200, "--out", "net", "--recipe", "phase")
    call(*arguments)
    assert "evaluate the network" in refused("predict", "net", "--data", "digits", "--samples", 20)
    assert not (folder / "net" / "prediction.json").exists()
    call("evaluate", "net", "--data", "digits", "--samples", 20)


def test_evaluation_mistakes(folder):
    converted()
    assert "time_steps must be a whole number" in refused("evaluate", "net", "--data", "digits", "--time-steps", 0)
    assert "'nobody' is unknown" in refused("evaluate", "net", "--data", "digits", "--raster", "nobody", "--time-steps", 2)
    np.savez(folder / "wrong.npz", images=np.zeros((4, 8, 8, 3), dtype=np.uint8), labels=np.zeros(4, dtype=int))
    assert "have shape (3, 8, 8)" in refused("evaluate", "net", "--data", "wrong.npz")
    np.savez(folder / "labels.npz", images=np.zeros((4, 8, 8), dtype=np.uint8), labels=np.full(4, 10))
    assert "Label 10 of sample 0 is out of range" in refused("evaluate", "net", "--data", "labels.npz")
    np.savez(folder / "short.npz", images=np.zeros((4, 8, 8), dtype=np.uint8), labels=np.zeros(3, dtype=int))
    assert "4 samples but 3 labels" in refused("evaluate", "net", "--data", "short.npz")


class Malicious:
    def __reduce__(self):
        return (print, ("code ran",))


def test_hostile_and_damaged_weight_files_are_refused(folder):
    (folder / "bad.pt").write_bytes(pickle.dumps({"a": Malicious()}))
    torch.save({"a": Malicious()}, folder / "worse.pt")
    (folder / "cut.pt").write_bytes((folder / "weights.pt").read_bytes()[:500])
    (folder / "cut.safetensors").write_bytes((folder / "weights.safetensors").read_bytes()[:50])
    save_file({"other": torch.zeros(2)}, folder / "other.safetensors")
    base = ("convert", "models.py:small", "--data", "digits", "--out", "net", "--weights")
    for file, words in (
        ("bad.pt", "refused"),
        ("worse.pt", "loading it could run code, so it is refused"),
        ("cut.pt", "damaged"),
        ("cut.safetensors", "damaged"),
        ("other.safetensors", "does not fit the model"),
        ("absent.pt", "Cannot read the weight file"),
    ):
        result = call(*base, file, code=2)
        assert words in " ".join(result.stderr.split()), file
        assert "code ran" not in result.output
    np.savez(folder / "pickled.npz", images=np.array([{"a": 1}], dtype=object))
    assert "more than arrays of numbers" in refused("convert", "models.py:small", "--data", "pickled.npz", "--out", "net")
    assert not (folder / "net").exists()


def test_an_interrupt_is_a_sentence_and_resume_goes_on(folder, monkeypatch):
    converted()
    original, calls = evaluation.add_block, []

    def interrupted(*arguments):
        calls.append(1)
        if len(calls) == 2:
            raise KeyboardInterrupt
        original(*arguments)

    monkeypatch.setattr(evaluation, "add_block", interrupted)
    arguments = ("evaluate", "net", "--data", "digits", "--samples", 100, "--time-steps", 4)
    result = call(*arguments, code=130)
    assert "--resume" in result.stderr
    assert (folder / "net" / "progress.safetensors").exists()
    monkeypatch.setattr(evaluation, "add_block", original)
    resumed = json.loads(call(*arguments, "--resume", "--json").stdout)
    fresh = json.loads(call(*arguments, "--json").stdout)
    assert resumed == fresh
    assert not (folder / "net" / "progress.safetensors").exists()


def test_unexpected_errors_hide_their_traceback(folder, monkeypatch):
    def broken(*_, **__):
        raise RuntimeError("boom")

    monkeypatch.setattr("transpike.jobs.load_model", broken)
    result = call("inspect", "models.py:small", "--shape", "1,8,8", code=70)
    assert "RuntimeError: boom" in result.stderr
    result = CliRunner().invoke(app, ["--debug", "inspect", "models.py:small", "--shape", "1,8,8"])
    assert isinstance(result.exception, RuntimeError)
    CliRunner().invoke(app, ["inspect", "--help"])


def test_demo_writes_network_report_and_page(folder, monkeypatch):
    monkeypatch.setattr(demo_network, "EPOCHS", 1)
    result = call("demo", "--out", "out", "--time-steps", 8)
    assert "synaptic" in result.output
    assert sorted(path.name for path in (folder / "out").iterdir()) == ["network", "report.html", "report.json"]
    call("report", "out")


def test_the_installed_command_runs():
    result = subprocess.run([sys.executable, "-m", "transpike", "--version"], capture_output=True, text=True, check=True)
    assert result.stdout.startswith("transpike 0.")


@pytest.fixture
def spiking(folder):
    call(
        "convert",
        "models.py:small",
        "--weights",
        "weights.safetensors",
        "--data",
        "digits",
        "--samples",
        200,
        "--exact",
        "--out",
        "net",
    )
    return folder


def test_exact_conversion_says_what_it_changed(spiking):
    findings = json.loads((spiking / "net" / "network.json").read_text())["findings"]
    assert any(finding["kind"] == "exact-arithmetic" for finding in findings)


def test_engines_evaluate_alike(spiking):
    def evaluated(engine):
        arguments = ("--data", "digits", "--samples", 40, "--time-steps", 8, "--engine", engine, "--out", engine, "--json")
        return json.loads(call("evaluate", "net", *arguments).stdout)

    assert evaluated("stepwise")["accuracy"] == evaluated("layerwise")["accuracy"] == evaluated("auto")["accuracy"]


def test_an_unknown_engine_is_refused(spiking):
    result = call("evaluate", "net", "--data", "digits", "--engine", "evnt", code=2)
    assert "Engine 'evnt' is unknown. Did you mean 'event'?" in " ".join(result.stderr.split())


def test_bench_says_which_engine_is_taken_and_why(spiking):
    result = call("bench", "net", "--data", "digits", "--time-steps", 4, "--batch", 3, "--repetitions", 1)
    words = " ".join(result.stdout.split())
    assert "Auto takes" in words
    assert "ANN passes" in words
    assert "stepwise" in words


def test_bench_in_json(folder):
    found = json.loads(call("bench", "--time-steps", 2, "--batch", 2, "--repetitions", 1, "--json").stdout)
    assert {pace["engine"] for pace in found["paces"]} == {"windows", "stopping", "event", "decoded", "layerwise", "stepwise"}
    assert found["picked"] in {"event", "layerwise"}
    assert found["ann_milliseconds"] > 0


def test_bench_needs_data_for_a_network(spiking):
    result = call("bench", "net", code=2)
    assert "Give a network and --data for it, or neither" in " ".join(result.stderr.split())


def test_neuron_lists_the_models(folder):
    listed = call("neuron").output
    assert all(name in listed for name in ("hodgkin-huxley", "resonate-and-fire"))
    assert len(json.loads(call("neuron", "--json").output)) == 12


def test_neuron_solves_and_draws(folder):
    told = call("neuron", "lif", "--current", "300", "--duration", "60", "--out", "lif.svg").output
    assert "2 spikes" in told
    assert "Spikes at 21.97 45.94 ms; 33.33 per second on average." in told
    assert (folder / "lif.svg").read_text().startswith("<?xml")
    first = (folder / "lif.svg").read_bytes()
    call("neuron", "lif", "--current", "300", "--duration", "60", "--out", "lif.svg")
    assert (folder / "lif.svg").read_bytes() == first
    found = json.loads(call("neuron", "lif", "--current", "300", "--duration", "60", "--set", "refractory=0", "--json").output)
    assert found["spikes"] == pytest.approx([21.972, 43.944], abs=1e-3)
    assert found["parameters"]["refractory"] == 0
    assert "no spike" not in told
    assert "0 spikes" in call("neuron", "izhikevich", "--current", "pulses:1,5,6", "--duration", "20").output


def test_neuron_shows_what_steps_cost(folder):
    told = call("neuron", "lif", "--current", "300", "--duration", "60", "--dt", "0.4,0.2,0.1", "--out", "steps.png").output
    assert "Euler: error with order 1.0" in told
    assert (folder / "steps.png").read_bytes().startswith(b"\x89PNG")
    found = json.loads(call("neuron", "hodgkin-huxley", "--duration", "10", "--dt", "0.5,0.02", "--json").output)
    assert [row["error"] is None for row in found["steps"]] == [True, False, True, False]
    assert "ran away" in call("neuron", "hodgkin-huxley", "--duration", "10", "--dt", "0.5,0.4", "--out", "away.svg").output


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        (("izhikevic",), "Did you mean 'izhikevich'?"),
        (("lif", "--set", "refractry=1"), "Did you mean 'refractory'?"),
        (("lif", "--set", "refractory"), "A parameter is set as name=number, not 'refractory'."),
        (("lif", "--set", "refractory=-1"), "refractory must be a finite number of at least 0"),
        (("lif", "--current", "strong"), "A current is a number or one of step:START,STOP,AMPLITUDE"),
        (("lif", "--duration", "0"), "The duration must be above 0"),
        (("lif", "--dt", "small"), "--dt must be numbers with commas between"),
        (("lif", "--dt", "1000"), "Steps must lie above 0 and below the duration of 200"),
        (("lif", "--out", "lif.pdf"), "Figure format '.pdf' is unknown"),
        (("--current", "3"), "Options need a model"),
    ],
)
def test_neuron_explains_mistakes(folder, arguments, words):
    told = call("neuron", *arguments, code=2)
    assert words in " ".join((told.output + told.stderr).split())


def test_whole_numbers_on_the_command_line(folder):
    wanted = ("--weight-bits", 4, "--samples", 100, "--out", "whole")
    call("convert", "models.py:small", "--weights", "weights.pt", "--data", "digits", *wanted)
    network = tp.load(folder / "whole")
    kinds = {type(node.op) for node in network.having(tp.neurons.Neuron)}
    assert kinds == {tp.neurons.Saturating}
    assert "weights of 4 bits, potentials of 16" in network.method.name
    words = refused("convert", "models.py:small", "--data", "digits", "--weight-bits", 1, "--out", "no")
    assert "weight_bits must be a whole number from 2 to 16" in words
