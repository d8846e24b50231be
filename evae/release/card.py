"""The model card: what the exported model is, what it was trained on, and what is known of how good it is."""

import json
import math
from collections.abc import Mapping, Sequence
from typing import Any

import evae
from evae.checkpoints import Kept
from evae.networks.base import in_words
from evae.release.best import Chosen, Value
from evae.results import measures
from evae.sizes import sides

BETTER = {"min": "lower", "max": "higher"}
ROUNDING = 1e-4
"""Share of a mean, four digits of which are shown, below which its interval is not."""


def card(
    kept: Kept,
    chosen: Chosen | None,
    *,
    theirs: Mapping[str, Any] | str,
    licence: str,
    name: str,
    pictures: Sequence[tuple[str, str]],
    scaled: bool,
) -> str:
    """README.md of an exported model, in Markdown with the header that model hubs read. `theirs` is diffusers' config
    of it, or why there is none; `pictures` are (file, what it shows); `scaled` says whether the scale of codes is
    known."""
    recipe = kept.recipe
    shape = f"images of {' x '.join(map(str, (kept.channels, *sides(kept.image_size))))} in [0, 1]"
    if kept.model.kind == "points":
        shape = f"points of {kept.channels} numbers"
    parts = [
        _header(licence),
        f"# {name}",
        f"A variational autoencoder: {recipe.posterior.family} posterior, {recipe.network.family} networks "
        f"({sum(p.numel() for p in kept.model.parameters()):,} parameters), "
        f"{in_words(kept.model.code_shape)}, {shape}.",
        _use(kept),
        *_diffusers(kept, theirs, scaled),
    ]
    if pictures:
        parts.append("\n\n".join(f"![{what}]({file})\n\n{what[0].upper()}{what[1:]}." for file, what in pictures))
    parts += ["## Data", _data(kept, chosen)]
    if chosen is not None:
        parts += ["## Metrics", *_metrics(chosen)]
    parts += ["## Recipe", f"```json\n{json.dumps(recipe.to_dict(), indent=2, ensure_ascii=False)}\n```"]
    parts += [f"Made by evae {evae.__version__}; weights sha256 {kept.digest}..."]
    return "\n\n".join(parts) + "\n"


def _header(licence: str) -> str:
    # JSON text is YAML too, whatever the licence's name has in it.
    return f"---\nlicense: {json.dumps(licence)}\nlibrary_name: evae\ntags:\n- vae\n- autoencoder\n---"


def _use(kept: Kept) -> str:
    plugins = "".join(f"\nfrom evae.plugins import load; load([PATH_OF_{name!r}])" for name in kept.recipe.plugins)
    return (
        "```python\nimport torch\nfrom evae.pretrained import from_pretrained"
        f"{plugins}\n\nmodel = from_pretrained(FOLDER)\nmodel.reconstruct(images)\n"
        "model.sample(16, torch.Generator())\n```"
    )


def _diffusers(kept: Kept, theirs: Mapping[str, Any] | str, scaled: bool) -> list[str]:
    """Of a model whose codes are maps: how diffusers has it, or why not."""
    if len(kept.model.code_shape) < 3:
        return []
    if isinstance(theirs, str):
        return [f"This is no AutoencoderKL of diffusers: {theirs}."]
    scale = (
        "`scaling_factor` and `shift_factor` are of codes of the training images."
        if scaled
        else "`scaling_factor` is 1: no codes were measured (`--codes` of evae.export)."
    )
    return [
        "```python\nfrom diffusers import AutoencoderKL\n\n"
        "AutoencoderKL.from_pretrained(FOLDER).encode(2 * images - 1).latent_dist\n```",
        f"diffusers' images are in [-1, 1]. {scale}",
    ]


def _data(kept: Kept, chosen: Chosen | None) -> str:
    known = measures.parsed(chosen.manifest.get("data")) if chosen else {}
    if not known:
        return f"`{kept.recipe.data.source}`; no study says more of it."
    counts = " / ".join(str(known.get(f"n_{split}", "?")) for split in ("train", "validation", "test"))
    of = f"train / validation / test {known.get('kind', 'images')}"
    text = f"`{known.get('source')}` (digest {known.get('digest')}): {counts} {of}."
    return "\n".join([text, *(f"- {note}" for note in known.get("notes", []))])


def _metrics(chosen: Chosen) -> list[str]:
    row = chosen.row
    label = row["label"] or f"configuration {row['number']}"
    study = chosen.manifest.get("study", "")
    fresh = any(value.fresh for value in chosen.values)
    several = any(math.isfinite(value.half) for value in chosen.values)
    of = "of fresh seeds, which took no part in choosing" if fresh else "of the search's seeds, which chose it too"
    error = "± is half a 95 % interval" if several else "with one seed each nothing is known of their error"
    lines = [
        f"Of trial {row['trial']} ({label}) of study {study}, chosen as: {chosen.why}. All values are of the test "
        f"split; means are {of}, {error}. What each means: docs/numbers.md of evae.",
        "\n".join(
            ["| metric | better | this model | mean of its configuration |", "| --- | --- | --- | --- |"]
            + [f"| `{v.column}` | {BETTER[v.direction]} | {v.own:.4g} | {_mean(v)} |" for v in chosen.values]
        ),
    ]
    if identities := [f"- `{v.column}`: {_identity(v.identity)}" for v in chosen.values if v.identity]:
        lines += ["How they were taken:", "\n".join(identities)]
    conditions = {name: row.get(name) for name in ("device", "precision", "threads", "workers", "processor")}
    commit = chosen.manifest.get("git_commit")
    lines.append(
        f"Trained for {row['epochs']} epochs in {row['train_s']:.0f} s ("
        + ", ".join(f"{name} {value}" for name, value in conditions.items() if value is not None)
        + f"), seed {row['seed']}{f', code {commit[:12]}' if commit else ''}."
    )
    return lines


def _mean(value: Value) -> str:
    half = f" ± {value.half:.2g}" if value.half > ROUNDING * abs(value.mean) else ""
    return f"{value.mean:.4g}{half} ({value.seeds} seed{'' if value.seeds == 1 else 's'})"


def _identity(identity: Mapping[str, Any]) -> str:
    known = {name: value for name, value in identity.items() if value is not None}
    return ", ".join(f"{name} {json.dumps(v) if isinstance(v, dict) else v}" for name, v in known.items())
