"""The examples: their parts by definition, and their commands on tiny networks."""

from __future__ import annotations

import gzip
import io
import json
import runpy
import sys
from contextlib import contextmanager
from pathlib import Path

import numpy as np
import pytest
import torch
from PIL import Image
from safetensors.torch import load_file

EXAMPLES = Path(__file__).parent.parent / "examples"


@contextmanager
def inside(name):
    """Import from the folder of an example, as its commands do; its modules are forgotten afterwards."""
    folder = str(EXAMPLES / name)
    sys.path.insert(0, folder)
    try:
        yield
    finally:
        sys.path.remove(folder)
        for module in [key for key, one in sys.modules.items() if str(getattr(one, "__file__", "")).startswith(folder)]:
            del sys.modules[module]


def run(monkeypatch, name, command, *words):
    monkeypatch.setattr(sys, "argv", [command, *map(str, words)])
    with inside(name):
        runpy.run_path(str(EXAMPLES / name / command), run_name="__main__")


@pytest.fixture
def digits(tmp_path, monkeypatch):
    """A folder with MNIST's files, in which digits are noise of some shape."""
    draw = np.random.default_rng(0)
    (tmp_path / "mnist").mkdir()
    for prefix, count in (("train", 20), ("t10k", 10)):
        images = np.zeros((count, 28, 28), np.uint8)
        images[:, 4:24, 8:20] = draw.integers(60, 255, (count, 20, 12))
        parts = {"images-idx3": bytes(16) + images.tobytes(), "labels-idx1": bytes(8) + bytes(k % 10 for k in range(count))}
        for kind, content in parts.items():
            with gzip.open(tmp_path / "mnist" / f"{prefix}-{kind}-ubyte.gz", "wb") as file:
                file.write(content)
    monkeypatch.setenv("TRANSPIKE_DATA", str(tmp_path))


@pytest.fixture
def cells(tmp_path, monkeypatch):
    """A file of photographs, 80 x 60: dark grey, grey and light grey, each with a darker and a lighter rectangle as cells."""
    pictures, rows = [], []
    for index, grey in enumerate((60, 130, 200)):
        pixels = np.full((60, 80, 3), grey, np.uint8)
        for kind, (left, top, right, bottom) in enumerate(((8, 16, 28, 32), (36, 24, 60, 56))):
            pixels[top:bottom, left:right] = grey + (40, -50)[kind]
            rows.append([index, kind, left, top, right, bottom])
        file = io.BytesIO()
        Image.fromarray(pixels).save(file, "JPEG", quality=95, subsampling=0)
        pictures.append(file.getvalue())
    (tmp_path / "detection").mkdir()
    jpeg, offsets = np.frombuffer(b"".join(pictures), np.uint8), np.cumsum([0, *map(len, pictures)])
    np.savez(tmp_path / "detection" / "bccd_75.npz", jpeg=jpeg, offsets=offsets, boxes=np.array(rows))
    monkeypatch.setenv("TRANSPIKE_DATA", str(tmp_path))


