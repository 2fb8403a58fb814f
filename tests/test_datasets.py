"""Data in the forms that people have: the same samples whatever the form, lazily, with splits that keep their purpose."""

from __future__ import annotations

import json
import shutil

import numpy as np
import pytest
import torch
from typer.testing import CliRunner

import data_forms
import transpike as tp
from event_files import aedat2, aedat3, aedat4, events
from transpike import jobs
from transpike.cli import app
from transpike.datasets import FORMS, Reading, Steps, find, load
from transpike.datasets.base import BATCH
from transpike.datasets.events import Events, frames, recorded
from transpike.datasets.splits import ALIASES, known_split
from transpike.errors import ArgumentError, DataError
from transpike.preparation import Preparation, Scaling

MAKERS = {**data_forms.PLAIN, **data_forms.HUGGING_FACE}


@pytest.fixture(params=MAKERS)
def source(request, tmp_path):
    """Every form that has splits, in a folder of its own."""
    if request.param in data_forms.HUGGING_FACE:
        theirs = pytest.importorskip("datasets")
        theirs.config.HF_DATASETS_CACHE = tmp_path / "cache"
        theirs.disable_progress_bars()
    folder = tmp_path / "data"
    folder.mkdir()
    return str(MAKERS[request.param](folder))


def wanted(split):
    values, labels = data_forms.images(split)
    return torch.from_numpy(values).float()[:, None] / 255, torch.from_numpy(labels)


@pytest.mark.parametrize("split", ["train", "test"])
def test_every_form_gives_the_same_samples(source, split):
    found = load(source, split)
    batch = found.whole()
    assert torch.equal(batch.inputs[0], wanted(split)[0])
    assert torch.equal(batch.labels, wanted(split)[1])
    assert (len(found), found.name, found.notes) == (len(batch), split, ())
    assert torch.equal(load(f"{source}@{split}", split).whole().inputs[0], batch.inputs[0])
    assert f"split {split}: {len(batch)} samples of 1 x 6 x 5" in found.worded()


def test_every_form_is_prepared_for_a_model(source):
    """Scaled, resized, and few; what the user says of scaling wins over the model's."""
    model = Preparation(scaling=Scaling((0.5,), (0.25,)), size=(3, 4))
    scaled = load(source, "train", Reading(preparation=Preparation(scaling=model.scaling))).whole().inputs[0]
    assert torch.equal(scaled, (wanted("train")[0] - 0.5) / 0.25)
    assert load(source, "train", Reading(preparation=model)).first().inputs[0].shape[1:] == (1, 3, 4)
    few = jobs.DataChoice(data=source, samples=4, mean=(0.1,)).load("train", model)
    assert len(few) == len(few.whole()) == 4
    assert set(few.whole().labels.tolist()) == {0, 1}
    own = jobs.DataChoice(data=source, mean=(0.1,), size=(6, 5)).load("test", model).whole().inputs[0]
    assert torch.equal(own, (wanted("test")[0] - 0.1) / 0.25)


def test_samples_to_test_on_never_calibrate(source):
    with pytest.raises(DataError, match="@test is for testing: calibrate on training samples, so that accuracy means"):
        load(f"{source}@test", "train")
    with pytest.raises(ArgumentError, match=r"Split of .* 'tset' is unknown\. Did you mean 'test'\?"):
        load(f"{source}@tset", "test")


def test_classes_are_those_of_the_model(source):
    own = find(source).read("train", Reading()).classes
    reading = Reading(preparation=Preparation(labels=("Dog", "bird", "cat")))
    swapped = load(source, "train", reading)
    if not own:
        assert torch.equal(swapped.whole().labels, wanted("train")[1])
        return
    assert (own, swapped.classes) == (("cat", "dog"), ("Dog", "bird", "cat"))
    assert torch.equal(swapped.whole().labels, 2 * (1 - wanted("train")[1]))
    with pytest.raises(DataError, match=r"classes that the model does not know: dog\. The model knows cat, bird"):
        load(source, "train", Reading(preparation=Preparation(labels=("cat", "bird"))))
    other = load(source, "train", Reading(preparation=Preparation(labels=("n01", "n02"))))
    assert "have other names than those of the model: their order is taken" in other.notes[0]
    assert load(source, "train", Reading(preparation=Preparation(labels=("LABEL_0", "LABEL_1")))).notes == ()


