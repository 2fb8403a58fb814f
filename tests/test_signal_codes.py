"""Signal encodings: laws over the whole table, and what each code states of itself."""

from __future__ import annotations

import dataclasses
import json
import math

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from typer.testing import CliRunner

import transpike as tp
from transpike.cli import app
from transpike.codings import (
    BSA,
    HSA,
    SIGNAL_CODES,
    Amplitude,
    BinaryHalves,
    BinaryPresence,
    Burst,
    DensityRate,
    FirstSpikeInverse,
    FirstSpikeLinear,
    GAGamma,
    InterSpikeInterval,
    ModifiedHSA,
    MovingWindow,
    ParallelBinary,
    Phase,
    PoissonRate,
    PopulationRate,
    RankOrder,
    RegularRate,
    SignalCode,
    SparseDistributed,
    SpikeTrains,
    StepForward,
    ThresholdBased,
    TuningCurves,
    ValueCode,
    signals,
)
from transpike.errors import ArgumentError, DataError, DecodingError, TranspikeError
from transpike.report import draw_code
from transpike.report.encodings import example
from transpike.report.style import rendered

SHORT = (0.4, 0.35, 0.15, 0.1)  # a filter with which problems of some 16 steps are solved at once
QUICK = GAGamma(kernel=SHORT, gap=0.0)
ALL = [QUICK if code is GAGamma else code() for code in SIGNAL_CODES.values()]  # with settings that work as they are
OTHERS = [  # and with others
    RegularRate(time_steps=1),
    PoissonRate(time_steps=7, seed=5, first_sample=3),
    DensityRate(runs=3, window=4, seed=2),
    PopulationRate(neurons=1),
    TuningCurves(neurons=5, time_steps=9, width=0.3),
    FirstSpikeInverse(shortest=1, time_steps=1),
    FirstSpikeInverse(shortest=3, time_steps=10),
    FirstSpikeLinear(time_steps=2),
    Phase(period=2, cycles=1),
    BinaryPresence(bits=1),
    BinaryHalves(bits=11),
    InterSpikeInterval(intervals=1, shortest=1, longest=2),
    Burst(most=2, shortest=1, longest=2),
    Burst(most=9, shortest=3, longest=6),
    SparseDistributed(neurons=2, active=1),
    Amplitude(neurons=2),
    ParallelBinary(bits=10),
    HSA(kernel=SHORT),
    ModifiedHSA(kernel=SHORT, threshold=0.0),
    BSA(kernel=SHORT, threshold=0.0),
    ThresholdBased(factor=3.0),
    StepForward(threshold=0.3),
    MovingWindow(threshold=0.2, window=1),
]
CODES = ALL + OTHERS
CHANCE = 6.0  # standard deviations; counts of few random spikes are held to the law of Bernstein below


def named(code):
    return ",".join([type(code).__name__, *(f"{f.name}={getattr(code, f.name)}" for f in dataclasses.fields(code)[1:])])[:60]


def inverting(codes=CODES):
    return [code for code in codes if code.properties.inverts]


def waves(steps=16):
    """Waveforms in [0, 1], 0 and 1 among the values."""
    values = st.one_of(st.floats(0, 1, width=32), st.sampled_from([0.0, 1.0, 0.5]))
    return st.lists(values, min_size=steps, max_size=steps).map(lambda x: torch.tensor(x, dtype=torch.float64))


def accepted(code, signal):
    """Whether the spread of a signal lets TBR set a threshold at all."""
    if not isinstance(code, ThresholdBased):
        return True
    changes = signal.diff(dim=0)
    return bool((changes.mean(0) + code.factor * changes.std(0, correction=0) >= 0).all())


def test_the_table_names_every_code():
    exported = [getattr(signals, name) for name in signals.__all__]
    classes = {one for one in exported if isinstance(one, type) and issubclass(one, SignalCode)}
    assert set(SIGNAL_CODES.values()) == classes - {SignalCode, ValueCode}
    assert len(SIGNAL_CODES) == 23
    assert tp.codings.SIGNAL_CODES is SIGNAL_CODES


@pytest.mark.parametrize("code", ALL, ids=named)
def test_properties_agree_with_the_code(code):
    known = code.properties
    families = {"rate", "population", "globally referenced", "inter-spike interval", "correlation"}
    assert known.family in families | {"filter and optimiser", "temporal contrast"}
    assert known.stimulus == ("values" if isinstance(code, ValueCode) else known.stimulus)
    assert bool(known.guarantee) == (code.bound(example(code)) is not None)
    assert known.why.endswith(".")
    assert known.citation
    assert code == dataclasses.replace(code)
    with pytest.raises(dataclasses.FrozenInstanceError):
        code.dt = 2.0


