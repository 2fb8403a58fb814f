"""Damaged and hostile data files: each is answered by a sentence, at once, and none is obeyed."""

from __future__ import annotations

import gzip
import io
import json
import pickle
import struct
import zipfile
import zlib
from types import SimpleNamespace

import numpy as np
import psutil
import pytest
import torch
from typer.testing import CliRunner

import data_forms
import transpike as tp
from event_files import aedat2, aedat3, aedat4, events, packet
from transpike.cli import app
from transpike.datasets import Reading, Steps, load
from transpike.errors import TranspikeError
from transpike.preparation import Preparation


class Evil:
    """What runs code if it is unpickled."""

    def __reduce__(self):
        return open, ("hacked", "w")


def npz_of(path, **arrays):
    np.savez_compressed(path, **arrays)
    return path


def pickled_npz(folder):
    return npz_of(folder / "a.npz", images=np.array([Evil()], object))


def pickle_as_npz(folder):
    (folder / "a.npz").write_bytes(pickle.dumps(Evil()))
    return folder / "a.npz"


def pickled_npy(folder):
    np.save(folder / "a.npy", np.array([Evil()], object))
    return folder / "a.npy"


def header_of(shape, dtype="|u1"):
    content = io.BytesIO()
    np.lib.format.write_array_header_1_0(content, {"descr": dtype, "fortran_order": False, "shape": shape})
    return content.getvalue()


def absurd_header(folder):
    with zipfile.ZipFile(folder / "a.npz", "w") as archive:
        archive.writestr("images.npy", header_of((1 << 40, 1 << 20)) + bytes(64))
    return folder / "a.npz"


def absurd_npy(folder):
    (folder / "a.npy").write_bytes(header_of((1 << 50,)) + bytes(64))
    return folder / "a.npy"


def bomb_npz(folder):
    """Four megabytes of zeros in four kilobytes, for a machine that has one megabyte left."""
    return npz_of(folder / "a.npz", images=np.zeros((1 << 22,), np.uint8))


def truncated_npz(folder):
    path = npz_of(folder / "a.npz", images=np.zeros((100, 8, 8), np.uint8))
    path.write_bytes(path.read_bytes()[:-40])
    return path


def fewer_labels(folder):
    return npz_of(folder / "a.npz", images=np.zeros((5, 8, 8), np.uint8), labels=np.zeros(4, int))


def no_inputs(folder):
    return npz_of(folder / "a.npz", pictures=np.zeros((5, 8, 8), np.uint8))


def words_as_inputs(folder):
    return npz_of(folder / "a.npz", images=np.array(["a", "b"]))


def nothing_in_it(folder):
    return npz_of(folder / "a.npz", images=np.zeros((0, 8, 8), np.uint8))


def idx_named(folder, content, name="train-images-idx3-ubyte.gz"):
    path = folder / name
    path.write_bytes(gzip.compress(content) if name.endswith("gz") else content)
    return path


def wrong_magic(folder):
    return idx_named(folder, b"\x7fELF" + bytes(100))


def absurd_idx(folder):
    return idx_named(folder, b"\0\0\x08\x03" + struct.pack(">3I", *[0xFFFFFFFF] * 3))


def bomb_idx(folder):
    """A gigabyte of zeros in a megabyte, behind a header that claims a few bytes."""
    head = b"\0\0\x08\x03" + struct.pack(">3I", 2, 3, 3)
    packer = zlib.compressobj(9, zlib.DEFLATED, 31)
    parts = [packer.compress(head), *[packer.compress(bytes(1 << 22)) for _ in range(32)], packer.flush()]
    path = folder / "train-images-idx3-ubyte.gz"
    path.write_bytes(b"".join(parts))
    return path


def truncated_idx(folder):
    path = data_forms.packed_idx(folder) / "train-images-idx3-ubyte.gz"
    path.write_bytes(path.read_bytes()[:100])
    return folder


