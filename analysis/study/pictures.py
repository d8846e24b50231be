"""Pictures for the page: each distinct one once, the whole within a budget of bytes, what was reduced counted.

Configurations of the gallery (some of the front, the controls) keep their PNGs as stored. When all others do not fit
as well, they become strips: a trial's first rows of each kind, one above the other, as one JPEG, which is made in
half the time of a WebP.
"""

import base64
import hashlib
import io
from collections.abc import Iterable
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from typing import Any

import pandas as pd
from PIL import Image, UnidentifiedImageError

from analysis.study.load import StudyData
from analysis.study.naming import source_words

BUDGET = 7_000_000
"""Bytes of base64 text: with plotly.js and the tables of 1,000 trials the page stays below 15 MB."""
CARDS = 12
WIDTH = 256
"""Pixels across a strip: eight tiles of 32."""
QUALITY = 50
ROWS = {"reconstructed": 1, "code_maps": 1, "sampled": 2, "interpolated": 1}
KINDS = {
    "real": "real",
    "reconstructed": "reconstructed",
    "code_maps": "code maps: an image, and the channels of the map that is its code (seven at most), from black at −3 "
    "standard deviations of the channel to white at 3",
    "sampled": "sampled from the prior",
    "interpolated": "interpolated: a line from one image's code to another's in each row",
    "perturbed": "perturbed: one latent (of code maps one of a channel) in each row, moved by −20 to 20 standard "
    "deviations",
}
"""Known kinds in the order in which they are shown; others follow."""
OF_A_DENSITY = "sampled_"
"""What the kinds of samples from densities on codes begin with; `naming.source_words` names the rest."""
WORKERS = 2


@dataclass
class Pictures:
    """`files` are base64 texts of PNG or JPEG files, `of` maps trials to their pieces.

    A piece is [kind, index of its file, first row, rows, columns of pixels of the file that show it]. `reduced` and
    `left_out` count the trials shown by strips, and those that had no room.
    """

    files: list[str] = field(default_factory=list)
    of: dict[str, list[list[Any]]] = field(default_factory=dict)
    reduced: int = 0
    left_out: int = 0
    spent: int = 0
    known: dict[str, int] = field(default_factory=dict)

    def add(self, content: bytes) -> int:
        """The index of a file, which is kept once however often it is added."""
        digest = hashlib.sha256(content).hexdigest()
        if digest not in self.known:
            self.known[digest] = len(self.files)
            self.files.append(base64.b64encode(content).decode())
            self.spent += len(self.files[-1])
        return self.known[digest]


def pictures(study: StudyData, cards: pd.DataFrame, order: Iterable[str], budget: int = BUDGET) -> Pictures:
    """The pictures of the gallery's `cards` and of the trials in `order`, as long as there is room.

    `cards` are rows of `tables.front`; `order` names trials, the most wanted first.
    """
    found = Pictures()
    stored = study.store.sizes("images")
    first = [trial for trial in cards["trial"] if trial in stored] if len(cards) else []
    others = [trial for trial in dict.fromkeys(order) if trial in stored and trial not in set(first)]
    with ThreadPoolExecutor(WORKERS) as pool:
        for trial, rows in zip(first, pool.map(study.pictures, first), strict=True):
            _add_whole(found, trial, rows, budget)
        # Parquet does not make PNGs smaller, so the files say what the pictures will take.
        if found.spent + sum(stored[trial] for trial in others) * 4 / 3 <= budget:
            for trial, rows in zip(others, pool.map(study.pictures, others), strict=True):
                _add_whole(found, trial, rows, budget)
        else:
            _add_strips(found, study, others, pool, budget)
    return found


def _add_whole(found: Pictures, trial: str, rows: list[dict[str, Any]], budget: int) -> None:
    sized = [(row, size) for row in rows if (size := _size(row["png"]))]
    fresh = {row["png"] for row, _ in sized if hashlib.sha256(row["png"]).hexdigest() not in found.known}
    if found.spent + sum(map(len, fresh)) * 4 / 3 > budget:
        found.left_out += 1
        return
    pieces = [[row["kind"], found.add(row["png"]), 0, height, width] for row, (width, height) in sized]
    if pieces:
        found.of[trial] = in_order(pieces)


def _add_strips(found: Pictures, study: StudyData, trials: list[str], pool: ThreadPoolExecutor, budget: int) -> None:
    def strip_of(trial: str) -> tuple[bytes, list[list[Any]], list[dict[str, Any]]]:
        rows = study.pictures(trial)
        return *strip(rows), [row for row in rows if row["kind"] == "real"]

    for start in range(0, len(trials), 50):
        if found.spent > budget:
            found.left_out += len(trials) - start
            return
        some = trials[start : start + 50]
        for trial, (content, pieces, real) in zip(some, pool.map(strip_of, some), strict=True):
            if not pieces:
                continue
            index = found.add(content)
            pieces = [[kind, index, *place] for kind, *place in pieces]
            for row in real:
                if size := _size(row["png"]):
                    width, height = _first(row, size, 1)
                    pieces.append(["real", found.add(row["png"]), 0, height, width])
            found.of[trial] = in_order(pieces)
            found.reduced += 1