def test_conversion_is_open_to_the_codes_of_section_3_1_4():
    suited = {name for name, code in SIGNAL_CODES.items() if code.properties.for_conversion}
    rates = {"regular-rate", "poisson-rate", "population-rate", "tuning-curves"}
    assert suited == rates | {"first-spike-inverse", "first-spike-linear", "phase"}


@pytest.mark.parametrize("code", inverting(), ids=named)
@given(wave=waves())
def test_what_is_read_back_is_within_the_bound(code, wave):
    """Exactly, up to rounding in float64; with chance within Bernstein's z * spread + z^2 / (3 n) for n draws a value."""
    if not accepted(code, wave):
        return
    trains = code.encode(wave)
    decoded = code.decode(trains)
    assert (decoded.shape, decoded.dtype) == (wave.shape, torch.float64)
    bound = code.bound(wave)
    if bound is None:
        assert code.properties.guarantee == ""
        return
    few = {PoissonRate: lambda: code.time_steps, DensityRate: lambda: code.runs * code.window}.get(type(code))
    chance = CHANCE * bound.spread + (CHANCE**2 / (3 * few()) * (bound.spread > 0) if few else 0)
    assert ((decoded - wave).abs() <= bound.exact + chance + 1e-12).all()


@pytest.mark.parametrize("code", CODES, ids=named)
def test_lines_are_coded_side_by_side(code):
    """A batch [time, 2, 3], or of patterns [2, 3, n], is coded as each of its lines is; chance differs from line to line."""
    signal = torch.rand(16, 2, 3, generator=torch.Generator().manual_seed(1))
    pattern = code.properties.stimulus == "pattern"
    trains = code.encode(signal.movedim(0, -1) if pattern else signal)
    assert trains.spikes.dtype == torch.int8
    assert set(trains.spikes.unique().tolist()) <= {-1, 0, 1}
    if isinstance(code, PoissonRate | DensityRate):
        return
    line = code.encode(signal[:, 1, 2])
    own = {"pattern": lambda x: x[:, 1, 2], "values": lambda x: x[:, :, 1, 2], "waveform": lambda x: x[:, 1, 2]}
    assert torch.equal(own[code.properties.stimulus](trains.spikes), line.spikes)
    if code.properties.inverts:
        torch.testing.assert_close(code.decode(trains)[:, 1, 2], code.decode(line), rtol=0, atol=1e-12)


@pytest.mark.parametrize("code", CODES, ids=named)
def test_encoding_is_repeatable_and_leaves_the_signal_alone(code):
    signal = torch.rand(16, generator=torch.Generator().manual_seed(2))
    before = signal.clone()
    first, second = code.encode(signal), code.encode(signal.double())
    assert torch.equal(first.spikes, second.spikes)
    assert torch.equal(signal, before)


@pytest.mark.parametrize("code", [code for code in CODES if isinstance(code, ValueCode)], ids=named)
def test_values_over_time_are_coded_window_by_window(code):
    wave = torch.rand(5, 2, generator=torch.Generator().manual_seed(3))
    values, trains = code.encode(wave), code.encode_waveform(wave)
    assert len(trains.spikes) == 5 * code.steps
    for t in range(5):
        assert torch.equal(trains.spikes[t * code.steps : (t + 1) * code.steps], values.spikes[:, t])
    torch.testing.assert_close(code.decode_waveform(trains), code.decode(values), rtol=0, atol=0)


@pytest.mark.parametrize("code", inverting(), ids=named)
def test_trains_of_another_shape_are_refused(code):
    if isinstance(code, ValueCode):
        with pytest.raises(
            DataError, match=f"{type(code).__name__} decodes {code.steps} time steps, but .* have {code.steps + 1}"
        ):
            code.decode(SpikeTrains(torch.zeros(code.steps + 1, 2, dtype=torch.int8)))
    neurons = getattr(code, "neurons", getattr(code, "runs", None))
    if neurons is not None:
        words = f"{type(code).__name__} decodes {neurons} neurons on the last axis"
        with pytest.raises(DataError, match=words):
            code.decode(SpikeTrains(torch.zeros(getattr(code, "steps", 4), 2, neurons + 1, dtype=torch.int8)))


