"""Decoders of the GPT-2 and the Llama kind that write film reviews letter by letter: trained here and converted.

    python benchmarks/text_generation.py train [--models gpt-2 llama]        # minutes each; what is there is kept
    python benchmarks/text_generation.py convert [--sequences 100] [--recipes differential hybrid few-spike] [--steps 16]
    python benchmarks/text_generation.py write [--letters 48] [--prompts 8] [--steps 8]

Small configurations of Hugging Face's transformers on 64 letters of the IMDb reviews. Perplexity is per letter, of the letters
behind the first of each sequence, drawn from test reviews; 200 sequences of training reviews calibrate. `write` lets the
spiking network go on with the first 24 letters of test sequences, and compares with what the ANN would write. Rows are kept
(benchmarks/out/) and measured again only with --again. Needs TRANSPIKE_DATA and `pip install -e .[bench]`.
"""

from __future__ import annotations

import argparse
import json
import re
import time

import torch
import torch.nn.functional as F
from torch import Tensor, nn

import transpike as tp
from datasets import reviews_of
from keeping import kept, weights_in
from tables import OUT, keep, show

LENGTH, BATCH, UPDATES, RATE = 48, 32, 400, 5e-3
LETTERS = " abcdefghijklmnopqrstuvwxyz.,'!?-0"
SIZES = {"vocab_size": len(LETTERS), "use_cache": False, "bos_token_id": 0, "eos_token_id": 0}
STEPS = {"differential": 16, "hybrid": 32, "few-spike": None}
CALIBRATION, PROMPT = 200, 24
ROWS = OUT / "text-generation.json"


class Logits(nn.Module):
    """A decoder that answers with the logits alone [batch, length, letters]."""

    def __init__(self, decoder: nn.Module):
        super().__init__()
        self.decoder = decoder

    def forward(self, input_ids: Tensor) -> Tensor:
        return self.decoder(input_ids).logits


def gpt2() -> nn.Module:
    from transformers import GPT2Config, GPT2LMHeadModel

    sizes = {"n_positions": LENGTH, "n_embd": 64, "n_layer": 2, "n_head": 4}
    return Logits(GPT2LMHeadModel(GPT2Config(**SIZES, **sizes, resid_pdrop=0.0, embd_pdrop=0.0, attn_pdrop=0.0)))


def llama() -> nn.Module:
    from transformers import LlamaConfig, LlamaForCausalLM

    sizes = {"hidden_size": 64, "intermediate_size": 128, "num_hidden_layers": 2, "num_attention_heads": 4}
    return Logits(LlamaForCausalLM(LlamaConfig(**SIZES, **sizes, num_key_value_heads=2, max_position_embeddings=LENGTH)))


MODELS = {"gpt-2": gpt2, "llama": llama}


def letters(split: str) -> Tensor:
    """All reviews of a part of the data, one after the other, as numbers of letters; digits are all 0, other signs spaces."""
    text = re.sub(r"[0-9]", "0", " ".join(reviews_of(split)[0]))
    text = re.sub(r" +", " ", re.sub(f"[^{re.escape(LETTERS)}]", " ", text))
    places = {letter: number for number, letter in enumerate(LETTERS)}
    return torch.tensor([places[letter] for letter in text])


def sequences(text: Tensor, count: int, seed: int) -> Tensor:
    """Pieces of a text from anywhere in it."""
    starts = torch.randint(len(text) - LENGTH, (count,), generator=torch.Generator().manual_seed(seed))
    return torch.stack([text[start : start + LENGTH] for start in starts.tolist()])


def train(name: str) -> nn.Module:
    torch.manual_seed(0)
    model, text = MODELS[name](), letters("train")
    optimiser = torch.optim.AdamW(model.parameters(), weight_decay=0.01)
    schedule = torch.optim.lr_scheduler.OneCycleLR(optimiser, RATE, UPDATES)
    started, recent = time.perf_counter(), []
    for update in range(1, UPDATES + 1):
        ids = sequences(text, BATCH, update)
        loss = F.cross_entropy(model(ids)[:, :-1].flatten(0, 1), ids[:, 1:].flatten())
        optimiser.zero_grad()
        loss.backward()
        nn.utils.clip_grad_norm_(model.parameters(), 1.0)
        optimiser.step()
        schedule.step()
        recent.append(loss.item())
        if update % 100 == 0:
            mean = sum(recent) / len(recent)
            print(f"{name}: {update}/{UPDATES}, loss {mean:.3f}, {time.perf_counter() - started:.0f} s", flush=True)
            recent = []
    return model.eval()