def test_conversion_takes_what_is_loaded(tmp_path):
    torch.manual_seed(0)
    source = str(data_forms.packed_idx(tmp_path))
    model = torch.nn.Sequential(torch.nn.Flatten(), torch.nn.Linear(30, 5), torch.nn.ReLU(), torch.nn.Linear(5, 2)).eval()
    train = load(source, "train")
    network = tp.convert(model, [*train] * 3)
    report = tp.evaluate(model, network, load(source, "test"), 4)
    assert (report.samples, len(report.accuracy)) == (6, 4)
    values, labels = wanted("test")
    assert tp.evaluate(model, network, (values, labels), 4).accuracy == report.accuracy


def test_a_source_is_taken_by_one_form(source):
    assert sum(at(source) is not None for at in FORMS[:-1]) <= 1
    assert find(source).splits in {("train", "test"), ("test", "train")}


def test_unknown_data_names_the_forms(tmp_path):
    with pytest.raises(DataError, match=r"Data .*nowhere.* must be digits \(bundled\), \.npz or \.npy arrays, idx files"):
        load(str(tmp_path / "nowhere"))


def test_batches_are_read_as_they_are_needed(tmp_path):
    """Mapped from disk: of ten batches one is in memory, and a second reading begins anew."""
    values = np.random.default_rng(0).integers(0, 256, (10 * BATCH, 4, 4), dtype=np.uint8)
    np.save(tmp_path / "images.npy", values)
    found = load(str(tmp_path / "images.npy"))
    assert [len(batch) for batch in found] == [BATCH] * 10
    assert torch.equal(found.first().inputs[0], next(iter(found)).inputs[0])
    assert found.first().labels is None


def test_files_are_opened_as_they_are_needed(tmp_path):
    """The last picture is damaged, and nobody minds before its turn."""
    data_forms.pictures(tmp_path)
    place = tmp_path / "train" / "cat"
    for row in range(2 * BATCH):
        shutil.copy(place / "00.png", place / f"{row + 100}.png")
    (place / "999.png").write_bytes((place / "00.png").read_bytes()[:60])
    found = load(str(tmp_path))
    assert len(found.first()) == BATCH
    with pytest.raises(DataError, match=r"999\.png is damaged"):
        list(found)


@pytest.mark.parametrize("name", ["x.npy", "images.npy", "train_images.npy"])
def test_labels_are_found_beside_arrays(tmp_path, name):
    labels = {"x.npy": "y.npy", "images.npy": "labels.npy", "train_images.npy": "train_labels.npy"}[name]
    np.save(tmp_path / name, np.zeros((3, 2), np.float32))
    np.save(tmp_path / labels, np.array(["b", "a", "b"]))
    found = load(str(tmp_path / name))
    assert (found.whole().labels.tolist(), found.classes) == ([1, 0, 1], ("a", "b"))


def test_validation_serves_where_there_is_no_other_split(tmp_path):
    data_forms.pictures(tmp_path)
    (tmp_path / "test").rename(tmp_path / "val")
    found = load(str(tmp_path), "test")
    assert (found.name, found.notes) == ("validation", (f"{tmp_path} has no test split: its split validation is evaluated.",))
    shutil.rmtree(tmp_path / "train")
    assert load(str(tmp_path), "train").notes == (f"{tmp_path} has no training split: its split validation calibrates.",)
    (tmp_path / "val").rename(tmp_path / "train")
    assert "is evaluated, so accuracy is that on samples which may have calibrated" in load(str(tmp_path), "test").notes[0]
    (tmp_path / "train").rename(tmp_path / "test")
    with pytest.raises(DataError, match="has a test split alone, which calibration must not see"):
        load(str(tmp_path), "train")


