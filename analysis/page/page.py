"""The page: what the template shows as text, and what its scripts draw, sort and open, as JSON."""

import base64
import functools
import json
import math
from pathlib import Path
from typing import Any

import jinja2
import numpy as np
import pandas as pd
import plotly.graph_objects as go
import plotly.offline

from analysis.study import advice, details, identities, naming, provenance, sources, tables, timing, verdicts, words
from analysis.study.load import StudyData
from analysis.study.naming import Objective
from analysis.study.pictures import Pictures, choose, kinds, pictures, wanted
from analysis.views import hypervolume, importance, reproduction, theme
from analysis.views.drawing import Chart
from analysis.views.sections import draw
from evae.search.job import CONFIRM

PAGE = Path(__file__).parent
SCRIPTS = ("state.js", "charts.js", "table.js", "panel.js", "page.js")
DIGITS = 6  # significant digits of a drawn number


def render(study: StudyData, live: bool = False) -> str:
    """The page's HTML, which needs nothing from the web; a `live` one asks its own server for newer ones."""
    table = tables.configurations(study)
    table = table.assign(hover=details.hovers(table, study.objectives))
    front = tables.front(table, study.objectives)
    grown, shares = hypervolume.history(study, table), importance.shares(study, table)
    charts = draw(study, table, front, grown, shares)
    cards, others = choose(front, study), sources.others(study)
    shown = pictures(study, cards, wanted(study, front))
    judged = verdicts.verdicts(study)
    return template("report.html").render(
        verdicts=verdicts.table(judged).to_dict("records"),
        verdict_notes=verdicts.notes(study, judged),
        outcome=verdicts.outcome(judged) if len(judged) > 1 else "",
        study=study,
        tiles=tiles(study, table),
        paragraphs=[*words.summary(study, table), *filter(None, [sources.said(study, table)])],
        advice=advice.next_steps(study, table, front, grown, shares).to_dict("records"),
        charts=charts,
        confirms=bool(table["confirmed"].any()),
        channels=study.manifest.get("data", {}).get("channels", 3),
        cards=[card(row, study, others) for row in cards.to_dict("records") if row["trial"] in shown.of],
        pictures=shown,
        places={name: i for i, name in enumerate(table["configuration"])},
        trial_places={name: i for i, name in enumerate(study.trials["trial"])},
        columns=trial_columns(study),
        trial_count=len(study.trials),
        failures=tables.failures(study).to_dict("records"),
        shares=timing.timing(study).to_dict("records"),
        identities=identities.table(study).to_dict("records"),
        comparable=provenance.comparable(study),
        manifest=provenance.manifest(study),
        reproduction=reproduction.table(study),
        data=embed(study, table, front, charts, shown, live),
        files=script_json(shown.files),
        **assets(SCRIPTS),
    )