def strip(rows: list[dict[str, Any]]) -> tuple[bytes, list[list[Any]]]:
    """(JPEG, [[kind, first row, rows, columns]]) of the first rows of tiles of each kind but the real images.

    Tiles beyond `WIDTH` pixels are cut off, four at least being kept and made smaller where they are large.
    """
    parts = []
    for row in rows:
        if _rows(row["kind"]) and (image := _open(row["png"])) is not None:
            parts.append((row["kind"], _part(row, image)))
    if not parts:
        return b"", []
    width, height = max(part.width for _, part in parts), sum(part.height for _, part in parts)
    whole = Image.new(parts[0][1].mode, (width, height))
    pieces, y = [], 0
    for kind, part in parts:
        whole.paste(part, (0, y))
        pieces.append([kind, y, part.height, part.width])
        y += part.height
    buffer = io.BytesIO()
    whole.save(buffer, "JPEG", quality=QUALITY)
    return buffer.getvalue(), pieces


def _part(row: dict[str, Any], image: Image.Image) -> Image.Image:
    cut = image.crop((0, 0, *_first(row, image.size, _rows(row["kind"]))))
    if cut.width > WIDTH:
        cut = cut.resize((WIDTH, round(cut.height * WIDTH / cut.width)), Image.Resampling.BOX)
    return cut


def _rows(kind: str) -> int:
    """How many rows of tiles a strip has of a kind."""
    return ROWS["sampled"] if kind.startswith(OF_A_DENSITY) else ROWS.get(kind, 0)


def _first(row: dict[str, Any], size: tuple[int, int], wanted: int) -> tuple[int, int]:
    """(width, height) in pixels of the first tiles of a grid: `wanted` rows, and what fits `WIDTH`, or four tiles."""
    columns, rows = int(row.get("columns") or 1), int(row.get("rows") or 1)
    tile = size[0] / columns
    kept = min(columns, max(4, int(WIDTH // tile)))
    return round(kept * tile), round(size[1] * min(rows, wanted) / rows)


def in_order(pieces: list[list[Any]]) -> list[list[Any]]:
    """Pieces by kind, the known kinds first, and samples from a density after those from the prior."""
    known = list(KINDS)

    def place(piece: list[Any]) -> tuple[int, bool]:
        of_a_density = piece[0].startswith(OF_A_DENSITY)
        kind = "sampled" if of_a_density else piece[0]
        return known.index(kind) if kind in known else len(known), of_a_density

    return sorted(pieces, key=place)


def kinds(found: Pictures) -> dict[str, str]:
    """The kinds that there are, in words; those that are not known by their names."""
    there = {piece[0] for pieces in found.of.values() for piece in pieces}
    densities = {kind for kind in there if kind.startswith(OF_A_DENSITY)}
    return KINDS | {kind: f"sampled from {source_words(kind.removeprefix(OF_A_DENSITY))}" for kind in sorted(densities)}


def _open(png: bytes) -> Image.Image | None:
    try:
        image = Image.open(io.BytesIO(png))
        image.load()
    except (UnidentifiedImageError, OSError):
        return None
    return image


def _size(png: bytes) -> tuple[int, int] | None:
    try:
        return Image.open(io.BytesIO(png)).size
    except (UnidentifiedImageError, OSError):
        return None


def choose(front: pd.DataFrame, study: StudyData) -> pd.DataFrame:
    """At most `CARDS` rows: some of the front, evenly spread over the first objective, then the controls."""
    if not len(front):
        return front
    first = study.objectives[0]
    controls = front[front["label"].notna()]
    searched = front[front["label"].isna() & front["on_front"]].sort_values(f"select_{first.metric}")
    room = max(1, CARDS - len(controls))
    if len(searched) > room:
        step = (len(searched) - 1) / max(1, room - 1)
        searched = searched.iloc[[round(i * step) for i in range(room)]]
    return pd.concat([searched, controls])


def wanted(study: StudyData, front: pd.DataFrame) -> list[str]:
    """Finished trials, the most wanted first: of each configuration one, from the best on, then further seeds."""
    finished = study.trials[study.trials["state"] == "finished"].sort_values("role", kind="stable")  # fresh ones first
    rank = pd.Series(range(len(front)), index=_by_merit(front, study)["configuration"]) if len(front) else pd.Series()
    place = finished["configuration"].map(rank).fillna(len(rank))
    seed = finished.groupby("configuration").cumcount()
    return list(finished.assign(place=place, nth=seed).sort_values(["nth", "place"], kind="stable")["trial"])


def _by_merit(front: pd.DataFrame, study: StudyData) -> pd.DataFrame:
    """The front first, then by the best place in any objective."""
    places = pd.concat([(o.sign * front[f"select_{o.metric}"]).rank() for o in study.objectives], axis=1)
    return front.assign(best_place=places.min(axis=1)).sort_values(["on_front", "best_place"], ascending=[False, True])
