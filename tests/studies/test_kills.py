"""A study whose driver is killed again and again, at any moment, ends as one that nobody disturbed."""

import random
import time
from collections import Counter
from pathlib import Path

import pytest
from running import Study

EPOCHS, SESSION_S = 3, 14.0
"""A session of such a study takes about so long, start and end included: kills come at any moment of it."""


def killed(study: Study, times: int, moments: random.Random) -> list[str]:
    """Begin or continue the study `times` times, each killed at a random moment; the trials that finished.

    Its processes are not waited for, as nobody would.
    """
    for _ in range(times):
        process = study.start()
        time.sleep(moments.uniform(0, SESSION_S))
        process.kill()
        process.wait()
        process.stdout.close()
        finished = [name for name, state in study.states().items() if state == "finished"] if begun(study) else []
    return finished


def begun(study: Study) -> bool:
    return Path(study.store.location).exists()


def assert_as_undisturbed(study: Study, trials: int) -> None:
    """Every trial ended once, every epoch of it was recorded once, and nothing else is there."""
    rows = study.rows()
    assert Counter(row["state"] for row in rows) == {"finished": trials}
    assert len({row["trial"] for row in rows}) == trials
    epochs = Counter((row["trial"], row["epoch"]) for row in study.rows("epochs"))
    assert epochs == {(row["trial"], epoch): 1 for row in rows for epoch in range(1, EPOCHS + 1)}
    assert {row["number"] for row in rows} == set(range(trials // study.options["seeds"]))


def kill_and_finish(study: Study, times: int) -> list[str]:
    finished = killed(study, times, random.Random(0))
    trials = study.options["trials"] * study.options["seeds"]
    status, said = study.run()
    assert status == 0 and f"{trials} of {trials} trials: {trials} finished" in said, said
    assert_as_undisturbed(study, trials)
    return finished


def test_five_kills_lose_nothing_and_repeat_nothing(tmp_path):
    kill_and_finish(Study(tmp_path, trials=6, epochs=EPOCHS), 5)


@pytest.mark.slow
def test_fifty_kills_lose_nothing_and_repeat_nothing(tmp_path):
    finished = kill_and_finish(Study(tmp_path, trials=40, epochs=EPOCHS), 50)
    assert len(finished) > 10  # the kills did meet a study at work