def test_names_of_splits():
    assert {known_split(name.upper()) for name in ALIASES} == {"train", "validation", "test"}
    assert known_split("cats") is None


def test_classes_take_turns_in_folders(tmp_path):
    data_forms.pictures(tmp_path)
    found = load(str(tmp_path / "train"))
    assert found.name == "all"
    assert found.whole().labels.tolist() == [0, 1] * 6


def test_one_idx_file_knows_its_split(tmp_path):
    data_forms.idx(tmp_path)
    assert len(load(str(tmp_path / "train-images-idx3-ubyte"))) == 12
    with pytest.raises(DataError, match="a test split alone"):
        load(str(tmp_path / "t10k-images-idx3-ubyte"))
    with pytest.raises(DataError, match="holds labels: name the file of images"):
        load(str(tmp_path / "t10k-labels-idx1-ubyte"), "test")


def test_colours_and_depths_of_pictures(tmp_path):
    image = pytest.importorskip("PIL.Image")
    values = np.random.default_rng(0).integers(0, 256, (4, 5, 3), dtype=np.uint8)
    for name, mode in (("a", "RGB"), ("b", "L"), ("c", "RGBA")):
        image.fromarray(values).convert(mode).save(tmp_path / f"{name}.png")
    found = load(str(tmp_path)).whole().inputs[0]
    assert found.shape == (3, 3, 4, 5)
    assert torch.equal(found[0], torch.from_numpy(values).permute(2, 0, 1).float() / 255)
    assert torch.equal(found[1, 0], found[1, 2])
    image.fromarray(np.full((2, 2), 65535, np.uint16)).save(tmp_path / "deep.png")
    assert float(load(str(tmp_path / "deep.png")).whole().inputs[0].min()) == 1


class Letters:
    """What a tokenizer does, one letter a token."""

    pad_token, model_max_length = "_", 6

    def __call__(self, *texts, max_length, **_):
        codes = [ord(letter) % 32 for letter in " ".join(texts)][:max_length]
        padded = torch.tensor([codes + [0] * (max_length - len(codes))])
        return {"input_ids": padded, "token_type_ids": padded * 0, "attention_mask": (padded > 0).long()}


def test_texts_pass_the_tokenizer_of_the_model(tmp_path, monkeypatch):
    transformers = pytest.importorskip("transformers")
    monkeypatch.setattr(transformers.AutoTokenizer, "from_pretrained", lambda *_, **options: check(options))

    def check(options):
        assert options == {"trust_remote_code": False, "local_files_only": True}
        return Letters()

    for group, text in (("neg", "bad"), ("pos", "good")):
        (tmp_path / group).mkdir()
        (tmp_path / group / "1.txt").write_text(text)
    batch = load(str(tmp_path), "train", Reading(preparation=Preparation(text=tmp_path))).whole()
    assert [x.tolist() for x in batch.inputs] == [
        [[2, 1, 4, 0, 0, 0], [7, 15, 15, 4, 0, 0]],
        [[1] * 3 + [0] * 3, [1] * 4 + [0] * 2],
    ]
    assert batch.labels.tolist() == [0, 1]
    short = load(str(tmp_path), "train", Reading(preparation=Preparation(text=tmp_path, length=2)))
    assert short.first().inputs[0].shape == (2, 2)


