"""What optuna-dashboard shows of a configuration beside its values: pictures of a trial, and a note.

Pictures are artifacts in Optuna's sense, files that the journal names. Their names are made of the trial's, so that a
journal that is made anew finds them there. Notes have the form that optuna-dashboard gives them.
"""

import contextlib
import io
import json
import uuid
from collections.abc import Iterator
from dataclasses import asdict
from typing import Any

from optuna.artifacts import ArtifactMeta
from PIL import Image

from evae.results.store import Store, StoreError
from evae.search.configuration import Configuration

FOLDER = "optuna/artifacts"
"""In the results; what `--artifact-dir` names."""
ROWS = 2
"""Rows of tiles that are shown of samples; of reconstructions one, below the real images."""
NOTE = 2045
"""Letters of a part of a note, as optuna-dashboard cuts them."""


def artifacts(store: Store, configuration: Configuration) -> dict[str, str]:
    """The attributes of a trial in the journal that name its pictures, which are written. Empty where there are none,
    or where they cannot be read or written now: that is no reason to end a study."""
    found: dict[str, str] = {}
    finished = sorted(seed for seed, row in configuration.ended.items() if row["state"] == "finished")
    with contextlib.suppress(StoreError, OSError, ValueError):
        for seed in finished[:1]:
            trial = f"{configuration.key}-s{seed}"
            drawn = [row for row in store.rows("images", trial) if row.get("png") and isinstance(row.get("kind"), str)]
            for kind, png in _strips(drawn):
                of = str(uuid.uuid5(uuid.NAMESPACE_URL, f"{trial}/{kind}"))
                store.write_bytes(FOLDER, of, png)
                found[f"artifacts:{of}"] = json.dumps(asdict(ArtifactMeta(of, f"{kind}.png", "image/png", None)))
    return found


def _strips(rows: list[dict[str, Any]]) -> Iterator[tuple[str, bytes]]:
    """(kind, PNG) of the first rows of tiles, reconstructions below what they are of."""
    grids = {row["kind"]: _first(row, ROWS if row["kind"].startswith("sampled") else 1) for row in rows}
    for kind, grid in grids.items():
        if kind == "reconstructed" and "real" in grids:
            yield kind, _png(_stacked(grids["real"], grid))
        elif kind.startswith("sampled"):
            yield kind, _png(grid)


def _first(row: dict[str, Any], wanted: int) -> Image.Image:
    """The first rows of tiles of a grid."""
    with Image.open(io.BytesIO(row["png"])) as image:
        tiles = int(row.get("rows") or 1)
        return image.crop((0, 0, image.width, image.height * min(tiles, wanted) // tiles))


def _stacked(above: Image.Image, below: Image.Image) -> Image.Image:
    whole = Image.new(above.mode, (max(above.width, below.width), above.height + below.height))
    whole.paste(above, (0, 0))
    whole.paste(below, (0, above.height))
    return whole


def _png(image: Image.Image) -> bytes:
    buffer = io.BytesIO()
    image.save(buffer, "PNG")
    return buffer.getvalue()


def note(configuration: Configuration) -> str:
    """In Markdown: what the configuration is, and what became of each of its trials."""
    head = configuration.label or f"#{configuration.number}"
    lines = [f"**{head}** ({configuration.origin}): pictures are of its first finished trial", ""]
    for seed, row in sorted(configuration.ended.items()):
        why = f": {row['reason']}" if row.get("reason") else ""
        why += f", taken from study {row['taken_study']} ({row['taken_from']})" if row.get("taken_study") else ""
        lines.append(f"- `{configuration.key}-s{seed}` {row['state']}{why}")
    return "\n".join(lines)


def note_attributes(trial_id: int, text: str) -> dict[str, Any]:
    """The study's attributes that are a trial's note (optuna_dashboard.save_note)."""
    parts = [text[start : start + NOTE] for start in range(0, len(text), NOTE)]
    named = {f"dashboard:{trial_id}:note_str:{place}": part for place, part in enumerate(parts)}
    return {f"dashboard:{trial_id}:note_ver": 1, **named}
