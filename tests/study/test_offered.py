"""What a study's sampler is told of the pool."""

import json
import shutil
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest
from tiny import tiny_recipe

from evae.identity import identity
from evae.numerics import NUMERICS
from evae.results.offers import Offers, gathered
from evae.results.store import Store
from evae.search.objectives import complete
from evae.study.covered import Wanted
from evae.study.offered import said, told
from evae.study.pool import StudyPool

DIGEST, NOON = "0123456789abcdef", datetime(2026, 1, 2, 12, tzinfo=UTC)


def write(folder: Path, *rows: dict[str, Any]) -> None:
    store = Store(folder)
    store.prepare()
    for number, changes in enumerate(rows):
        plain = replace(tiny_recipe(), seed=number).to_dict()
        row = {"trial": f"a-s{number}", "state": "finished", "seed": number, "role": "search", "params": "{}"}
        row |= {"recipe": json.dumps(plain), "identity": identity(plain, DIGEST, "fp32"), "data_digest": DIGEST}
        row |= {"numerics": NUMERICS, "ended_at": NOON + timedelta(hours=number)}
        store.write("trials", row["trial"], [row | changes])


def offers(results: Path) -> Offers:
    return gathered((), str(results), Store(results / "mine"), DIGEST)


def test_a_bound_is_not_told_as_a_rate(tmp_path):
    """Whether a rate is one stands in a column beside it."""
    write(
        tmp_path / "a", {"val_rate_nats": 5.0, "val_rate_is": "bound"}, {"val_rate_nats": 7.0, "val_rate_is": "exact"}
    )
    (one,) = told(offers(tmp_path), ["val_rate_nats"], Wanted((), {}))
    assert [row["seed"] for row in complete(one.rows, [("val_rate_nats", "min")])] == [1]


@pytest.mark.parametrize("wrong", ["many", [1.0]])
def test_a_value_that_is_no_number_is_left_out(tmp_path, wrong):
    write(tmp_path / "a", {"val_rec_psnr_db": wrong})
    write(tmp_path / "b", {}, {"val_rec_psnr_db": 20.0})
    found = list(told(offers(tmp_path), ["val_rec_psnr_db"], Wanted((), {})))
    assert [row["val_rec_psnr_db"] for one in found for row in one.rows] == [None, 20.0]


def test_studies_that_have_nothing_are_not_counted(tmp_path):
    write(tmp_path / "a", {}, {})
    write(tmp_path / "b", {"data_digest": "another"}, {"data_digest": "another", "numerics": NUMERICS + 1})
    write(tmp_path / "c", {"numerics": NUMERICS + 1})
    shutil.copytree(tmp_path / "a" / "trials", tmp_path / "copy" / "trials")  # of the same trials
    pool = StudyPool(offers(tmp_path), Store(tmp_path / "mine"), "mine", DIGEST, Wanted((), {}))
    first, second = said(pool, claims=False)
    assert first.startswith("pool: 2 finished trials on these images, of 2 other studies: ") and "--pool none" in first
    assert second == "1 trials of the pool are not taken: made by another version's numbers"
    assert said(pool, claims=True)[1] == "what the pool had before a claim was stated counts for nothing in its verdict"