@functools.cache
def template(name: str) -> jinja2.Template:
    """Compiled once, which takes longer than to fill it in: a report that is renewed all the time waits for it."""
    environment = jinja2.Environment(
        loader=jinja2.FileSystemLoader(PAGE),
        autoescape=True,
        undefined=jinja2.StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    environment.filters |= {"number": naming.number, "duration": naming.duration}
    environment.tests["bound"] = naming.is_likelihood
    return environment.get_template(name)


def assets(scripts: tuple[str, ...]) -> dict[str, str]:
    """Style sheet, plotly.js and the page's own scripts, each of which is a function of the earlier ones' `report`."""
    own = "\n".join((PAGE / name).read_text(encoding="utf-8") for name in scripts)
    css = (PAGE / "report.css").read_text(encoding="utf-8")
    return {"css": css, "js": own, "plotly": plotly.offline.get_plotlyjs()}


def tiles(study: StudyData, table: pd.DataFrame) -> list[tuple[str, str, str]]:
    """Key numbers at the top of the page: (name, value, remark)."""
    finished = int((study.trials["state"] == "finished").sum())
    found = [("trials finished", f"{finished:,}", f"of {len(study.trials):,}")]
    for objective in study.objectives[:3]:
        order = tables.judged(tables.best(table, objective))
        if len(order):
            first = order.iloc[0]
            value = naming.interval(first[objective.metric], first[f"{objective.metric}_chosen"])
            remark = first["name"]
            if first["confirmed"]:
                remark += f", in the search {naming.number(first[f'searched_{objective.metric}'])}"
            if len(better := words.ahead(order, objective)):
                remark += f"; {better['name'].iloc[0]} is better"
            found.append((f"{'chosen as ' if first['confirmed'] else ''}best {objective.label}", value, remark))
    real = tables.real_sharpness(study)
    if math.isfinite(real):
        found.append(("sharpness of real images", naming.number(real), "test split"))
    share = timing.timing(study)
    if len(share):
        training = share.set_index("activity")["share"]["training"]
        found.append(("time spent training", f"{100 * training:.0f} %", "of slots × wall time"))
    wall = timing.wall_seconds(study)
    if wall > 0:
        found.append(("wall time", naming.duration(wall), naming.count(max(1, len(study.sessions)), "session")))
    return found


def card(row: dict[str, Any], study: StudyData, others: list[Objective]) -> dict[str, Any]:
    """A configuration of the gallery; `others` are objectives of samples by what else these were drawn from."""
    scores = [
        (o.label, naming.interval(row[o.metric], row[f"{o.metric}_half"]), row[f"searched_{o.metric}"])
        for o in study.objectives
    ]
    return {
        "id": row["configuration"],
        "name": row["name"],
        "trial": row["trial"],
        "on_front": bool(row["on_front"]),
        "control": bool(row["control"]),
        "confirmed": bool(row["confirmed"]),
        "scores": [*scores, *((o.label, naming.number(float(row[o.metric])), None) for o in others)],
    }


def trial_columns(study: StudyData) -> list[tuple[str, str, str]]:
    """Columns of the table of trials: (key, title, kind), the kind being "text" or "number"."""
    trials = study.trials
    optional = [c for c in trials if c.startswith("param_") and trials[c].notna().any()]
    parameters = [
        (
            c,
            naming.parameter(c.removeprefix("param_")),
            "number" if pd.api.types.is_numeric_dtype(trials[c]) else "text",
        )
        for c in optional
    ]
    role = [("role", "role", "text")] if (trials["role"] == CONFIRM).any() else []
    restarts = [("restarts", "restarts", "number")] if trials["restarts"].notna().any() else []
    # Trials that one process trained at a time; stores of before there were lanes do not say.
    lanes = [("lanes", "lanes", "number")] if (trials["lanes"] > 1).any() else []
    # On CPUs there is nothing to say.
    captured = trials["stepped"].dropna().ne("as it comes").any()
    stepped = [("stepped", "training steps", "text")] if captured else []
    return [
        ("number", "#", "number"),
        ("name", "configuration", "text"),
        ("seed", "seed", "number"),
        *role,
        ("state", "state", "text"),
        *((metric, naming.label(metric), "number") for metric in shown_objectives(study)),
        *parameters,
        ("epochs", "epochs", "number"),
        *restarts,
        *lanes,
        *stepped,
        ("wall_s", "wall time (s)", "number"),
        ("reason", "reason", "text"),
        ("trial", "trial", "text"),
    ]


def shown_objectives(study: StudyData) -> list[str]:
    """The objectives, each sharpness gap with the sharpness that it was taken from, and those of samples by what else
    these were drawn from."""
    found = []
    for objective in study.objectives:
        found.append(objective.metric)
        raw = tables.ratio_columns(objective.metric)[0]
        if naming.is_gap(objective.metric) and raw in study.trials:
            found.append(raw)
    return list(dict.fromkeys([*found, *(o.metric for o in sources.others(study))]))


def trial_rows(study: StudyData) -> list[list[Any]]:
    """Cells of the table of all trials: numbers or None, and texts."""
    columns = trial_columns(study)
    found = []
    for row in study.trials.to_dict("records"):
        row["name"] = tables.name(row["label"], row["number"], row.get("param_kernel"), row["method"])
        found.append([_cell(row.get(key), kind) for key, _, kind in columns])
    return found


def _cell(value: Any, kind: str) -> float | str | None:
    missing = value is None or value is pd.NA or (isinstance(value, float) and math.isnan(value))
    if kind == "text":
        return "" if missing else str(value)
    return None if missing else _short(float(value))


def embed(
    study: StudyData,
    table: pd.DataFrame,
    front: pd.DataFrame,
    charts: dict[str, list[Chart]],
    shown: Pictures,
    live: bool,
) -> str:
    """Figures, configurations, trials and where their pictures are, as JSON that may stand inside a script element."""
    places = {
        "configuration": {name: i for i, name in enumerate(table["configuration"])},
        "trial": {name: i for i, name in enumerate(study.trials["trial"])},
    }
    weights = study.store.sizes("weights", ".safetensors")
    return script_json(
        {
            "study": study.name,
            "location": study.location,
            "live": live,
            "themes": themes(),
            "figures": {c.key: linked(plain(c.figure), places) for section in charts.values() for c in section},
            "configurations": details.configurations(study, table, front),
            "trials": details.trials(study, table),
            "traces": details.traces(study),
            "conditions": details.conditions(study),
            "plugins": details.plugin_options(study),
            "recipe": details.common_recipe(study),
            "metrics": [details.named(metric) for metric in details.shown_metrics(study)],
            "objectives": shown_objectives(study),
            "confirms": bool(table["confirmed"].any()),
            "searched": [c.key for section in charts.values() for c in section if c.searched],
            "columns": [[title, kind, key] for key, title, kind in trial_columns(study)],
            "rows": trial_rows(study),
            "pictures": {places["trial"][trial]: pieces for trial, pieces in shown.of.items()},
            "kinds": kinds(shown),
            "weights": [places["trial"][trial] for trial in weights if trial in places["trial"]],
        }
    )


def themes() -> dict[str, Any]:
    """The Plotly templates of both modes."""
    both = {"light": theme.LIGHT, "dark": theme.DARK}
    return {
        name: json.loads(go.Figure(layout=dict(template=t)).to_json())["layout"]["template"] for name, t in both.items()
    }


def plain(figure: go.Figure) -> dict[str, Any]:
    """A figure as JSON-ready dicts and lists without its template, numbers rounded to what can be seen."""
    whole = figure.to_dict()
    whole["layout"].pop("template", None)  # the page puts in the one of its mode
    return _plain(whole)


def linked(figure: dict[str, Any], places: dict[str, dict[str, int]]) -> dict[str, Any]:
    """Names of configurations and trials as their places; their texts are in the list of configurations."""
    for trace in figure["data"]:
        if trace.get("meta") in places:
            trace["customdata"] = [places[trace["meta"]].get(name) for name in trace["customdata"]]
            if trace["meta"] == "configuration":
                trace.pop("text", None)
    return figure


def _plain(value: Any) -> Any:
    if isinstance(value, dict):
        if "bdata" in value:
            flat = np.frombuffer(base64.b64decode(value["bdata"]), value["dtype"])
            return [_short(v) if isinstance(v, float) else v for v in flat.tolist()]
        return {key: _plain(part) for key, part in value.items()}
    if isinstance(value, np.ndarray):
        value = value.tolist()
    if isinstance(value, (list, tuple)):
        return [_plain(part) for part in value]
    return _short(value) if isinstance(value, float) else value


def _short(value: float) -> float | None:
    return float(f"{value:.{DIGITS}g}") if math.isfinite(value) else None


def script_json(value: Any) -> str:
    return json.dumps(value, separators=(",", ":"), ensure_ascii=False, default=str).replace("<", "\\u003c")
