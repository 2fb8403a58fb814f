"""What the documents say runs, and the files that they name exist."""

from __future__ import annotations

import doctest
import re
from pathlib import Path

import pytest
import torch
from torch import nn

import transpike as tp
from transpike.cli import app
from transpike.codings import SIGNAL_CODES
from zoo.recurrent import RECURRENT

ROOT = Path(__file__).parent.parent
DOCUMENTS = [ROOT / "README.md", ROOT / "CONTRIBUTING.md", *sorted((ROOT / "docs").glob("*.md"))]


def test_the_python_of_the_readme_runs(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    code, streaming, training = re.findall(r"```python\n(.*?)```", (ROOT / "README.md").read_text(), re.DOTALL)
    model = nn.Sequential(nn.Linear(4, 8), nn.ReLU(), nn.Linear(8, 3)).eval()
    x = torch.rand(40, 4)
    names = {
        "model": model,
        "samples": torch.rand(300, 4),
        "inputs": x,
        "test_loader": [(x, torch.zeros(40, dtype=torch.long))],
    }
    exec(code, names)
    assert names["run"].outputs.shape == (64, 40, 3)
    assert len(names["report"].accuracy) == 64
    assert torch.equal(tp.simulate(tp.load("out"), x, 64).outputs, names["run"].outputs)
    sequences = torch.rand(300, 5, 3)
    names = {"tp": tp, "model": RECURRENT["lstm"]()[0], "samples": sequences, "sequence": sequences[:4].unbind(1)}
    exec(streaming, names)
    assert torch.equal(names["answer"], tp.simulate(names["network"], sequences[:4]).outputs[-1])
    names = {"tp": tp, "model": model, "samples": torch.rand(300, 4), "batches": [(x, torch.zeros(40, dtype=torch.long))]}
    exec(training, names)
    assert tp.simulate(names["network"], x, 4).outputs.shape == (4, 40, 3)


def test_the_python_of_the_page_on_data_runs():
    names = {}
    (code,) = re.findall(r"```python\n(.*?)```", (ROOT / "docs" / "data.md").read_text(), re.DOTALL)
    exec(code, names)
    assert names["run"].outputs.shape == (20, 64, 3)
    assert names["report"].input == "recorded spikes, 20 frames of 5 ms"


def test_the_commands_of_the_readme_exist():
    commands = set(re.findall(r"^transpike +(\w+)", (ROOT / "README.md").read_text(), re.MULTILINE))
    known = {command.callback.__name__ for command in app.registered_commands} | {group.name for group in app.registered_groups}
    assert commands
    assert commands <= known


def test_every_recipe_is_in_the_readme():
    text = (ROOT / "README.md").read_text()
    assert [name for name in tp.recipes if f"| `{name}` |" not in text] == []


@pytest.mark.parametrize("document", DOCUMENTS, ids=lambda path: path.name)
def test_files_that_a_document_names_exist(document):
    text = document.read_text()
    named = re.findall(r"`((?:src|tests|docs|benchmarks|[a-z_]+)/[\w./]+)`", text) + re.findall(r"\]\(([\w./]+)\)", text)
    places = (ROOT, ROOT / "src" / "transpike", document.parent)
    written = ("transpike-demo", "benchmarks/out", "out")
    missing = [n for n in named if not n.startswith(written) and not any((place / n).exists() for place in places)]
    assert missing == []


def test_the_python_of_the_page_on_dense_outputs_runs(capsys):
    (code,) = re.findall(r"```python\n(.*?)```", (ROOT / "docs" / "dense-outputs.md").read_text(), re.DOTALL)
    exec(code, {})
    steps, last, reference = re.fullmatch(r"(\(.*\)) (\S+) (\S+)\n", capsys.readouterr().out).groups()
    assert steps == "(1, 2, 4, 8, 16, 32)"
    assert float(last) == pytest.approx(float(reference), rel=0.1)


CODINGS = (ROOT / "docs" / "codings.md").read_text()


def test_the_examples_of_the_codings_run():
    code = "\n".join(re.findall(r"```python\n(.*?)```", CODINGS, re.DOTALL))
    test = doctest.DocTestParser().get_doctest(code, {}, "codings.md", "codings.md", 0)
    assert len(test.examples) > 2 * len(SIGNAL_CODES)
    assert doctest.DocTestRunner().run(test).failed == 0


@pytest.mark.parametrize("name", SIGNAL_CODES)
def test_every_coding_has_its_row_and_section(name):
    code = SIGNAL_CODES[name]
    known = code.properties
    off = (known.guarantee or "no bound") if known.inverts else "not read back"
    cells = (f"[`{name}`](#{name})", known.stimulus, "yes" if known.for_conversion else "no", off.replace("|", "\\|"))
    assert f"| {' | '.join(cells)} |\n" in CODINGS
    (section,) = re.findall(rf"^### {name}\n(.*?)(?=^##|\Z)", CODINGS, re.DOTALL | re.MULTILINE)
    assert f"`tp.codings.{code.__name__}`" in section
    assert f"![{name}](pictures/codings/{name}.svg)" in section
    assert "\n```\n" in section.split("```python")[0]  # its equation
