"""One self-contained HTML page about a study, from its Parquet files alone.

python analysis/report.py results/kernel-sweep
"""

import json
import math
import sys
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated, Any

import jinja2
import pandas as pd
import plotly.graph_objects as go
import plotly.offline
import tyro

from analysis import figures, importance, naming, parallel, tables, theme, timing, words
from analysis.gallery import Gallery, gallery
from analysis.load import StudyData, load
from evae.errors import UserError

HERE = Path(__file__).parent
HIGHLIGHTED = 10  # learning curves drawn in colour


@dataclass(frozen=True)
class Chart:
    """A figure on the page: `minimum` is the width in pixels below which it scrolls instead of shrinking."""

    key: str
    title: str
    figure: go.Figure
    note: str = ""
    minimum: int = 0


def write_report(results: str | Path, output: str | Path | None = None) -> Path:
    """Write the report of the study at `results`, and return where it lies (default: RESULTS/report.html).

    Raises UserError when there is no study, or the place cannot be written.
    """
    study = load(results)
    if output is None and not study.store.is_local:
        raise UserError(f"{study.location} is not a local folder: say where to write the report with --output.")
    path = Path(output) if output is not None else Path(study.store.root) / "report.html"
    page = render(study)
    try:
        path.write_text(page, encoding="utf-8")
    except OSError as error:
        raise UserError(f"cannot write the report: {error}. Choose another place with --output.") from None
    return path