@pytest.mark.extended
@pytest.mark.filterwarnings("ignore::transpike.errors.TranspikeWarning")
def test_the_commands_of_the_detector(digits, monkeypatch, tmp_path, capsys):
    """Training in two pieces gives the weights of training in one; the conversion writes a table, networks and pictures."""
    pytest.importorskip("pycocotools")
    tiny = ["--size", "tiny", "--batch", 2, "--per-block", 1]
    run(monkeypatch, "retinanet", "train.py", "--out", tmp_path / "a", *tiny, "--steps", 2)
    clock = iter([0.0, 0.0])  # time for one block
    with monkeypatch.context() as patch:
        patch.setattr("time.monotonic", lambda: next(clock, 1e9))
        run(monkeypatch, "retinanet", "train.py", "--out", tmp_path / "b", *tiny, "--steps", 2)
    assert "Time is up" in capsys.readouterr().out
    run(monkeypatch, "retinanet", "train.py", "--out", tmp_path / "b", *tiny, "--steps", 2)
    once, twice = (load_file(tmp_path / out / "model.safetensors") for out in "ab")
    assert all(torch.equal(once[name], twice[name]) for name in once)
    given = ["--size", "tiny", "--calibration", 4, "--test", 2, "--graded", "graded", "--binary", "rate", "--steps", 4]
    weights = tmp_path / "a" / "model.safetensors"
    run(monkeypatch, "retinanet", "convert.py", "--weights", weights, "--out", tmp_path / "a", *given)
    rows = [row for steps in (8, 4) for row in json.loads((tmp_path / "a" / f"{steps}-steps-table.json").read_text())]
    assert [(row["recipe"], row["steps"]) for row in rows] == [
        *(("graded", steps) for steps in (1, 2, 4, 8)),
        *(("rate", steps) for steps in (1, 2, 4)),
    ]
    assert rows[-1]["output error"] < rows[-3]["output error"]
    for name in ("rate/network.json", "4-steps.html", "pictures.png"):
        assert (tmp_path / "a" / name).stat().st_size > 1000


@pytest.mark.extended
@pytest.mark.filterwarnings("ignore::transpike.errors.TranspikeWarning")
def test_the_commands_of_the_detector_on_cells(cells, monkeypatch, tmp_path):
    pytest.importorskip("pycocotools")
    tiny = ["--data", "cells", "--size", "tiny", "--out", tmp_path]
    run(monkeypatch, "retinanet", "train.py", *tiny, "--batch", 2, "--per-block", 1, "--steps", 1)
    given = ["--graded", "", "--binary", "rate", "--steps", 4, "--drawn", 1, "--weights", tmp_path / "model.safetensors"]
    run(monkeypatch, "retinanet", "convert.py", *tiny, *given)
    rows = json.loads((tmp_path / "4-steps-table.json").read_text())
    assert [row["steps"] for row in rows] == [1, 2, 4]
    assert (tmp_path / "pictures.png").stat().st_size > 1000


@pytest.mark.filterwarnings("ignore::transpike.errors.TranspikeWarning")
def test_the_commands_of_the_segmentation(monkeypatch, tmp_path):
    run(monkeypatch, "segmentation", "train.py", "--out", tmp_path, "--steps", 2, "--batch", 2)
    given = ["--recipes", "rate", "--calibration", 3, "--test", 2, "--steps", 4]
    run(monkeypatch, "segmentation", "convert.py", "--weights", tmp_path / "model.safetensors", "--out", tmp_path, *given)
    rows = json.loads((tmp_path / "results.json").read_text())
    assert [row["steps"] for row in rows] == [1, 2, 4]
    assert all(0 <= row["IoU"] <= row["accuracy"] <= 100 for row in rows)
    assert (tmp_path / "pictures.png").stat().st_size > 1000


def test_the_digits_that_are_missing_are_named(monkeypatch, tmp_path):
    monkeypatch.setenv("TRANSPIKE_DATA", str(tmp_path))
    with pytest.raises(SystemExit, match="set TRANSPIKE_DATA to the folder that holds mnist/"):
        run(monkeypatch, "retinanet", "train.py", "--out", tmp_path, "--size", "tiny")


def test_the_cells_that_are_missing_are_named(monkeypatch, tmp_path):
    monkeypatch.setenv("TRANSPIKE_DATA", str(tmp_path))
    with pytest.raises(SystemExit, match="set TRANSPIKE_DATA to the folder that holds detection/ with bccd_75"):
        run(monkeypatch, "retinanet", "train.py", "--data", "cells", "--out", tmp_path, "--size", "tiny")