def short_idx(folder):
    return idx_named(folder, data_forms.idx_bytes(np.zeros((4, 5, 5)))[:-10], "train-images-idx3-ubyte")


def idx_labels_missing(folder):
    data_forms.idx(folder)
    (folder / "train-labels-idx1-ubyte").write_bytes(data_forms.idx_bytes(np.zeros(3)))
    return folder


def png(width, height, body=b""):
    def chunk(kind, content):
        return struct.pack(">I", len(content)) + kind + content + struct.pack(">I", zlib.crc32(kind + content))

    head = struct.pack(">IIBBBBB", width, height, 8, 0, 0, 0, 0)
    return b"\x89PNG\r\n\x1a\n" + chunk(b"IHDR", head) + chunk(b"IDAT", zlib.compress(body)) + chunk(b"IEND", b"")


def picture_file(folder, content, name="a.png"):
    (folder / "cat").mkdir(exist_ok=True)
    (folder / "cat" / name).write_bytes(content)
    return folder


def bomb_png(folder):
    return picture_file(folder, png(50_000, 50_000))


def large_png(folder):
    return picture_file(folder, png(9_000, 9_000))


def truncated_png(folder):
    return picture_file(folder, png(64, 64, np.random.default_rng(0).bytes(64 * 65))[:2000])


def text_as_png(folder):
    return picture_file(folder, b"%!PS-Adobe-3.0 EPSF-3.0\n(/bin/sh) run\n")


def two_sizes(folder):
    picture_file(folder, png(4, 4, bytes(5 * 4)))
    return picture_file(folder, png(5, 4, bytes(6 * 4)), "b.png")


def link_out(folder):
    (folder / "secret.png").write_bytes(png(4, 4, bytes(5 * 4)))
    (folder / "data" / "cat").mkdir(parents=True)
    (folder / "data" / "cat" / "a.png").symlink_to(folder / "secret.png")
    return folder / "data"


def texts_without_tokenizer(folder):
    return picture_file(folder, b"what a film", "a.txt")


def no_sound(folder):
    return picture_file(folder, b"RIFF\xff\xff\xff\xffWAVEfmt ", "a.wav")


def script(folder):
    (folder / "data.py").write_text("import os; open('hacked', 'w')")
    (folder / "train.jsonl").write_text('{"text": "a", "label": 0}\n')
    return folder


def card_out(folder):
    (folder / "README.md").write_text("---\nconfigs:\n- config_name: a\n  data_files: ../../../../etc/passwd\n---\n")
    (folder / "train.csv").write_text("text,label\na,0\n")
    return folder


def state_out(folder):
    (folder / "state.json").write_text(json.dumps({"_data_files": [{"filename": "../../secret.arrow"}]}))
    return folder


def broken_state(folder):
    (folder / "state.json").write_text("{")
    return folder


def broken_parquet(folder):
    (folder / "train.parquet").write_bytes(b"PAR1" + bytes(50) + b"PAR1")
    return folder


def picture_elsewhere(folder):
    """A table whose picture is a path of the machine that reads it."""
    from pyarrow import Table, parquet

    import datasets

    (folder / "secret.png").write_bytes(png(4, 4, bytes(5 * 4)))
    schema = datasets.Features({"image": datasets.Image(), "label": datasets.Value("int64")}).arrow_schema
    rows = {"image": [{"path": str(folder / "secret.png"), "bytes": None}], "label": [0]}
    (folder / "data").mkdir()
    parquet.write_table(Table.from_pydict(rows, schema), folder / "data" / "train.parquet")
    return folder / "data"


def not_on_the_hub(folder):
    return "hf:no-one/nothing-of-this-name"


def recording(folder, content, name="a.aedat"):
    (folder / name).write_bytes(content)
    return folder / name


def old_aedat(folder):
    return recording(folder, b"#!AER-DAT9.0\r\n")


def no_aedat(folder):
    return recording(folder, bytes(200))


def endless_header(folder):
    return recording(folder, b"#!AER-DAT2.0\r\n#" + b"a" * 100_000)