def render(study: StudyData) -> str:
    """The page's HTML, which needs nothing from the web."""
    table = tables.configurations(study)
    front = tables.front(table, study.objectives)
    charts = draw(study, table, front)
    pictures = gallery(study, front)
    environment = jinja2.Environment(
        loader=jinja2.FileSystemLoader(HERE),
        autoescape=True,
        undefined=jinja2.StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    environment.filters |= {"number": naming.number, "duration": naming.duration}
    return environment.get_template("report.html").render(
        study=study,
        tiles=tiles(study, table),
        paragraphs=words.summary(study, table),
        charts=charts,
        gallery=pictures,
        rows=trial_rows(study),
        columns=trial_columns(study),
        failures=tables.failures(study).to_dict("records"),
        shares=timing.timing(study).to_dict("records"),
        identities=tables.identities(study).to_dict("records"),
        manifest=manifest(study),
        data=embed(charts, pictures),
        css=(HERE / "report.css").read_text(encoding="utf-8"),
        js=(HERE / "report.js").read_text(encoding="utf-8"),
        plotly=plotly.offline.get_plotlyjs(),
    )


def tiles(study: StudyData, table: pd.DataFrame) -> list[tuple[str, str, str]]:
    """Key numbers at the top of the page: (name, value, remark)."""
    finished = int((study.trials["state"] == "finished").sum())
    found = [("trials finished", f"{finished:,}", f"of {len(study.trials):,}")]
    for objective in study.objectives[:3]:
        order = tables.best(table, objective)
        if len(order):
            first = order.iloc[0]
            value = naming.interval(first[objective.metric], first[f"{objective.metric}_half"])
            found.append((f"best {objective.label}", value, first["name"]))
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


def draw(study: StudyData, table: pd.DataFrame, front: pd.DataFrame) -> dict[str, list[Chart]]:
    """The charts of each section; a section without data has none."""
    charts: dict[str, list[Chart]] = {
        "front": [],
        "kernels": [],
        "importance": [],
        "parameters": [],
        "learning": [],
        "time": [],
    }
    objectives = study.objectives
    if len(front):
        floors = {o.metric: tables.floor(study, o.metric) for o in objectives}
        title = f"{objectives[0].label} against {objectives[1].label}" if len(objectives) > 1 else objectives[0].label
        charts["front"] = [
            Chart("front", title, figures.front(front, objectives, tables.real_sharpness(study), floors))
        ]
        charts["parameters"] = [
            Chart("parallel", "", parallel.parallel_coordinates(front, objectives), units(objectives), 860)
        ]
    for objective in objectives:
        by_kernel = tables.kernels(table, objective)
        if len(by_kernel):
            drawn = figures.kernels(by_kernel, tables.ranked(table, [objective]), objective)
            charts["kernels"].append(Chart(f"kernels-{objective.metric}", objective.label, drawn))
    space = study.manifest.get("space", {})
    shares = {o: found for o in objectives if len(found := importance.importance(space, table, o))}
    if shares:
        charts["importance"] = [Chart("importance", "", figures.importance(shares))]
    shown = front[front["on_front"] | front["label"].notna()].head(HIGHLIGHTED)
    highlight = dict(zip(shown["configuration"], shown["name"], strict=True))
    for metric, label in (("val_distortion_nats", "distortion"), ("val_rate_nats", "rate")):
        curves = tables.learning_curves(study, metric)
        if len(curves):
            drawn = figures.learning_curves(curves, metric, f"validation {label} (nats per image)", highlight)
            charts["learning"].append(Chart(metric, f"{label} on the validation split", drawn))
    lanes = timing.timeline(study)
    if len(lanes):
        charts["time"] = [Chart("timeline", "", figures.timeline(lanes))]
    return charts


def units(objectives: list[naming.Objective]) -> str:
    """The objectives' units in a sentence, for charts whose axes have no room for them."""
    return "; ".join(f"{o.label}: {naming.unit(o.metric)}" for o in objectives if naming.unit(o.metric))


def trial_columns(study: StudyData) -> list[tuple[str, str, str]]:
    """Columns of the table of trials: (key, title, kind), the kind being "text" or "number"."""
    fixed = [
        ("number", "#", "number"),
        ("name", "configuration", "text"),
        ("seed", "seed", "number"),
        ("state", "state", "text"),
    ]
    objectives = [(o.metric, o.label, "number") for o in study.objectives]
    params = [c for c in study.trials if c.startswith("param_") and study.trials[c].notna().any()]
    parameters = [
        (
            c,
            naming.parameter(c.removeprefix("param_")),
            "number" if pd.api.types.is_numeric_dtype(study.trials[c]) else "text",
        )
        for c in params
    ]
    return [
        *fixed,
        *objectives,
        *parameters,
        ("epochs", "epochs", "number"),
        ("wall_s", "wall time (s)", "number"),
        ("reason", "reason", "text"),
        ("trial", "trial", "text"),
    ]


def trial_rows(study: StudyData) -> list[list[dict[str, Any]]]:
    """Cells of the table of all trials: what is shown and by what it sorts."""
    columns = trial_columns(study)
    rows = []
    for row in study.trials.to_dict("records"):
        row["name"] = tables.name(row["label"], row["number"], row.get("param_kernel"), row["method"])
        rows.append([_cell(key, row.get(key), kind) for key, _, kind in columns])
    return rows


def _cell(key: str, value: Any, kind: str) -> dict[str, Any]:
    missing = value is None or (isinstance(value, float) and math.isnan(value)) or value is pd.NA
    if kind == "number":
        value = math.nan if missing else float(value)
        return {
            "key": key,
            "text": naming.number(value),
            "sort": "" if missing else repr(value),
            "kind": kind,
        }
    text = "" if missing else str(value)
    return {"key": key, "text": text, "sort": text, "kind": kind}


def manifest(study: StudyData) -> list[tuple[str, str]]:
    """What must be known to repeat the study: (name, value)."""
    known = study.manifest
    commit = known.get("git_commit")
    dirty = {True: " with uncommitted changes", False: ""}.get(known.get("git_dirty"), "")
    entries: list[tuple[str, object]] = [
        ("command", known.get("command")),
        ("state", known.get("state")),
        ("started", known.get("started_at")),
        ("ended", known.get("ended_at")),
        ("commit", f"{commit}{dirty}" if commit else None),
        ("slots", known.get("slots")),
        *(("data: " + k.replace("_", " "), v) for k, v in known.get("data", {}).items()),
        *(
            ("hardware: " + k.replace("_gib", " (GiB)").replace("_", " "), v)
            for k, v in known.get("hardware", {}).items()
        ),
        *(("option: " + k.replace("_", " "), v) for k, v in known.get("options", {}).items()),
        *(("space: " + naming.parameter(k), v) for k, v in known.get("space", {}).items()),
        ("packages", ", ".join(f"{k} {v}" for k, v in sorted(known.get("packages", {}).items())) or None),
        ("results", study.location),
        ("schema version", known.get("schema_version")),
    ]
    return [(name, _plain(value)) for name, value in entries if value is not None and value == value and value != []]


def _plain(value: object) -> str:
    if isinstance(value, pd.Timestamp):
        return f"{value:%Y-%m-%d %H:%M:%S} UTC"
    if isinstance(value, (dict, list)):
        if isinstance(value, list) and not any(isinstance(item, (dict, list)) for item in value):
            return ", ".join(map(str, value))
        return json.dumps(value, ensure_ascii=False).translate(str.maketrans("", "", '"{}'))
    return naming.number(value) if isinstance(value, float) else str(value)


def embed(charts: dict[str, list[Chart]], pictures: Gallery) -> str:
    """Figures, themes and pictures as JSON that may stand inside a script element."""
    drawn = {}
    for chart in (c for section in charts.values() for c in section):
        plain = json.loads(chart.figure.to_json())
        plain["layout"].pop("template", None)  # the page puts in the one of its mode
        drawn[chart.key] = plain
    themes = {
        name: json.loads(go.Figure(layout=dict(template=t)).to_json())["layout"]["template"]
        for name, t in (("light", theme.LIGHT), ("dark", theme.DARK))
    }
    text = json.dumps({"figures": drawn, "themes": themes, "pictures": pictures.data}, separators=(",", ":"))
    return text.replace("<", "\\u003c")


def main(
    results: Annotated[
        str,
        tyro.conf.Positional,
        tyro.conf.arg(metavar="RESULTS", help="the study's results, e.g. results/kernel-sweep"),
    ],
    output: Annotated[
        Path | None,
        tyro.conf.arg(metavar="PATH", help="where to write the page (default: RESULTS/report.html)"),
    ] = None,
) -> None:
    """Write the report of a study: one HTML page that opens without the web."""
    print(write_report(results, output))


if __name__ == "__main__":
    try:
        tyro.cli(main)
    except UserError as error:
        sys.exit(f"error: {error}")