def test_boxes_of_cells_stay_around_them_however_pictures_are_scaled_cut_mirrored_and_turned(cells):
    """Pixels that are darker, or lighter, than the rest of the picture are those inside the box of that class."""
    with inside("retinanet"):
        from cells import Cells

        source, seen = Cells(shrink=2), 0
        assert source.test(9)[1][0].tolist() == pytest.approx(
            np.array([[8, 16, 28, 32, 0], [36, 24, 60, 56, 1]]) * [1.6, 1.6, 1.6, 1.6, 1]
        )
        parts = [source.training(40, seed=3), source.calibration(9), source.choice(9), source.test(9)]
        assert all(torch.equal(one, other) for one, other in zip(parts[0], source.training(40, seed=3), strict=True))
        for pictures, targets in parts:
            assert 0 <= pictures.min() <= pictures.max() <= 1
            for picture, rows in zip(pictures, targets, strict=True):
                seen += len(rows[rows[:, 4] >= 0])
                for *box, kind in rows[rows[:, 4] >= 0].tolist():
                    unlike = (picture - picture.flatten(1).median(1).values[:, None, None]).mean(0) * (1, -1)[int(kind)]
                    places = (unlike > 0.07).nonzero().flip(1)
                    edges = [*places.amin(0).tolist(), *(places.amax(0) + 1).tolist()]
                    assert edges == pytest.approx(box, abs=1.5)
        assert seen > 60


def test_no_photograph_of_cells_is_in_two_parts(cells):
    with inside("retinanet"):
        from cells import Cells, part_of

        parts = [part_of(index) for index in range(75)]
        assert {name: parts.count(name) for name in parts} == {"training": 55, "choice": 5, "test": 15}
        source = Cells(shrink=2)
        greys = (source.calibration(9), source.choice(9), source.test(9), source.training(30, seed=0))
        light, middle, dark, drawn = (pictures.flatten(1).median(1).values for pictures, _ in greys)
        assert [len(light), len(middle), len(dark)] == [1, 1, 1]
        assert dark < 0.3 < middle < 0.6 < light
        assert (drawn > 0.6).all()


def test_a_training_is_not_continued_on_other_pictures(cells, monkeypatch, tmp_path):
    tiny = ["--size", "tiny", "--batch", 2, "--per-block", 1, "--steps", 1, "--out", tmp_path]
    run(monkeypatch, "retinanet", "train.py", "--data", "cells", *tiny)
    assert (tmp_path / "model.safetensors").stat().st_size > 1000
    with pytest.raises(SystemExit, match="holds a training on cells: give another folder with --out for digits"):
        run(monkeypatch, "retinanet", "train.py", "--data", "digits", *tiny)


def test_canvases_hold_their_digits_in_tight_boxes_that_do_not_overlap():
    with inside("retinanet"):
        from boxes import overlaps
        from canvases import INK, canvases

        images = torch.zeros(6, 28, 28)
        images[:, 5:24, 7:20] = 1.0
        pictures, targets = canvases(images, torch.arange(6), 12, seed=4)
        again = canvases(images, torch.arange(6), 12, seed=4)
        assert torch.equal(pictures, again[0])
        assert torch.equal(targets, again[1])
        for picture, rows in zip(pictures, targets, strict=True):
            there = rows[rows[:, 4] >= 0]
            assert 1 <= len(there) <= 5
            assert (overlaps(there[:, :4], there[:, :4]).fill_diagonal_(0) == 0).all()
            ink = torch.zeros_like(picture[0], dtype=torch.bool)
            for left, top, right, bottom in there[:, :4].int().tolist():
                inner = picture[0, top:bottom, left:right] > INK
                assert inner.any(0)[[0, -1]].all()
                assert inner.any(1)[[0, -1]].all()
                ink[top:bottom, left:right] = True
            assert not (picture[0] > INK)[~ink].any()


