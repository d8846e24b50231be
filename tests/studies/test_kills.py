"""A study whose driver is killed again and again, at any moment, ends as one that nobody disturbed."""

import random
import time
from collections import Counter
from pathlib import Path

import pytest
from running import Study, wait_until

EPOCHS = 3
STARTING_S, TRAINING_S = 10.0, 1.0
"""While a study starts a kill comes at any moment; once it trains, within about the time of a trial."""


def begin_and_kill(study: Study, training: bool, moments: random.Random) -> None:
    """A session killed at a random moment: any of its start, or after it has recorded an epoch.

    Its processes are not waited for, as nobody would.
    """
    before, process = epochs(study), study.start()
    if training:
        wait_until(lambda: epochs(study) > before or process.poll() is not None, "no epoch")
    time.sleep(moments.uniform(0, TRAINING_S if training else STARTING_S))
    process.kill()
    process.wait()
    process.stdout.close()


def epochs(study: Study) -> int:
    return len(study.rows("epochs")) if Path(study.store.location).exists() else 0


def assert_as_undisturbed(study: Study, trials: int) -> None:
    """Every trial ended once, every epoch of it was recorded once, and nothing else is there."""
    rows = study.rows()
    assert Counter(row["state"] for row in rows) == {"finished": trials}
    assert len({row["trial"] for row in rows}) == trials
    recorded = Counter((row["trial"], row["epoch"]) for row in study.rows("epochs"))
    assert recorded == {(row["trial"], epoch): 1 for row in rows for epoch in range(1, EPOCHS + 1)}
    assert {(row["number"], row["role"]) for row in rows} == {
        (number, role) for number in range(study.options["trials"]) for role in ("search", "confirm")
    }


def kill_and_finish(study: Study, times: int) -> None:
    """The first while it trains, then one at each beginning and one in each training by turns."""
    moments = random.Random(0)
    for turn in range(times):
        begin_and_kill(study, training=turn % 2 == 0, moments=moments)
    # All of these are controls, which are confirmed.
    trials = study.options["trials"] * (study.options["seeds"] + study.options["confirm"])
    status, said = study.run()
    assert status == 0 and f"{trials} of {trials} trials: {trials} finished" in said, said
    assert_as_undisturbed(study, trials)


def test_a_kill_while_it_trains_loses_nothing_and_repeats_nothing(tmp_path):
    kill_and_finish(Study(tmp_path, trials=4, confirm=1, epochs=EPOCHS, trials_at_once=1), 1)


@pytest.mark.slow
def test_fifty_kills_lose_nothing_and_repeat_nothing(tmp_path):
    kill_and_finish(Study(tmp_path, trials=4, confirm=14, epochs=EPOCHS), 50)
