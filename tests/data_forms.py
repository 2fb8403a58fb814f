"""The same small images in every form that a data set may have; each maker returns what `--data` is given."""

from __future__ import annotations

import gzip
import struct

import numpy as np

SPLITS = {"train": 12, "test": 6}
CLASSES = ("cat", "dog")


def images(split):
    """Grey images [n, 6, 5] in uint8 and their labels, which take turns; repeatable, and others in each split."""
    count = SPLITS[split]
    return np.random.default_rng(count).integers(0, 256, (count, 6, 5), dtype=np.uint8), np.arange(count) % 2


def npz(folder):
    for split in SPLITS:
        values, labels = images(split)
        np.savez_compressed(folder / f"{split}.npz", images=values, labels=labels)
    return folder


def npy(folder):
    for split in SPLITS:
        values, labels = images(split)
        np.save(folder / f"x_{split}.npy", values)
        np.save(folder / f"y_{split}.npy", labels)
    return folder


def idx_bytes(values):
    return bytes([0, 0, 8, values.ndim]) + struct.pack(f">{values.ndim}I", *values.shape) + values.astype(np.uint8).tobytes()


def idx(folder, packed=False):
    for split, name in (("train", "train"), ("test", "t10k")):
        values, labels = images(split)
        for what, array in ((f"{name}-images-idx3-ubyte", values), (f"{name}-labels-idx1-ubyte", labels)):
            content = idx_bytes(array)
            (folder / (what + ".gz" * packed)).write_bytes(gzip.compress(content) if packed else content)
    return folder


def packed_idx(folder):
    return idx(folder, packed=True)


def pictures(folder):
    from PIL import Image

    for split in SPLITS:
        for row, (value, label) in enumerate(zip(*images(split), strict=True)):
            place = folder / split / CLASSES[label]
            place.mkdir(parents=True, exist_ok=True)
            Image.fromarray(value).save(place / f"{row:02d}.png")
    return folder


def tables():
    from PIL import Image

    import datasets

    datasets.disable_progress_bars()
    features = datasets.Features({"image": datasets.Image(), "label": datasets.ClassLabel(names=list(CLASSES))})
    made = {}
    for split in SPLITS:
        values, labels = images(split)
        rows = {"image": [Image.fromarray(value) for value in values], "label": labels.tolist()}
        made[split] = datasets.Dataset.from_dict(rows, features=features)
    return datasets.DatasetDict(made)


def saved(folder):
    tables().save_to_disk(folder / "saved")
    return folder / "saved"


def parquet(folder):
    for split, table in tables().items():
        table.to_parquet(folder / f"{split}-00000-of-00001.parquet")
    return folder


PLAIN = {"npz": npz, "npy": npy, "idx": idx, "packed-idx": packed_idx, "pictures": pictures}
HUGGING_FACE = {"saved": saved, "parquet": parquet}
