"""Ours beside the paper's: reconstruction distance and sharpness, as values and as ratios to the VAE.

The paper's columns are FID on Inception features (Qin & Huang, arXiv 2405.12783v2, tables 1-3). Where ours is a
distance on other features its values cannot be compared with the paper's, only the ratios to the VAE can be looked at
side by side, and the table's heading says which features ours are.
"""

import math
from dataclasses import dataclass
from statistics import fmean, stdev

from analysis.study.columns import numbers
from analysis.study.load import StudyData
from analysis.study.naming import is_distance
from analysis.study.tables import shown

Published = dict[tuple[str, int], tuple[float, float]]
PAPER: dict[str, dict[int, Published]] = {
    "mnist": {
        3: {
            ("VAE", 8): (15.70, 0.0211),
            ("EVAE B=0.1", 8): (14.74, 0.0243),
            ("VAE", 16): (11.93, 0.0252),
            ("EVAE B=0.1", 16): (10.49, 0.0305),
            ("VAE", 32): (11.97, 0.0249),
            ("EVAE B=0.1", 32): (7.92, 0.0338),
            ("VAE", 64): (11.97, 0.0246),
            ("EVAE B=0.1", 64): (5.13, 0.0360),
        },
    },
    "fashion-mnist": {
        3: {
            ("VAE", 8): (41.47, 0.0157),
            ("EVAE B=0.1", 8): (36.18, 0.0176),
            ("VAE", 16): (38.85, 0.0159),
            ("EVAE B=0.1", 16): (26.71, 0.0216),
            ("VAE", 32): (38.74, 0.0163),
            ("EVAE B=0.1", 32): (18.47, 0.0251),
            ("VAE", 64): (39.31, 0.0161),
            ("EVAE B=0.1", 64): (12.02, 0.0267),
        },
        2: {
            ("VAE", 64): (39.1, 0.016),
            ("EVAE B=0.1", 64): (12.2, 0.027),
            ("EVAE B=10", 64): (32.6, 0.019),
            ("beta-VAE 0.1", 64): (19.5, 0.023),
        },
    },
    "cifar10": {
        1: {
            ("VAE", 8): (230.1, 0.0353),
            ("EVAE B=0.1", 8): (226.6, 0.0337),
            ("VAE", 16): (181.4, 0.0350),
            ("EVAE B=0.1", 16): (164.2, 0.0355),
            ("VAE", 32): (149.7, 0.0348),
            ("EVAE B=0.1", 32): (123.5, 0.0359),
            ("VAE", 64): (144.7, 0.0355),
            ("EVAE B=0.1", 64): (79.7, 0.0369),
        },
        2: {
            ("VAE", 64): (142.9, 0.035),
            ("EVAE B=0.1", 64): (79.7, 0.036),
            ("EVAE B=10", 64): (154.8, 0.035),
            ("beta-VAE 0.1", 64): (84.4, 0.035),
        },
    },
    "celeba": {
        1: {
            ("VAE", 8): (198.7, 0.0147),
            ("EVAE B=0.1", 8): (198.7, 0.0154),
            ("VAE", 16): (152.5, 0.0148),
            ("EVAE B=0.1", 16): (149.7, 0.0154),
            ("VAE", 32): (110.1, 0.0156),
            ("EVAE B=0.1", 32): (97.5, 0.0162),
            ("VAE", 64): (77.2, 0.0163),
            ("EVAE B=0.1", 64): (65.3, 0.0167),
        },
    },
}
"""Data set -> number of the paper's table -> (model, latents) -> (reconstruction FID, sharpness of reconstructions).

A model is looked up in the first of the tables that has it. Each has a VAE of its own, table 2 one of other runs."""


@dataclass(frozen=True, kw_only=True)
class Line:
    """One model at one latent size. Means over the finished seeds, sample standard deviation from two seeds on.

    Ratios are to the VAE of the same latent size, and the paper's to that of the same table of the paper. None where
    there is nothing to show.
    """

    model: str
    latent: int
    seeds: int
    distance: float | None
    distance_sd: float | None
    distance_ratio: float | None
    sharpness: float | None
    sharpness_ratio: float | None
    paper_table: int | None
    paper_fid: float | None
    paper_fid_ratio: float | None
    paper_sharpness: float | None
    paper_sharpness_ratio: float | None