def test_boxes_are_coded_and_suppressed_as_defined():
    with inside("retinanet"):
        from boxes import decode, encode, overlaps, suppress

        torch.manual_seed(0)
        corners = 50 * torch.rand(40, 2, 2, dtype=torch.float64)
        boxes = torch.cat([corners.amin(1), corners.amax(1) + 1], 1)
        anchors = boxes[torch.randperm(40)]
        torch.testing.assert_close(decode(encode(boxes, anchors), anchors), boxes, rtol=1e-9, atol=1e-9)
        for i, (a, b) in enumerate(zip(boxes.tolist(), anchors.tolist(), strict=True)):
            wide, high = (max(0.0, min(a[k + 2], b[k + 2]) - max(a[k], b[k])) for k in (0, 1))
            union = (a[2] - a[0]) * (a[3] - a[1]) + (b[2] - b[0]) * (b[3] - b[1]) - wide * high
            assert float(overlaps(boxes, anchors)[i, i]) == pytest.approx(wide * high / union)
        scores, kinds = torch.rand(40), torch.randint(2, (40,))
        kept: list[int] = []
        for place in scores.argsort(descending=True).tolist():
            rivals = [other for other in kept if kinds[other] == kinds[place]]
            if all(float(overlaps(boxes[[place]], boxes[[other]])) <= 0.3 for other in rivals):
                kept.append(place)
        assert suppress(boxes, scores, kinds, 0.3).tolist() == kept


def test_perfect_answers_score_a_hundred_and_have_almost_no_loss():
    """Heads that say exactly what the targets are: every object is found, so mAP is 100, and the loss is near 0."""
    pytest.importorskip("pycocotools")
    with inside("retinanet"):
        from anchors import Anchors
        from boxes import encode
        from coco import CocoScore
        from focal import loss, match

        anchors, maps = Anchors(), [(8, 8), (4, 4), (2, 2)]
        boxes = anchors.boxes(maps)
        targets = torch.full((2, 5, 5), -1.0)
        targets[0, 0], targets[0, 1] = torch.tensor([4.0, 4, 22, 30, 3]), torch.tensor([30.0, 20, 60, 62, 7])
        targets[1, 0] = torch.tensor([10.0, 11, 20, 33, 3])
        logits, codes = torch.full((2, len(boxes), 10), -20.0), torch.zeros(2, len(boxes), 4)
        for picture, rows in enumerate(targets):
            there = rows[rows[:, 4] >= 0]
            which = match(boxes, there)
            found = which >= 0
            logits[picture, found, there[which[found], 4].long()] = 20.0
            codes[picture, found] = encode(there[which[found], :4], boxes[found])
        counts = [h * w * anchors.per_place for h, w in maps]

        def as_maps(values):
            parts = zip(values.split(counts, 1), maps, strict=True)
            return [part.reshape(2, h, w, -1).permute(0, 3, 1, 2) for part, (h, w) in parts]

        heads = {"classes": as_maps(logits), "boxes": as_maps(codes)}
        assert float(loss(heads, targets, anchors, 10)) < 1e-6
        wrong = {**heads, "classes": [-one for one in heads["classes"]]}
        assert float(loss(wrong, targets, anchors, 10)) > 10
        score = CocoScore(anchors, 10)
        flat = {f"{name}.{level}": one for name, parts in heads.items() for level, one in enumerate(parts)}
        for picture in range(2):
            score.update({key: one[[picture]] for key, one in flat.items()}, targets[[picture]])
        assert score.compute() == pytest.approx({"mAP": 100.0, "AP50": 100.0})


def test_shapes_are_what_their_map_says():
    with inside("segmentation"):
        from shapes import NAMES, pictures, shape

        images, maps = pictures(6, seed=0)
        assert torch.equal(images, pictures(6, seed=0)[0])
        assert images.shape == (6, 3, 64, 64)
        assert set(maps.unique().tolist()) <= set(range(len(NAMES)))
        areas = {kind: shape(kind, np.array([32.0, 32.0]), 20.0, 0.3, 64).sum() for kind in (1, 2, 3)}
        exact = {1: np.pi * 400, 2: 2 * 400, 3: 3 * 3**0.5 / 4 * 400}
        assert areas == pytest.approx(exact, rel=0.03)
