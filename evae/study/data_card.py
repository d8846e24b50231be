"""The card of a data set of trials: what is in it, how large each part is, and what the columns mean."""

import json
import math

import evae
from evae.results.store import Store
from evae.study.holdings import nbytes

SIZES = {1e3: "n<1K", 1e4: "1K<n<10K", 1e5: "10K<n<100K", 1e6: "100K<n<1M", math.inf: "1M<n<10M"}
"""What cards call a number of rows."""
COLUMNS = {
    "trial": "its identity: what training it is, by recipe, data and arithmetic",
    "study": "the study that trained it",
    "recipe": "everything that defines the training, as JSON; the folder of own images is left out",
    "data_digest": "of the content of the images",
    "numerics": "the version of evae's numbers",
    "precision": "the arithmetic of the networks",
    "device": "what it ran on, with `processor`, `threads` and `workers`: the same gives the same values",
    "val_...": "a metric on the validation split; without it, on the test split",
    "distances": "the identity of each distance: network, tap, counts, split, as JSON",
}
PARTS = {
    "trials": "a row for each training",
    "epochs": "the course of its losses, a row for each epoch",
    "images": "its pictures as PNG: reconstructions, samples, latents one by one",
    "clouds": "drawings of models of points",
    "weights": "its weights, a safetensors file each, which says of which recipe they are",
}
"""What a data set may hold, by folders."""


def card(target: Store, count: int, licence: str) -> str:
    """README.md of so many trials, in Markdown with the header that hubs of data sets read."""
    rows = target.columns("trials", ["study", "data_digest", "device", "numerics"]).to_pylist()

    def of(name: str) -> str:
        return ", ".join(sorted({str(row.get(name)) for row in rows}))

    sizes = {folder: list(nbytes(target, folder)) for folder in PARTS}
    there = [folder for folder in PARTS if sizes[folder]]
    size = next(name for most, name in SIZES.items() if count < most)
    kinds = "\n".join(f"- config_name: {kind}\n  data_files: {kind}/*/*.parquet" for kind in there if kind != "weights")
    parts = "\n".join(f"| `{name}` | {PARTS[name]}{_of(name, sizes, count)} | {_mb(sizes[name])} |" for name in there)
    lacking = " and ".join(word for word, name in (("weights", "weights"), ("pictures", "images")) if name not in there)
    columns = "\n".join(f"| `{name}` | {meaning} |" for name, meaning in COLUMNS.items())
    # JSON text is YAML too, whatever the licence's name has in it.
    return (
        f"---\nlicense: {json.dumps(licence)}\ntags:\n- vae\n- hyperparameters\nsize_categories:\n- {size}\n"
        f"configs:\n{kinds}\n---\n\n# {count} trained variational autoencoders\n\n"
        f"Finished trials of evae {evae.__version__} ({of('study')}), each training once"
        f"{f', without {lacking}' if lacking else ''}.\n\n"
        f"| part | what it is | size |\n| --- | --- | --- |\n{parts}\n\n"
        "    evae pool check FOLDER\n    evae study kernel-sweep --pool FOLDER\n\n"
        f"Data digests: {of('data_digest')}. Devices: {of('device')}. Numbers of version: {of('numerics')}.\n\n"
        f"| column | what it is |\n| --- | --- |\n{columns}\n"
    )


def _of(name: str, sizes: dict[str, list[int]], count: int) -> str:
    """How many of the trials have weights, where not all do."""
    return f" ({len(sizes[name])} of {count} trainings)" if name == "weights" and len(sizes[name]) < count else ""


def _mb(sizes: list[int]) -> str:
    return f"{sum(sizes) / 1e6:.2g} MB"
