"""What the panel of a configuration shows: values, replicates, recipe, rate of each latent."""

import math
import shlex
from collections.abc import Mapping, Sequence
from typing import Any

import pandas as pd

from analysis.study import naming, tables
from analysis.study.load import StudyData, metric_columns, parse
from analysis.study.naming import Objective
from evae.search.job import CONFIRM, SEARCH

DIGITS = 3  # significant digits of the rate of a latent
TRACES = 1_000_000  # characters of stack traces on a page; those beyond are left in the results


def configurations(study: StudyData, table: pd.DataFrame, front: pd.DataFrame) -> list[dict[str, Any]]:
    """One entry a configuration, in the table's order: what of it every view needs, and what its panel shows.

    `role` is that of the trials whose values it has, `recipe` holds the parts in which it differs from `common_recipe`,
    `trials` are places in `study.trials`.
    """
    on_front = set(front.loc[front["on_front"], "configuration"]) if len(front) else set()
    places = study.trials.groupby("configuration", sort=False).indices
    common = common_recipe(study)
    recipes = study.trials.drop_duplicates("configuration").set_index("configuration")["recipe"]
    metrics = shown_metrics(study)
    found = []
    texts = hovers(table, study.objectives)
    for row, hover in zip(table.to_dict("records"), texts, strict=True):
        recipe = parse(recipes.get(row["configuration"]), {}, exact=True)
        found.append(
            {
                "id": row["configuration"],
                "name": row["name"],
                "method": row["method"],
                "kernel": row["kernel"] if isinstance(row["kernel"], str) else None,
                "origin": row["origin"],
                "front": row["configuration"] in on_front,
                "control": bool(row["control"]),
                "role": CONFIRM if row["confirmed"] else SEARCH,
                "remark": remark(row, table["confirmed"].any()),
                "standard": isinstance(row["label"], str) and is_standard(row, recipe),
                "hover": hover,
                "values": values(row, metrics),
                "params": [[naming.parameter(k), naming.number(v)] for k, v in row["params"].items()],
                "trials": [int(i) for i in places.get(row["configuration"], [])],
                "recipe": {key: part for key, part in recipe.items() if common.get(key) != part},
            }
        )
    return found


def remark(row: Mapping[str, Any], confirms: bool) -> str:
    """What a configuration's values rest on, in a study that `confirms` some; empty in others."""
    if row["confirmed"]:
        return f"By {naming.count(int(row['n']), 'fresh seed')}, which took no part in choosing it."
    return "Not confirmed: by the search's own seeds, and flattered where it was chosen by them." if confirms else ""


def is_standard(row: dict[str, Any], recipe: dict[str, Any]) -> bool:
    """Whether a configuration is the plain VAE: the exact KL divergence to the prior with weight 1."""
    posterior = recipe.get("posterior")
    beta = posterior.get("beta", 1.0) if isinstance(posterior, dict) else row["params"].get("beta", 1.0)
    return row["method"] == "gaussian" and beta == 1.0


def common_recipe(study: StudyData) -> dict[str, Any]:
    """The recipe of the first trial, without parts that others lack; in the parts it has, theirs may differ."""
    recipes = [recipe for text in study.trials["recipe"].unique() if (recipe := parse(text, {}, exact=True))]
    return {key: part for key, part in (recipes or [{}])[0].items() if all(key in recipe for recipe in recipes)}


def shown_metrics(study: StudyData) -> list[str]:
    """The objectives, then the other metrics of the test split."""
    others = [m for m in metric_columns(study.trials) if not m.startswith(("val_", "real_"))]
    return list(dict.fromkeys([*(o.metric for o in study.objectives), *others]))


def named(metric: str) -> str:
    """A metric in words with its unit."""
    unit = naming.unit(metric)
    return f"{naming.label(metric)} ({unit})" if unit else naming.label(metric)


def values(row: dict[str, Any], metrics: Sequence[str]) -> list[str | None]:
    """A configuration's value of each of `metrics` as text, with its interval where it has one, a sharpness beside real
    images'; None where unknown.
    """
    return [_value(row, m) if _is_finite(row[m]) else None for m in metrics]


def _value(row: dict[str, Any], metric: str) -> str:
    text = naming.interval(row[metric], row.get(f"{metric}_half", math.nan))
    ratio = tables.against_real(row, metric) if not naming.is_gap(metric) else math.nan
    return f"{text} ({naming.times(ratio)} real)" if math.isfinite(ratio) else text


def _is_finite(value: object) -> bool:
    return isinstance(value, float) and math.isfinite(value)


