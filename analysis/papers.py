"""The tables of a report as a paper has them."""

import math
from collections.abc import Iterator

import numpy as np
import pandas as pd

from analysis.page import page
from analysis.study import identities, naming, sources, tables, timing, verdicts
from analysis.study.load import StudyData
from analysis.study.naming import Objective
from analysis.typeset import Cell, Table, Value
from analysis.views import reproduction
from evae.search.noise import ERROR, beaten


def all_tables(study: StudyData, front: pd.DataFrame) -> list[Table]:
    """Those that the study has; `front` are its configurations (`tables.front`)."""
    given = (
        _configurations(study, front),
        _verdicts(study),
        _identities(study),
        _reproduction(study),
        _losses(study),
        _time(study),
        _trials(study),
    )
    return [made for made in given if made is not None and made.rows]


def _configurations(study: StudyData, front: pd.DataFrame) -> Table:
    """The front, the controls and what is confirmed, by the first objective."""
    objectives = [*study.objectives, *sources.others(study)]
    compared = tables.judged(front)
    shown = compared[compared["on_front"] | compared["control"] | compared["confirmed"]]
    if study.objectives and len(shown):
        first = study.objectives[0]
        shown = shown.loc[(first.sign * shown[first.metric]).sort_values(kind="stable").index]
    best = {o.metric: _best(compared, o, len(study.objectives)) for o in study.objectives}
    fresh = bool(len(compared) and compared["confirmed"].any())
    seeds = "fresh seeds, which took no part in choosing them" if fresh else "the seeds that they were chosen by, too"
    caption = (
        f"{study.name}: the configurations on the front and the controls, means over {seeds}, on the test split, with "
        f"95 % intervals where there are replicates. Bold: better than all others of {len(compared)} by more than "
        f"noise, which is wrong in {100 * ERROR:.0f} % of studies at most for all columns together."
    )
    rows = [
        [row["name"], int(row["n"]), *(_value(row, o, best.get(o.metric)) for o in objectives)]
        for row in shown.to_dict("records")
    ]
    heads = [("configuration", ""), ("seeds", ""), *map(_head, objectives)]
    return Table("configurations", caption, heads, ["text"] + ["number"] * (len(heads) - 1), rows)


def _head(objective: Objective) -> tuple[str, str]:
    return f"{objective.label} {'↑' if objective.direction == 'max' else '↓'}", naming.unit(objective.metric)


def _best(compared: pd.DataFrame, objective: Objective, columns: int) -> str | None:
    """The configuration that is better than all others by more than noise: the only one of a set that holds the best
    one with the confidence that the report's front has (`noise.beaten`)."""
    values = objective.sign * compared[objective.metric].to_numpy(float)
    if len(compared) < 2 or not np.isfinite(values).all():
        return None
    noise = tables.noise_of(compared, objective.metric)
    left = compared["configuration"][~beaten(values[:, None], [noise], ERROR / columns)]
    return left.iloc[0] if len(left) == 1 else None


def _value(row: dict, objective: Objective, best: str | None) -> Value:
    half = row.get(f"{objective.metric}_chosen", math.nan)
    return Value(float(row[objective.metric]), float(half), best == row["configuration"])


def _verdicts(study: StudyData) -> Table | None:
    judged = verdicts.verdicts(study)
    if not judged:
        return None
    columns = {"claim": "claim", "verdict": "verdict", "size": "size", "interval": "interval", "evidence": "by"}
    rows = [[row[name] for name in columns] for row in verdicts.table(judged).to_dict("records")]
    caption = f"{study.name}: its claims. " + " ".join(verdicts.notes(study, judged))
    return Table("verdicts", caption, [(head, "") for head in columns.values()], ["text"] * len(columns), rows)


def _identities(study: StudyData) -> Table:
    columns = {"metric": "metric", "features": "features", "digest": "digest", "resize": "resize"}
    numbers = {"n_real": "real", "n_generated": "generated", "floor": "floor", "n": "trials"}
    known = identities.table(study).reindex(columns=[*columns, *numbers]).to_dict("records")
    rows = [[*(_words(row[c]) for c in columns), *(_number(row[c]) for c in numbers)] for row in known]
    kinds = ["text"] * len(columns) + ["number"] * len(numbers)
    caption = f"{study.name}: what its distances, accuracies and likelihoods hang on, and their floors."
    return Table("identities", caption, [(head, "") for head in (columns | numbers).values()], kinds, rows)


def _reproduction(study: StudyData) -> Table | None:
    column, lines = reproduction.table(study)
    if not lines:
        return None
    columns = {
        **{"latent": "latents", "seeds": "seeds", "distance": "distance", "distance_ratio": "/ VAE"},
        **{"sharpness": "sharpness", "sharpness_ratio": "/ VAE", "paper_fid": "paper's FID"},
        **{"paper_fid_ratio": "/ VAE", "paper_sharpness": "paper's sharpness", "paper_sharpness_ratio": "/ VAE"},
    }
    rows = [[line.model, *(_number(getattr(line, name)) for name in columns)] for line in lines]
    caption = f"{study.name}: reconstructions beside the paper's; the distance is {column}."
    heads = [("model", ""), *((head, "") for head in columns.values())]
    return Table("reproduction", caption, heads, ["text"] + ["number"] * len(columns), rows)


def _losses(study: StudyData) -> Table:
    rows = [[row["state"], row["reason"], int(row["n"])] for row in tables.failures(study).to_dict("records")]
    heads = [("ended as", ""), ("reason", ""), ("trials", "")]
    return Table(
        "losses", f"{study.name}: trials that something went wrong with.", heads, ["text", "text", "number"], rows
    )


def _time(study: StudyData) -> Table:
    rows = [[row["activity"], row["seconds"] / 3600, row["share"]] for row in timing.timing(study).to_dict("records")]
    heads = [("activity", ""), ("time", "hours of a slot"), ("share", "of slots × wall time")]
    return Table("time", f"{study.name}: where the machine's time went.", heads, ["text", "number", "number"], rows)


def _trials(study: StudyData) -> Table:
    columns = page.trial_columns(study)
    metrics = {key: naming.unit(key) for key, _, _ in columns}
    heads = [(title, metrics[key]) for key, title, _ in columns]
    return Table("trials", f"{study.name}: its trials.", heads, [kind for *_, kind in columns], page.trial_rows(study))


def _words(value: object) -> str:
    return value if isinstance(value, str) else ""


def _number(value: object) -> Cell:
    known = isinstance(value, int | float | np.number) and math.isfinite(value)
    return (int(value) if float(value).is_integer() else float(value)) if known else None


def files(made: Iterator[Table] | list[Table]) -> dict[str, str]:
    """Contents by file name: each table as table-NAME.csv, .tex and .md."""
    return {
        f"table-{table.name}.{suffix}": write()
        for table in made
        for suffix, write in (("csv", table.csv), ("tex", table.latex), ("md", table.markdown))
    }
