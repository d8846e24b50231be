"""Trials of a pool trained again: honest ones come out as they are, others are found, and what cannot be told is not
fine."""

import json
import sys
from dataclasses import replace
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from tiny import tiny_recipe

from evae import data, pool
from evae.cluster.setting import Setting
from evae.cluster.trainable import EpochTrainable
from evae.data.base import DataRecipe
from evae.identity import identity
from evae.metrics.features import load_features
from evae.metrics.reference import references
from evae.recipe import Recipe
from evae.results.store import Store
from evae.search.job import Job
from evae.study.retraining import draw
from evae.training import Training

DATA = DataRecipe(source="mnist-5k", train_images=40, validation_images=20, test_images=20)


def recipe(seed: int, width: float = 1e-3) -> Recipe:
    return replace(tiny_recipe(epochs=2, seed=seed, learning_rate=width), data=DATA)


@pytest.fixture(scope="module")
def trained(tmp_path_factory) -> list[dict[str, Any]]:
    """The rows of a study: three seeds of one configuration, and one of another."""
    store, images = Store(tmp_path_factory.mktemp("lab") / "theirs"), data.load(DATA)
    store.prepare()
    known = references(
        {n: getattr(images, n) for n in ("validation", "test")}, images.train, load_features("efficientnet-lite0-b2")
    )
    setting = Setting(study="theirs", store=store, images=images, references=known, cpus=1, gpus=0, keep="none")

    class Local(EpochTrainable):
        def setup(self, config: dict[str, Any]) -> None:
            super().setup(config, setting)

    for number, one in enumerate((recipe(0), recipe(1), recipe(2), recipe(0, 2e-3))):
        job = Job(one.configuration(), number, one.seed, 1, {}, one.to_dict(), "searched", None)
        made = Local({"job": job})
        while not made.train()["done"]:
            pass
    by_number = {row["number"]: row for row in store.rows("trials")}
    return [by_number[number] for number in range(4)]


@pytest.fixture
def checked(monkeypatch, capsys, tmp_path, trained):
    """Calls `pool check --retrain`: (exit status, output). Rows are changed as the keywords of each index say."""

    def call(*given: str, changes: dict[int, dict[str, Any]] | None = None) -> tuple[Any, str]:
        (tmp_path / "a/trials").mkdir(parents=True, exist_ok=True)
        for index, row in enumerate(trained):
            row = row | (changes or {}).get(index, {})
            pq.write_table(pa.Table.from_pylist([row]), tmp_path / "a/trials" / f"{row['trial']}.parquet")
        monkeypatch.setattr(sys, "argv", ["evae.pool", "check", str(tmp_path), *(given or ("--retrain", "1"))])
        token = pool.CALLED.set(None)
        try:
            pool.main()
        except SystemExit as end:
            return end.code, " ".join(capsys.readouterr().out.split())
        finally:
            pool.CALLED.reset(token)

    return call


ELSEWHERE = {"processor": "another"}


def test_honest_trials_come_out_as_they_are_to_the_last_column(checked):
    status, said = checked()
    assert status == 0 and "4 as it was, 0 differs" in said and said.count("exactly, but for rounding") == 4


@pytest.mark.parametrize("name", ["val_elbo_nats", "gen_sharpness", "rec_psnr_db"])
def test_a_row_with_another_value_than_comes_out_is_found(checked, trained, name):
    status, said = checked(changes={0: {name: trained[0][name] * 1.001}})
    assert status == 1 and "3 as it was, 1 differs" in said and f"{name} is" in said


def test_elsewhere_a_trial_may_differ_as_another_seed_does_and_not_more(checked, trained):
    everywhere = dict.fromkeys(range(4), ELSEWHERE)
    status, said = checked(changes=everywhere)
    assert status == 0 and said.count("within the spread between seeds (processor") == 4
    status, said = checked(changes=everywhere | {3: ELSEWHERE | {"rec_psnr_db": trained[3]["rec_psnr_db"] + 1e6}})
    assert status == 1 and "3 as it was, 1 differs" in said and "apart at most between seeds (processor" in said


def test_without_a_second_seed_anywhere_it_cannot_be_told(checked):
    status, said = checked(changes={0: ELSEWHERE, 1: {"state": "failed"}, 2: {"state": "failed"}})
    assert status == 1 and "1 as it was, 0 differs, 1 cannot be told" in said and "two seeds" in said


def named(row: dict[str, Any], **changes: Any) -> dict[str, Any]:
    """Changes with the identity that they have."""
    new = row | changes
    own = identity(json.loads(new["recipe"]), new["data_digest"], new["precision"], new["numerics"])
    return changes | {"identity": own}


def test_what_cannot_be_trained_here_is_named_and_not_fine(checked, trained):
    plugged = json.loads(trained[2]["recipe"])
    plugged["posterior"] = {"family": "their_own"}
    changes = {
        0: named(trained[0], data_digest="0" * 16),
        1: named(trained[1], numerics=99),
        2: named(trained[2], recipe=json.dumps(plugged)),
    }
    status, said = checked(changes=changes)
    assert status == 1 and "1 as it was, 0 differs, 0 cannot be told, 3 not trained" in said
    assert "were 0000000000000000" in said and "version 99 of the numbers" in said and "their_own" in said
    status, said = checked(changes={0: {"device": "cuda:9"}})
    assert status == 1 and "3 as it was" in said and "1 not trained" in said and "cuda:9, which is not here" in said


def test_ctrl_c_says_what_has_been_compared(checked, monkeypatch):
    train, calls = Training.train_epoch, []

    def interrupted(self):
        calls.append(1)
        if len(calls) > 2:
            raise KeyboardInterrupt
        return train(self)

    monkeypatch.setattr(Training, "train_epoch", interrupted)
    status, said = checked()
    assert status == 130 and "stopped: 1 of 4 have been compared" in said and "1 as it was" in said


@pytest.mark.parametrize("share", ["0", "1.1", "-1", "nan"])
def test_what_is_no_share_is_refused(checked, share):
    assert "above 0, at most 1" in checked("--retrain", share)[0]


def test_a_share_is_drawn_the_same_each_time_and_another_by_another_seed(trained):
    fine = [(None, trained[0] | {"identity": str(number)}) for number in range(100)]
    drawn = {seed: [row["identity"] for _, row in draw(fine, 0.1, seed)] for seed in range(3)}
    assert [len(of) for of in drawn.values()] == [10] * 3 and len({tuple(of) for of in drawn.values()}) == 3
    assert drawn[0] == [row["identity"] for _, row in draw(fine[::-1], 0.1, 0)]
    assert len(draw(fine, 1e-9, 0)) == 1 and not draw([], 0.5, 0)
    assert len(draw(fine + fine, 1, 0)) == 100