def test_parts_of_windows_are_refused():
    with pytest.raises(DataError, match="Phase sends 48 time steps per value, and 50 are no multiple"):
        Phase().decode_waveform(SpikeTrains(torch.zeros(50, dtype=torch.int8)))


@pytest.mark.parametrize("code", [code for code in ALL if math.isfinite(code.high)], ids=named)
def test_values_out_of_range_are_refused_by_name(code):
    words = rf"{type(code).__name__} encodes values from 0 to 1, but the signal has values from -0.5 to 1.25: scale it"
    with pytest.raises(ArgumentError, match=words):
        code.encode(torch.tensor([-0.5] + [0.5] * 30 + [1.25]))


@pytest.mark.parametrize("code", ALL, ids=named)
@pytest.mark.parametrize(
    ("signal", "words"),
    [
        (torch.tensor([0.5, float("nan")] * 10), "cannot encode NaN or infinite values"),
        (torch.tensor([0.5, float("inf")] * 10), "cannot encode NaN or infinite values"),
        (torch.zeros(0), r"encodes a tensor of real values with at least one axis, not torch.float32 \(0,\)"),
        (torch.tensor(0.5), r"encodes a tensor of real values .*, not torch.float32 \(\)"),
        ([0.5], "encodes a tensor of real values .*, not list"),
        (torch.zeros(20, dtype=torch.complex64), "encodes a tensor of real values .*, not torch.complex64"),
    ],
    ids=["nan", "infinite", "empty", "scalar", "list", "complex"],
)
def test_what_is_no_signal_is_refused(code, signal, words):
    with pytest.raises(ArgumentError, match=f"{type(code).__name__} {words}"):
        code.encode(signal)


@pytest.mark.parametrize(
    ("make", "words"),
    [
        (lambda: RegularRate(time_steps=0), "time_steps must be a whole number of at least 1, not 0"),
        (lambda: RegularRate(dt=0.0), "dt must be a positive number, not 0.0"),
        (lambda: PoissonRate(seed=-1), "seed must be a whole number of at least 0, not -1"),
        (lambda: DensityRate(runs=True), "runs must be a whole number of at least 1, not True"),
        (lambda: TuningCurves(width=-1.0), "width must be a positive number, not -1.0"),
        (lambda: FirstSpikeInverse(shortest=9, time_steps=8), "time_steps must be a whole number of at least 9, not 8"),
        (lambda: FirstSpikeLinear(time_steps=1), "time_steps must be a whole number of at least 2, not 1"),
        (lambda: RankOrder(sensitivity=1.0), "sensitivity must be a number between 0 and 1, not 1.0"),
        (lambda: BinaryPresence(bits=31), "bits must be at most 30, not 31"),
        (lambda: InterSpikeInterval(shortest=3, longest=3), "longest must be a whole number of at least 4, not 3"),
        (lambda: SparseDistributed(neurons=4, active=4), "neurons must be a whole number of at least 5, not 4"),
        (lambda: HSA(kernel=(0.5, -0.1)), "kernel must have values of at least 0, some of them positive"),
        (lambda: HSA(kernel=(0.0, 0.0)), "kernel must have values of at least 0, some of them positive"),
        (lambda: BSA(threshold=-0.1), "threshold must be a number of at least 0, not -0.1"),
        (lambda: StepForward(threshold=0.0), "threshold must be a positive number, not 0.0"),
        (lambda: HSA().encode(torch.zeros(3)), "HSA encodes at least as many time steps as its kernel has, 16, not 3"),
        (lambda: MovingWindow(window=4).encode(torch.zeros(4)), "more time steps than its window of 4, not 4"),
        (lambda: ThresholdBased().encode(torch.zeros(1)), "waveforms of at least 2 time steps, not 1"),
        (lambda: ThresholdBased().encode(-torch.arange(5.0)), "negative threshold: the signal falls too evenly"),
        (lambda: draw_code(RegularRate(), torch.zeros(3, 2)), r"one signal \[time\], not \(3, 2\)"),
    ],
)
def test_settings_that_cannot_be_meant_are_refused(make, words):
    with pytest.raises(ArgumentError, match=words):
        make()