def trials(study: StudyData, table: pd.DataFrame) -> list[dict[str, Any]]:
    """One entry a trial, in the order of `study.trials`: id, configuration (its place in `table`), seed, role, state,
    the rate of each latent, or of each channel of a code map, in nats where it is known, the `code_shape` of such a map
    in words, the place of its stack trace in `traces` where it has one, what it ran on (its place in `conditions`), and
    where it was trained if that was elsewhere.
    """
    place = {configuration: i for i, configuration in enumerate(table["configuration"])}
    trace = {text: i for i, text in enumerate(traces(study))}
    known = {text: i for i, text in enumerate(conditions(study))}
    found = []
    for row in study.trials.to_dict("records"):
        rates = row["rate_per_latent"] if row["code_shape"] is None else row["rate_per_channel"]
        found.append(
            {
                "id": row["trial"],
                "configuration": place.get(row["configuration"]),
                "seed": None if math.isnan(row["seed"]) else int(row["seed"]),
                "role": row["role"],
                "state": row["state"],
                "codes": row["code_shape"],
                "rates": None if rates is None else [_short(rate) for rate in rates],
                # -1 is one that had no room.
                "trace": None if row["traceback"] is None else trace.get(row["traceback"], -1),
                "ran": known[_ran(row)],
                "taken": _taken(row),
            }
        )
    return found


def traces(study: StudyData) -> list[str]:
    """The stack traces of trials, each once, as many as there is room for."""
    found, room = [], TRACES
    for text in dict.fromkeys(study.trials["traceback"].dropna()):
        room -= len(text)
        if room >= 0:
            found.append(text)
    return found


def conditions(study: StudyData) -> list[str]:
    """What the trials ran on, each once, as options of `python -m evae.repeat`."""
    return list(dict.fromkeys(_ran(row) for row in study.trials.to_dict("records")))


def plugin_options(study: StudyData) -> str:
    """The study's plug-ins as options of `python -m evae.repeat`."""
    given = study.manifest.get("options", {}).get("plugin") or []
    return shlex.join(word for plugin in given for word in ("--plugin", str(plugin)))


def _taken(row: dict[str, Any]) -> str | None:
    if row["taken_study"] is None:
        return None
    return f"study {row['taken_study']} ({row['taken_from']}), trial {row['taken_trial']}"


def _ran(row: dict[str, Any]) -> str:
    """Empty where nothing is recorded."""
    options = [(name, row[name]) for name in ("device", "precision", "processor") if isinstance(row[name], str)]
    # One process is what the command starts.
    options += [(name, f"{row[name]:.0f}") for name, least in (("threads", 1), ("workers", 2)) if row[name] >= least]
    return shlex.join(word for name, value in options for word in (f"--{name}", value))


def _short(value: float) -> float | None:
    return float(f"{value:.{DIGITS}g}") if math.isfinite(value) else None


def hovers(table: pd.DataFrame, objectives: Sequence[Objective]) -> list[str]:
    """Of each configuration its name, objectives with intervals and parameters, a line each.

    A column "hover" of the table is taken as it is: a report shows the same configurations in many charts.
    """
    if "hover" in table:
        return list(table["hover"])
    of = [c for o in objectives for c in (o.metric, f"{o.metric}_half", f"searched_{o.metric}")]
    columns = ["name", "n", "confirmed", "params", *of]
    beside = [c for o in objectives if naming.is_gap(o.metric) for c in tables.ratio_columns(o.metric) if c in table]
    columns = list(dict.fromkeys([*columns, *beside]))
    confirms = bool(table["confirmed"].any())
    return [_hover(row, objectives, confirms) for row in table[columns].to_dict("records")]


def _hover(row: Mapping[str, Any], objectives: Sequence[Objective], confirms: bool) -> str:
    seeds = naming.count(int(row["n"]), "fresh seed" if row["confirmed"] else "seed")
    lines = [f"<b>{row['name']}</b> ({seeds}{', not confirmed' if confirms and not row['confirmed'] else ''})"]
    for o in objectives:
        lines.append(f"{o.label}: {naming.interval(row[o.metric], row[f'{o.metric}_half'])}")
        if row["confirmed"]:
            lines[-1] += f", in the search {naming.number(row[f'searched_{o.metric}'])}"
        if naming.is_gap(o.metric) and math.isfinite(ratio := tables.against_real(row, o.metric)):
            lines[-1] += f" ({naming.times(ratio)} real images' sharpness)"
    lines += [f"{naming.parameter(k)}: {naming.number(v)}" for k, v in row["params"].items()]
    return "<br>".join(lines)
