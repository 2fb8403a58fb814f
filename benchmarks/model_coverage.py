"""Which networks can be captured and converted: architectures of transformers with random weights, and the zoo of the tests.

    python benchmarks/model_coverage.py --capture-only [--only "BERT" "GPT*"]
    python benchmarks/model_coverage.py --recipe differential [--steps 8] [--document docs/coverage.md]

For each: the seconds of the capture, which compares the network with the model; the relative error of the network with its
batch norms folded; and the relative error (norm of the difference by the norm of the answer, the worst of the outputs) of the
converted network after the steps; or the message with which it was refused. Nothing is downloaded. Rows are kept as they are
finished (benchmarks/out/), and measured again only with --again.

Needs `pip install -e .[bench] -c constraints.txt`, which brings transformers.
"""

from __future__ import annotations

import argparse
import dataclasses
import json
import sys
import time
import warnings
from fnmatch import fnmatch
from pathlib import Path
from typing import Any

import torch
from torch import Tensor

import transpike as tp
from architectures import ARCHITECTURES
from tables import OUT, show
from transpike.calibration import Samples
from transpike.capture import capture
from transpike.data import Batch
from transpike.errors import TranspikeError
from transpike.network import Network, forward
from transpike.network.grammar import check_spiking
from transpike.passes import FoldBatchNorm, apply

sys.path.append(str(Path(__file__).parents[1] / "tests"))
from zoo import ANALOGUE, FEATURES, ZOO

FOLDED, CONVERTED = 1e-4, 0.05  # relative errors that count as equal
JUDGED = 8  # samples of an architecture; the others calibrate
VARIED = 1e-3  # how far answers differ from sample to sample, relative to the largest; else a comparison would say nothing
SUBJECTS = {**{name: row.make for name, row in ARCHITECTURES.items()}, **ZOO, **FEATURES, **ANALOGUE}


def inputs_of(samples: Any) -> tuple[Tensor, ...]:
    return samples if isinstance(samples, tuple) else (samples,)


def parted(name: str, samples: tuple[Tensor, ...]) -> tuple[tuple[Tensor, ...], tuple[Tensor, ...]]:
    """The samples on which networks are compared, and those that calibrate: others, unless a test has only a few."""
    if name not in ARCHITECTURES:
        return samples, samples
    return tuple(x[:JUDGED] for x in samples), tuple(x[JUDGED:] for x in samples)


def apart(these: dict[str, Tensor], those: dict[str, Tensor]) -> float:
    """The norm of the difference by the norm of what is wanted, the worst of the outputs."""
    return max(float((these[key] - wanted).norm() / wanted.norm().clamp(min=1e-12)) for key, wanted in those.items())


def measured(name: str, recipe: str | None, steps: int) -> dict[str, Any]:
    """One row: what the capture and the conversion of a model give."""
    row: dict[str, Any] = {"of": "transformers" if name in ARCHITECTURES else "tests"}
    model, samples = SUBJECTS[name]()
    inputs, calibration = parted(name, inputs_of(samples))
    try:
        begin = time.perf_counter()
        network = capture(model, inputs)
        row |= {"seconds": round(time.perf_counter() - begin, 1), "nodes": len(network.nodes)}
        answers = forward(network, inputs)
        row["varied"] = max(float(answer.std(0).max() / answer.abs().max().clamp(min=1e-12)) for answer in answers.values())
        row["folded"] = folding_error(network, inputs)
        if recipe:
            row |= converted(network, inputs, calibration, recipe, steps)
    except TranspikeError as refusal:
        row["refused"] = str(refusal)
    return row


def folding_error(network: Network, inputs: tuple[Tensor, ...]) -> float:
    """What folding of batch norms changes, in float64: in float32 deep networks differ as much from themselves."""
    precise = network.to(dtype=torch.float64)
    doubles = tuple(x.double() if x.is_floating_point() else x for x in inputs)
    return apart(forward(apply([FoldBatchNorm()], precise, Samples()), doubles), forward(precise, doubles))


def converted(network: Network, inputs: tuple[Tensor, ...], calibration: Any, recipe: str, steps: int) -> dict[str, Any]:
    """What a conversion gives."""
    begin = time.perf_counter()
    method = tp.recipes[recipe]
    spiking = apply(method.passes, network, Samples([Batch(calibration)], steps))
    spiking = check_spiking(dataclasses.replace(spiking, method=method.method))
    outputs = tp.simulate(spiking, inputs, steps).outputs
    named = {"output": outputs} if isinstance(outputs, Tensor) else outputs
    last = {key: values[-1] for key, values in named.items()}
    error = apart(last, forward(network, inputs))
    return {"recipe": recipe, "steps": steps, "error": error, "conversion seconds": round(time.perf_counter() - begin, 1)}