@pytest.mark.parametrize(
    ("code", "spikes", "words"),
    [
        (Phase(period=3, cycles=1), [1, 0, 1], "Phase reads exactly one spike per line in each 3 time steps"),
        (FirstSpikeLinear(time_steps=3), [0, 0, 0], "reads exactly one spike per line in each 3 time steps"),
        (BinaryHalves(bits=2), [1, 0, 0, 0], "BinaryHalves reads exactly one spike per line in each cycle of two steps"),
        (InterSpikeInterval(intervals=1, shortest=1, longest=2), [1, 0, 0], "reads exactly 2 spikes per line"),
        (Burst(most=2, shortest=1, longest=4), [1, 0, 0, 0, 1], "number and interval agree"),
        (Amplitude(neurons=2), [[0, 0], [1, 0]], "at most one spike per step and one at the first"),
        (DensityRate(runs=1, window=2), [[1], [0], [1]], "3 time steps are no multiple of the window of 2"),
        (StepForward(), [0, 1], "StepForward decodes trains with start and height"),
    ],
)
def test_spikes_that_no_signal_gives_are_refused(code, spikes, words):
    with pytest.raises(DataError, match=words):
        code.decode(SpikeTrains(torch.tensor(spikes, dtype=torch.int8)))


@pytest.mark.parametrize("spikes", [torch.zeros(3), torch.zeros(0, 2, dtype=torch.int8), torch.tensor(1, dtype=torch.int8)])
def test_spike_trains_are_int8_over_time(spikes):
    with pytest.raises(DataError, match=r"Spike trains must be int8 \[time, ...lines\] of at least one step"):
        SpikeTrains(spikes)


@given(st.lists(st.integers(-30, 30), min_size=1, max_size=9))
def test_rank_order_keeps_the_order_alone(values):
    code, x = RankOrder(sensitivity=0.5), torch.tensor(values)
    trains = code.encode(x)
    ranks = code.ranks(trains)
    assert trains.counts().tolist() == [1] * len(values)
    assert x[ranks.argsort()].tolist() == sorted(values, reverse=True)
    assert torch.equal(code.weights(trains), 0.5 ** ranks.double())
    assert torch.equal(code.encode(3 * x + 7).spikes, trains.spikes)  # amplitudes are gone
    assert torch.equal(code.ranks(code.encode(torch.zeros(300))), torch.arange(300))  # equal values: by their places
    with pytest.raises(DecodingError, match=r"RankOrder does not invert: .* no amplitude. Use ranks\(trains\) or weights"):
        code.decode(trains)
    assert issubclass(DecodingError, TranspikeError)


def test_rates_are_per_second():
    trains = RegularRate(time_steps=20, dt=0.001).encode(torch.tensor([0.5, 1.0]))
    assert trains.rates().tolist() == pytest.approx([500, 1000], abs=1e-9)


@pytest.mark.parametrize("code", [RegularRate(), RankOrder(), StepForward(), TuningCurves(), DensityRate()], ids=named)
def test_pictures_are_the_same_every_time(code):
    figure = draw_code(code)
    above, below = figure.axes
    assert above.get_ylabel() == "Value"
    assert below.get_xlabel() == "Time step"
    read = [line for line in (above.get_legend().get_texts() if above.get_legend() else []) if line.get_text() == "read back"]
    assert len(read) == code.properties.inverts
    assert rendered(figure, "svg") == rendered(draw_code(code), "svg")


def test_a_picture_shows_every_spike():
    code = PopulationRate(neurons=20)
    wave = example(code)
    strokes = draw_code(code, wave).axes[1].lines[0].get_xydata()
    assert len(strokes) == 3 * int(code.encode(wave).counts().sum())


def test_the_command_lists_the_codes():
    result = CliRunner().invoke(app, ["codings"])
    assert result.exit_code == 0
    assert all(name in result.stdout for name in SIGNAL_CODES)
    assert all(code.properties.why in " ".join(result.stdout.split()) for code in SIGNAL_CODES.values())


def test_the_command_draws_and_speaks_json(tmp_path, monkeypatch):
    few = {name: SIGNAL_CODES[name] for name in ("phase", "rank-order")}
    monkeypatch.setattr("transpike.cli.encodings.SIGNAL_CODES", few)
    result = CliRunner().invoke(app, ["codings", "--draw", str(tmp_path / "pictures"), "--json"])
    assert result.exit_code == 0
    said = json.loads(result.stdout)
    assert [row["name"] for row in said["codings"]] == list(few)
    assert said["codings"][1] == {"name": "rank-order", "class": "RankOrder", **dataclasses.asdict(RankOrder.properties)}
    assert [path.read_bytes()[:5] for path in sorted((tmp_path / "pictures").iterdir())] == [b"<?xml"] * 2
