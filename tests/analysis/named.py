"""A made-up study of named configurations alone, with given values of each seed."""

import json
from collections.abc import Mapping, Sequence
from pathlib import Path

from synthetic import DISTANCE

from evae.results.store import Store

IDENTITY = {"features": "some-net", "n_real": 500, "floor": 1.0}


def write_named(
    folder: str | Path,
    source: str | None,
    values: Mapping[str, Mapping[str, Sequence[float]]],
    objectives: Sequence[str] = (DISTANCE,),
    recipes: Mapping[str, Mapping[str, object]] | None = None,
    state: str = "finished",
    **data: object,
) -> None:
    """`values` has for each label and metric those of all seeds; `recipes` what is not the recipe's default."""
    store = Store(folder)
    store.prepare()
    named = Path(folder).name if source is None else source
    row = {"session": "1", "study": named, "state": state, "data": json.dumps({"source": source, **data})}
    row["objectives"] = json.dumps([[o, "max" if o in ("rec_psnr_db", "gen_sharpness") else "min"] for o in objectives])
    store.write("study", "1", [row])
    for number, (label, of) in enumerate(values.items()):
        recipe = {"posterior": {"family": label}, "optimisation": {"epochs": 5}, **(recipes or {}).get(label, {})}
        for seed, metrics in enumerate(zip(*of.values(), strict=True)):
            trial = f"{number}-s{seed}"
            measured = dict(zip(of, map(float, metrics), strict=True))
            key = {"trial": trial, "configuration": str(number), "number": number, "label": label, "seed": seed}
            given = {"data": {"source": source}, "seed": seed, **recipe}
            about = {"recipe": json.dumps(given), "params": json.dumps({"method": label}), "rate_is": "exact"}
            about |= {"distances": json.dumps({DISTANCE: IDENTITY}), "origin": "control", "state": "finished"}
            store.write("trials", trial, [{**key, **about, **measured}])