def distance_column(study: StudyData) -> str:
    """The column of the reconstructions' Fréchet distance in this study: `rec_fid` or `rec_fd_...`."""
    names = [c for c in study.trials if is_distance(c) and c.startswith(("rec_fid", "rec_fd_"))]
    return names[0] if names else "rec_fd"


def comparison(study: StudyData) -> list[Line]:
    """A line for every model and latent size, the latent sizes in order."""
    column = distance_column(study)
    paper = PAPER.get(str(study.manifest.get("data", {}).get("source")), {})
    seen: dict[tuple[str, int], list[tuple[float, float]]] = {}
    trials = shown(study)
    named = trials.assign(param_latent=numbers(trials["param_latent"]))
    for row in named.dropna(subset=["param_model", "param_latent"]).to_dict("records"):
        values = seen.setdefault((str(row["param_model"]), int(row["param_latent"])), [])
        if row["state"] == "finished":
            values.append((row.get(column, math.nan), row["rec_sharpness"]))
    return [_line(key, seen, paper) for key in sorted(seen, key=lambda key: key[1])]


def _line(key: tuple[str, int], seen: dict, paper: dict[int, Published]) -> Line:
    ours, base = _means(seen[key]), _means(seen.get(("VAE", key[1]), []))
    number, published = next(((n, found) for n, found in paper.items() if key in found), (None, {}))
    theirs, their_base = (published.get(of, (None, None)) for of in (key, ("VAE", key[1])))
    distances = [distance for distance, _ in seen[key] if math.isfinite(distance)]
    return Line(
        model=key[0],
        latent=key[1],
        seeds=len(seen[key]),
        distance=ours[0],
        distance_sd=stdev(distances) if len(distances) > 1 else None,
        distance_ratio=_ratio(ours[0], base[0]),
        sharpness=ours[1],
        sharpness_ratio=_ratio(ours[1], base[1]),
        paper_table=number,
        paper_fid=theirs[0],
        paper_fid_ratio=_ratio(theirs[0], their_base[0]),
        paper_sharpness=theirs[1],
        paper_sharpness_ratio=_ratio(theirs[1], their_base[1]),
    )


def _means(values: list[tuple[float, float]]) -> tuple[float | None, float | None]:
    """Of each of the two, over the values that are known."""
    known = [[value for value in column if math.isfinite(value)] for column in zip(*values, strict=True)] or [[], []]
    return tuple(fmean(column) if column else None for column in known)


def _ratio(value: float | None, base: float | None) -> float | None:
    return value / base if value is not None and base else None


def table(study: StudyData) -> tuple[str, list[Line]]:
    """(our distance's column, lines) where the study is a reproduction of models that the paper has; else no lines."""
    source = str(study.manifest.get("data", {}).get("source"))
    if source not in PAPER or not {"param_model", "param_latent", "rec_sharpness"} <= set(study.trials):
        return "", []
    column = distance_column(study)
    return (column, comparison(study)) if column in study.trials else ("", [])


def as_markdown(study: StudyData) -> str:
    """The comparison as a Markdown table, with the identity of our distance in its heading."""
    heading = (
        f"| model | latents | seeds | {distance_column(study)} | (sd) | / VAE | sharpness | / VAE "
        "| paper FID | / VAE | paper sharpness | / VAE | table |"
    )
    rows = [heading, "|" + " --- |" * 13]
    for line in comparison(study):
        distance, ratio = _text(line.distance, ".4g"), _text(line.distance_ratio, ".2f")
        cells = [
            line.model,
            str(line.latent),
            str(line.seeds),
            distance,
            _text(line.distance_sd, ".2g"),
            ratio,
        ]
        cells += [_text(line.sharpness, ".4f"), _text(line.sharpness_ratio, ".2f")]
        cells += [_text(line.paper_fid, ".2f"), _text(line.paper_fid_ratio, ".2f")]
        cells += [_text(line.paper_sharpness, ".4f"), _text(line.paper_sharpness_ratio, ".2f")]
        cells += [_text(line.paper_table, "d")]
        rows.append("| " + " | ".join(cells) + " |")
    return "\n".join(rows) + "\n"


def _text(value: float | None, form: str) -> str:
    return "-" if value is None else format(value, form)