def unknown_sensor(folder):
    return recording(folder, aedat2(events()).replace(b"DVS128", b"ACME99"))


def cut_aedat2(folder):
    return recording(folder, aedat2(events())[:-3])


def cut_aedat3(folder):
    return recording(folder, aedat3(events())[:-3])


def absurd_packet(folder):
    return recording(folder, aedat3(events()) + struct.pack("<hhiiiiii", 1, 0, 8, 4, 0, 1 << 30, 1 << 30, 1 << 30))


def backward_packet(folder):
    return recording(folder, aedat3(events()) + packet(1, np.zeros((1, 2)), size=-28))


def cut_aedat4(folder):
    return recording(folder, aedat4(events())[:-30], "a.aedat4")


def event_outside(folder):
    found = events()
    found["x"][7] = 200
    np.save(folder / "a.npy", found)
    return folder / "a.npy"


def ragged_columns(folder):
    return npz_of(folder / "a.npz", x=np.zeros(3, int), y=np.zeros(3, int), t=np.zeros(2, int), p=np.zeros(3, bool))


def times_in_floats(folder):
    return npz_of(folder / "a.npz", x=np.zeros(3, int), y=np.zeros(3, int), t=np.zeros(3))


def odd_bin(folder):
    return recording(folder, bytes(7), "a.bin")


def absurd_trains(folder):
    return npz_of(folder / "a.npz", events=np.zeros((1, 3), int), shape=np.array([1 << 30, 1 << 30, 2]))


def lying_csv(folder):
    (folder / "a.csv").write_text("# time steps 4, samples 2, shape 3, events 9\nstep,sample,address\n0,0,0\n")
    return folder / "a.csv"


def unknown_form(folder):
    (folder / "a.mat").write_bytes(b"MATLAB 5.0")
    return folder / "a.mat"


CASES = {
    pickled_npz: "is damaged or holds more than arrays of numbers: Object arrays cannot be loaded",
    pickle_as_npz: "is damaged or holds more than arrays of numbers: File is not a zip file",
    pickled_npy: "is damaged or holds more than an array of numbers",
    absurd_header: "an array claims 1,152,921,504,606,846,976 bytes, but there are",
    absurd_npy: "an array claims 1,125,899,906,842,624 bytes, but there are",
    bomb_npz: "claims to hold",
    truncated_npz: "is damaged or holds more than arrays of numbers",
    fewer_labels: "holds 5 samples but 4 labels",
    no_inputs: "holds none of images, inputs, x, data; it holds pictures",
    words_as_inputs: r"must be numbers \[samples, \.\.\.\], not <U1 of shape \(2,\)",
    nothing_in_it: "holds no samples",
    wrong_magic: "is no idx file: it begins with 7f454c46, which is no magic number",
    absurd_idx: "claims to hold .* GB, (but|and) .* GB of memory are free",
    bomb_idx: r"its header \(2, 3, 3\) needs 18 bytes, but more follow",
    truncated_idx: "is damaged: Compressed file ended before",
    short_idx: r"its header \(4, 5, 5\) needs 100 bytes, but it holds 90",
    idx_labels_missing: "holds 12 samples but 3 labels",
    bomb_png: "has more than 67,108,864 pixels: make it smaller",
    large_png: "claims 9,000 x 9,000 pixels, more than 67,108,864: make it smaller",
    truncated_png: r"a\.png is damaged: ",
    text_as_png: "is no picture, or a damaged one: cannot identify image file",
    two_sizes: r"b\.png is 1 x 4 x 5, but a\.png is 1 x 4 x 4: give one --size HEIGHT,WIDTH",
    link_out: "is a link that leads out of",
    texts_without_tokenizer: "holds texts, which need the tokenizer of the model",
    no_sound: "is no sound, or a damaged one: ",
    script: r"holds code .*data\.py\), which is not run: save the data as Parquet, or delete the file",
    card_out: r"names '\.\./\.\./\.\./\.\./etc/passwd', which is outside its folder: it is refused",
    state_out: r"names '\.\./\.\./secret\.arrow', which is outside its folder: it is refused",
    broken_state: r"state\.json is damaged: ",
    broken_parquet: "is damaged, or no data set of Hugging Face: ",
    picture_elsewhere: "which is no file inside the data set: it is refused",
    not_on_the_hub: "There is no folder no-one/nothing-of-this-name, and the data set cannot be had from the hub",
    old_aedat: r"is AEDAT 9\.0, and 2\.0, 3\.1 and 4\.0 can be read",
    no_aedat: "is no AEDAT file: it does not begin with",
    endless_header: "is damaged: its header does not end",
    unknown_sensor: "sensor, which tells what its addresses mean; known are dvs128",
    cut_aedat2: "bytes of events are no multiple of 8",
    cut_aedat3: "is damaged: a packet claims 31 events of 8 bytes, and 245 (bytes )?are left",
    absurd_packet: "is damaged: a packet claims 1,073,741,824 events of 8 bytes, and 0 (bytes )?are left",
    backward_packet: "is damaged: a packet claims 1 events of -28 bytes",
    cut_aedat4: r"a\.aedat4 is damaged: ",
    event_outside: "at column 200, row .*, outside the sensor of 5 x 4 pixels: give the right --size",
    ragged_columns: "differ in length: ",
    times_in_floats: "Column t of .* holds float64, not whole numbers",
    odd_bin: "7 bytes are no multiple of 5",
    absurd_trains: "is damaged or holds no spike trains: spike trains of shape",
    lying_csv: "is damaged or holds no spike trains: it holds 1 of 9 events",
    unknown_form: r"must be digits \(bundled\), \.npz or \.npy arrays",
}
HUGGING_FACE = (script, card_out, state_out, broken_state, broken_parquet, picture_elsewhere, not_on_the_hub)
EXTRAS = dict.fromkeys(HUGGING_FACE, "datasets") | {no_sound: "soundfile", cut_aedat4: "aedat"}