def model_of(name: str) -> nn.Module:
    return kept(OUT / "text" / f"{name}.safetensors", MODELS[name]().eval(), lambda: train(name))


def network_of(name: str, recipe: str) -> tuple[nn.Module, tp.Network]:
    """The ANN and its spiking network, calibrated on training text."""
    model = model_of(name)
    return model, tp.convert(model, sequences(letters("train"), CALIBRATION, -1), recipe, time_steps=STEPS[recipe])


def measured(name: str, recipe: str, count: int) -> dict:
    """Perplexity after the steps, and how spiking the network is."""
    model, network = network_of(name, recipe)
    test = sequences(letters("test"), count, 0)
    started = time.perf_counter()
    found = tp.perplexity(model, network, test, STEPS[recipe])
    report = tp.evaluate(model, network, test[:8], STEPS[recipe])
    points = sorted({2**k - 1 for k in range(7) if 2**k <= found.time_steps} | {found.time_steps - 1})
    row = {"network": name, "recipe": recipe, "sequences": count, "ANN": round(found.reference, 3)}
    row |= {"perplexity": {str(k + 1): round(found.spiking[k], 3) for k in points}}
    row |= {"same %": {str(k + 1): round(100 * found.agreement[k], 2) for k in points}}
    shares = report.shares
    row |= {"binary %": round(100 * shares.binary, 1), "graded %": round(100 * shares.graded, 1)}
    row |= {"analogue %": round(100 * shares.analogue, 1), "seconds": round(time.perf_counter() - started)}
    print(row, flush=True)
    return row


def written(name: str, recipe: str, prompts: int, count: int, steps: int) -> dict:
    """What the spiking network and the ANN write, both from the same prompts, each by its own most likely letters."""
    model, network = network_of(name, recipe)
    begin = sequences(letters("test"), prompts, 1)[:, :PROMPT]
    spiking = tp.generate(network, begin, count, STEPS[recipe] and steps)
    ann = begin
    with torch.inference_mode():
        for _ in range(count):
            ann = torch.cat([ann, model(ann[:, -LENGTH:])[:, -1].argmax(-1, keepdim=True)], 1)
    same = (spiking == ann)[:, PROMPT:]
    row = {"network": name, "recipe": recipe, "T": steps if STEPS[recipe] else "window", "letters": count, "prompts": prompts}
    row |= {"same letters %": f"{100 * float(same.float().mean()):.1f}", "same texts": int(same.all(1).sum())}
    for text in (ann, spiking):
        print(repr("".join(LETTERS[i] for i in text[0].tolist())), flush=True)
    return row


def kept_rows(again: bool) -> dict[str, dict]:
    return json.loads(ROWS.read_text())["rows"] if ROWS.exists() and not again else {}


def converted(names: list[str], recipes: list[str], count: int, again: bool) -> None:
    rows = kept_rows(again)
    for name in names:
        for recipe in recipes:
            if f"{name}, {recipe}" not in rows:
                rows[f"{name}, {recipe}"] = measured(name, recipe, count)
                keep("text-generation", {"rows": rows}, quiet=True)
    flat = []
    for row in rows.values():
        course = {f"T={t}": f"{value} ({row['same %'][t]} %)" for t, value in row["perplexity"].items()}
        flat.append({key: value for key, value in row.items() if key not in ("perplexity", "same %")} | course)
    show("Perplexity per letter (and positions with the ANN's most likely letter)", flat)


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("what", choices=("train", "convert", "write"))
    parser.add_argument("--models", nargs="+", default=list(MODELS), choices=MODELS)
    parser.add_argument("--recipes", nargs="+", default=list(STEPS), choices=STEPS)
    parser.add_argument("--sequences", type=int, default=100)
    parser.add_argument("--letters", type=int, default=48)
    parser.add_argument("--prompts", type=int, default=8)
    parser.add_argument("--steps", type=int, default=8)
    parser.add_argument("--again", action="store_true")
    given = parser.parse_args()
    if given.what == "train":
        show("Trained", [{"network": name, "weights": weights_in(model_of(name))} for name in given.models])
    elif given.what == "convert":
        converted(given.models, given.recipes, given.sequences, given.again)
    else:
        pairs = [(name, recipe) for name in given.models for recipe in given.recipes]
        found = [written(name, recipe, given.prompts, given.letters, given.steps) for name, recipe in pairs]
        show("Text by the spiking network against text by the ANN", found)
        keep("text-written", {"rows": found})