def test_a_real_tokenizer_in_a_real_data_set(tmp_path):
    """Texts of a folder of Hugging Face, in pairs, by a tokenizer that was saved in its files."""
    transformers, theirs = pytest.importorskip("transformers"), pytest.importorskip("datasets")
    words = ("[PAD]", "[UNK]", "[CLS]", "[SEP]", "[MASK]", "a", "good", "bad", "film")
    (tmp_path / "vocab.txt").write_text("\n".join(words))
    transformers.BertTokenizerFast(str(tmp_path / "vocab.txt")).save_pretrained(tmp_path / "model")
    rows = {"sentence1": ["a good film", "bad"], "sentence2": ["film", "good"], "label": [1, 0]}
    theirs.DatasetDict({"train": theirs.Dataset.from_dict(rows)}).save_to_disk(tmp_path / "pairs")
    reading = Reading(preparation=Preparation(text=tmp_path / "model", length=8))
    found = load(str(tmp_path / "pairs"), "train", reading)
    batch = found.whole()
    assert batch.inputs[0][0].tolist() == [2, 5, 6, 8, 3, 8, 3, 0]
    assert batch.inputs[1][0].tolist() == [1] * 7 + [0]
    assert "apart by segments (token_type_ids), which are left out" in found.notes[0]
    assert batch.labels.tolist() == [1, 0]


def test_sounds_are_cut_to_one_length_and_pass_the_feature_extractor(tmp_path):
    soundfile = pytest.importorskip("soundfile")
    wave = np.sin(np.arange(800) / 7).astype(np.float32) / 2
    for group, length in (("no", 800), ("yes", 500)):
        (tmp_path / "data" / group).mkdir(parents=True)
        soundfile.write(tmp_path / "data" / group / "1.wav", wave[:length], 8000, subtype="FLOAT")
    batch = load(str(tmp_path / "data")).whole()
    assert torch.equal(batch.inputs[0][0, 0], torch.from_numpy(wave))
    assert torch.equal(batch.inputs[0][1, 0], torch.from_numpy(np.pad(wave[:500], (0, 300))))
    transformers = pytest.importorskip("transformers")
    transformers.Wav2Vec2FeatureExtractor(sampling_rate=16000, do_normalize=True).save_pretrained(tmp_path / "model")
    heard = load(str(tmp_path / "data"), "train", Reading(preparation=Preparation(audio=tmp_path / "model"))).whole().inputs[0]
    assert heard.shape == (2, 1600)
    assert abs(float(heard[0].mean())) < 1e-6
    assert float(heard[0].var(correction=0)) == pytest.approx(1, abs=1e-3)


WRITERS = {"a.aedat": aedat2, "b.aedat": aedat3, "c.aedat4": aedat4, "d.npy": None, "e.npz": None, "f.bin": None}


def write(path, found):
    maker = WRITERS[path.name]
    if maker is not None:
        path.write_bytes(maker(found))
    elif path.suffix == ".npy":
        np.save(path, found)
    elif path.suffix == ".npz":
        np.savez(path, size=np.array([4, 5]), **{name: found[name] for name in "xytp"})
    else:
        x, y, t, p = (found[name].astype(np.int64) for name in "xytp")
        rows = np.stack([x, y, p << 7 | t >> 16, t >> 8 & 255, t & 255], 1)
        path.write_bytes(rows.astype(np.uint8).tobytes())


@pytest.mark.parametrize("name", WRITERS)
def test_recordings_of_every_format_hold_the_same_events(name, tmp_path):
    if name.endswith("4"):
        pytest.importorskip("aedat")
    found = events()
    write(tmp_path / name, found)
    read = recorded(tmp_path / name)
    for column in "xytp":
        np.testing.assert_array_equal(getattr(read, column), found[column].astype(np.int64), err_msg=column)
    split = load(str(tmp_path / name), "train", Reading(preparation=Preparation(size=(4, 5)), steps=Steps(time_steps=10)))
    assert split.frames == 10
    assert torch.equal(split.whole().inputs[0][0], counted(found, 10))