@pytest.mark.parametrize("case", CASES, ids=lambda case: case.__name__)
def test_every_damaged_file_has_its_sentence(case, tmp_path, monkeypatch):
    """All is read, as an evaluation does; nothing of what a file asks for is done."""
    if case in EXTRAS:
        pytest.importorskip(EXTRAS[case])
    if case in HUGGING_FACE:
        import datasets

        monkeypatch.setattr(datasets.config, "HF_DATASETS_CACHE", tmp_path / "cache")
        monkeypatch.setattr(datasets.config, "HF_HUB_OFFLINE", True)
        datasets.disable_progress_bars()
    monkeypatch.chdir(tmp_path)
    folder = tmp_path / "theirs"
    folder.mkdir()
    spec = str(case(folder))
    if case is bomb_npz:
        monkeypatch.setattr(psutil, "virtual_memory", lambda: SimpleNamespace(available=1 << 20))
    reading = Reading(preparation=Preparation(size=(4, 5) if case is event_outside else None), steps=Steps(time_steps=4))
    with pytest.raises(TranspikeError, match=CASES[case]):
        list(load(spec, "train", reading))
    assert not list(tmp_path.rglob("hacked"))


@pytest.mark.parametrize("case", [pickled_npz, bomb_idx, link_out, absurd_packet], ids=lambda case: case.__name__)
def test_on_the_command_line_too(case, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    model = torch.nn.Sequential(torch.nn.Flatten(), torch.nn.Linear(64, 3), torch.nn.ReLU(), torch.nn.Linear(3, 2)).eval()
    tp.save(tp.convert(model, torch.rand(40, 1, 8, 8)), "net")
    result = CliRunner().invoke(app, ["evaluate", "net", "--data", str(case(tmp_path)), "--time-steps", "2"])
    assert result.exit_code == 2
    assert "Error:" in result.stderr
    assert "Traceback" not in result.output + result.stderr