class Rows:
    """Finished rows by name, kept in a file."""

    def __init__(self, recipe: str | None, again: bool):
        self.path = OUT / f"coverage-{recipe or 'capture'}.json"
        self.rows: dict[str, dict] = json.loads(self.path.read_text()) if self.path.exists() and not again else {}

    def add(self, name: str, row: dict[str, Any]) -> None:
        self.rows[name] = row
        self.path.parent.mkdir(exist_ok=True)
        self.path.write_text(json.dumps(self.rows, indent=1))


def verdict(row: dict[str, Any]) -> str:
    if "refused" in row:
        return "refused"
    if row["folded"] > FOLDED or row["varied"] < VARIED:
        return "folding differs" if row["folded"] > FOLDED else "answers do not vary"
    if "error" not in row:
        return "captured"
    return "converts" if row["error"] < CONVERTED else "error too large"


def summary(rows: dict[str, dict]) -> str:
    """How many of each source came how far."""
    parts = []
    for source in ("transformers", "tests"):
        found = [verdict(row) for row in rows.values() if row["of"] == source]
        counts = ", ".join(f"{found.count(kind)} {kind.removesuffix('s')}" for kind in dict.fromkeys(sorted(found)))
        parts.append(f"{len(found)} of {source}: {counts}")
    return "; ".join(parts)


def cells(name: str, row: dict[str, Any]) -> dict[str, str]:
    error = f"{100 * row['error']:.2g}" if "error" in row else ""
    folded = f"{row['folded']:.0e}" if "folded" in row else ""
    return {
        "network": name,
        "nodes": str(row.get("nodes", "")),
        "capture s": str(row.get("seconds", "")),
        "folded": folded,
        "error %": error,
        "verdict": verdict(row),
    }


def document(rows: dict[str, dict], recipe: str | None, steps: int) -> str:
    """The table as a page."""
    command = f"--recipe {recipe} --steps {steps}" if recipe else "--capture-only"
    lines = [
        "# Which networks convert",
        "",
        f"Made by `python benchmarks/model_coverage.py {command} --document docs/coverage.md`. {summary(rows)}.",
        "",
        "Architectures of Hugging Face's `transformers`, small and with random weights, and the models of the tests, captured",
        "without change. *folded*: relative error of the captured network with its batch norms folded, in float64. *error*:",
        f"relative error of the converted network after {steps} steps (norm of difference by norm of answer, worst output), on",
        f"{JUDGED} samples of an architecture, others calibrating, or on those of a test, which calibrate too.",
        "",
    ]
    for source, title in (("transformers", "Architectures of transformers"), ("tests", "Models of the tests")):
        chosen = {name: row for name, row in rows.items() if row["of"] == source}
        table = [cells(name, row) for name, row in chosen.items()]
        if table:
            columns = list(table[0])
            lines += [f"## {title}", "", f"| {' | '.join(columns)} |", f"|{'---|' * len(columns)}"]
            lines += [f"| {' | '.join(row.values())} |" for row in table]
        refusals = [f"- **{name}**: {row['refused']}" for name, row in chosen.items() if "refused" in row]
        lines += ["", *(["Refused:", "", *refusals, ""] if refusals else [])]
    return "\n".join(lines).rstrip() + "\n"


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    what = parser.add_mutually_exclusive_group(required=True)
    what.add_argument("--recipe", choices=sorted(tp.recipes), help="how to convert")
    what.add_argument("--capture-only", action="store_true")
    parser.add_argument("--steps", type=int, default=8)
    parser.add_argument("--only", nargs="*", default=["*"], help="names, or patterns of names")
    parser.add_argument("--again", action="store_true", help="measure finished rows again")
    parser.add_argument("--document", type=Path, help="where to write the table as a page")
    arguments = parser.parse_args()
    warnings.simplefilter("ignore")
    rows = Rows(arguments.recipe, arguments.again)
    for name in SUBJECTS:
        if name in rows.rows or not any(fnmatch(name, pattern) for pattern in arguments.only):
            continue
        rows.add(name, measured(name, arguments.recipe, arguments.steps))
        print(name, verdict(rows.rows[name]), rows.rows[name].get("refused", ""), flush=True)
    ordered = {name: rows.rows[name] for name in SUBJECTS if name in rows.rows}
    show("Coverage", [cells(name, row) for name, row in ordered.items()])
    print(f"\n{summary(ordered)}")
    if arguments.document:
        arguments.document.write_text(document(ordered, arguments.recipe, arguments.steps))


if __name__ == "__main__":
    main()