def counted(found, steps):
    """Every event by itself, in steps of a millisecond."""
    frames = torch.zeros(steps, 2, 4, 5)
    for event in found:
        if event["t"] // 1000 < steps:
            frames[event["t"] // 1000, int(event["p"]), event["y"], event["x"]] += 1
    return frames


def test_davis_addresses_and_late_times(tmp_path):
    """Rows and columns are elsewhere in the addresses of DAVIS cameras; the upper bits of times stand in the packet."""
    found = events(size=(180, 240))
    (tmp_path / "a.aedat").write_bytes(aedat2(found, "DAVIS240C"))
    read = recorded(tmp_path / "a.aedat")
    assert read.size == (180, 240)
    np.testing.assert_array_equal(read.x, found["x"])
    np.testing.assert_array_equal(read.y, found["y"])
    (tmp_path / "b.aedat").write_bytes(aedat3(found, "DAVIS240C", overflow=3))
    np.testing.assert_array_equal(recorded(tmp_path / "b.aedat").t, found["t"] + (3 << 31))


def test_steps_of_recordings():
    found = events()
    made = recorded_of(found)
    by_length = frames(made, Steps(step_ms=1.0, time_steps=4), (4, 5), "it")
    assert torch.equal(by_length, counted(found, 4))
    padded = frames(made, Steps(step_ms=1.0, time_steps=14), (4, 5), "it")
    assert torch.equal(padded[:10], counted(found, 10))
    assert not padded[10:].any()
    whole = frames(made, Steps(time_steps=3), (4, 5), "it")
    assert float(whole.sum()) == len(found)
    assert made.steps_of(0.7) == 15  # 10 ms in steps of 0.7
    silent = frames(recorded_of(found[:0]), Steps(time_steps=3), (4, 5), "it")
    assert not silent.any()


def recorded_of(found):
    return Events(*(found[name].astype(np.int64) for name in "xytp"))


def test_folders_of_recordings_play(tmp_path):
    for row in range(4):
        place = tmp_path / ("train" if row < 3 else "test") / "ab"[row % 2]
        place.mkdir(parents=True, exist_ok=True)
        np.save(place / f"{row}.npy", events(row, duration=8_000 + 1_000 * row))
    choice = jobs.DataChoice(data=str(tmp_path), size=(4, 5), step_ms=2.0)
    train = choice.load("train")
    assert (train.frames, train.step_ms, train.first().inputs[0].shape) == (5, 2.0, (3, 5, 2, 4, 5))  # 10 ms are the longest
    assert torch.equal(train.means().whole().inputs[0], train.whole().inputs[0].mean(1))
    with pytest.raises(ArgumentError, match=r"Event recordings need the length of a time step \(--step-ms\)"):
        jobs.DataChoice(data=str(tmp_path), size=(4, 5)).load("train")
    with pytest.raises(DataError, match="does not say how large its sensor is: give --size HEIGHT,WIDTH"):
        jobs.DataChoice(data=str(tmp_path), step_ms=2.0).load("train")
    with pytest.raises(DataError, match="Events are spikes, which are counted and not scaled"):
        jobs.DataChoice(data=str(tmp_path), size=(4, 5), step_ms=2.0, mean=(0.5,)).load("train")


@pytest.mark.parametrize("suffix", [".npz", ".csv", ".h5"])
def test_our_own_spike_trains_come_back(tmp_path, suffix):
    if suffix == ".h5":
        pytest.importorskip("nir")
    trains = torch.rand(7, 3, 2, 2) < 0.4
    tp.export.write_events(tmp_path / f"trains{suffix}", trains)
    np.save(tmp_path / "trains_labels.npy", np.array([2, 0, 1]))
    found = load(str(tmp_path / f"trains{suffix}"))
    batch = found.whole()
    wanted = trains.transpose(0, 1).float()
    assert torch.equal(batch.inputs[0].reshape(wanted.shape), wanted)
    assert (batch.labels.tolist(), found.frames) == ([2, 0, 1], 7)


def test_described_in_json(source):

    result = CliRunner().invoke(app, ["data", source, "--json"])
    assert result.exit_code == 0, result.output
    values = {one["split"]: one for one in json.loads(result.stdout)}
    assert values["train"]["samples"] == 12
    assert values["test"]["inputs"] == [{"shape": [1, 6, 5], "dtype": "float32"}]


MODELS = """
from torch import nn

def small():
    return nn.Sequential(nn.Flatten(), nn.Linear(40, 6), nn.ReLU(), nn.Linear(6, 2))

def grey():
    return nn.Sequential(nn.Flatten(), nn.Linear(30, 6), nn.ReLU(), nn.Linear(6, 2))
"""


def call(*arguments, code=0):

    result = CliRunner().invoke(app, [str(argument) for argument in arguments])
    assert result.exit_code == code, result.output + result.stderr
    return " ".join((result.output if code == 0 else result.stderr).split())


def test_recordings_from_the_camera_to_the_report(tmp_path, monkeypatch):
    """Convert by mean frames, play what was recorded, and say so; the network remembers how recordings are cut."""
    monkeypatch.chdir(tmp_path)
    (tmp_path / "models.py").write_text(MODELS)
    for row in range(40):
        place = tmp_path / "camera" / ("train" if row < 32 else "test") / "ab"[row % 2]
        place.mkdir(parents=True, exist_ok=True)
        np.save(place / f"{row}.npy", events(row))
    call("convert", "models.py:small", "--data", "camera", "--size", "4,5", "--step-ms", 2, "--time-steps", 5, "--out", "net")
    played = tp.load(tmp_path / "net")
    assert [op.shape for op in played.inputs.values()] == [(5, 2, 4, 5)]
    call("evaluate", "net", "--data", "camera", "--size", "4,5", "--out", "run")
    report = json.loads((tmp_path / "run" / "report.json").read_text())
    assert (report["time_steps"], report["samples"], report["input"]) == (5, 8, "recorded spikes, 5 frames of 2 ms")
    call("evaluate", "net", "--data", "camera", "--size", "4,5", "--step-ms", 1, "--time-steps", 10, "--out", "fine")
    assert json.loads((tmp_path / "fine" / "report.json").read_text())["input"] == "recorded spikes, 10 frames of 1 ms"
    npz = tmp_path / "still.npz"
    np.savez(npz, images=np.zeros((4, 2, 4, 5), np.float32), labels=np.zeros(4, int))
    assert "The network plays recordings of events, but still.npz holds arrays" in call(
        "evaluate", "net", "--data", "still.npz", code=2
    )


def test_splits_on_the_command_line(tmp_path, monkeypatch):
    """What else than the named purpose serves is a finding; a test split never calibrates."""
    monkeypatch.chdir(tmp_path)
    (tmp_path / "models.py").write_text(MODELS)
    (tmp_path / "arrays").mkdir()
    data_forms.npz(tmp_path / "arrays")
    (tmp_path / "arrays" / "test.npz").rename(tmp_path / "arrays" / "val.npz")
    call("convert", "models.py:grey", "--data", "arrays", "--out", "net")
    assert "arrays has no test split: its split validation is evaluated." in call("evaluate", "net", "--data", "arrays")
    assert "its split validation" not in call("evaluate", "net", "--data", "arrays@validation", "--time-steps", 4)
    (tmp_path / "arrays" / "val.npz").rename(tmp_path / "arrays" / "test.npz")
    assert "is for testing" in call("convert", "models.py:grey", "--data", "arrays@test", "--out", "net", code=2)
    described = call("data", "arrays")
    assert "12" in described
    assert "1, 6, 5" in described
    for words, size in (("--size is height and width", "4"), ("not '0,4'", "0,4"), ("not 'a,b'", "a,b")):
        assert words in call("evaluate", "net", "--data", "arrays", "--size", size, code=2)
    assert "--step-ms must be positive" in call("data", "arrays", "--step-ms", 0, code=2)


def test_one_split_is_said_to_be_one(tmp_path):
    data_forms.pictures(tmp_path)
    found = load(str(tmp_path / "train"), "test")
    assert found.notes == (
        f"{tmp_path / 'train'} has one split only: what calibrates a network must not be what it is evaluated on.",
    )
