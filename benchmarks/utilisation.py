"""How much of the machine's time goes into training? Short trials in a study, and in Ray's documented way.

    python benchmarks/utilisation.py [--documented 6] [--default-evaluation 8] [--results FOLDER]
    python benchmarks/utilisation.py --workers 2 --trials 10        # each trial on both cores: a worker group
    python benchmarks/utilisation.py --lanes 3 --trials 24 --documented 0       # three trials in each of two processes

Share = seconds inside `Training.train_epoch`, summed over trials, / (slots x wall of the search). The wall runs from
the call of `Tuner.fit` to its return, so start-up of actors, searcher, evaluation, store and the idle end count
against it; `ray.init` and the preparation of data and references do not (they are given beside it). A trial trains 10
epochs of as many mnist-5k digits as make about --seconds on one core, measured at the start of the run.

- study: `run_study` as the studies call it, TPE over beta, with 32 + 32 held-out images to evaluate on, so that the
  number is about launching. With the default 500 + 500 as well if --default-evaluation asks for it.
- documented: a Tune function that builds a `TorchTrainer` with the same workers and hands its reports on by
  `TuneReportCallback`. The worker runs the same `Training` for the same epochs and validates after each; it leaves
  out the final evaluation, the store and the searcher. It is given fewer trials, for it takes long.

The gap is the time from the end of a trial to the first epoch of the next one in its slot (for the documented way, of
the n-th trial to start after the first ones and the n-th to end). Goal: a share of 0.90,
which the start of the first processes still prevents.
"""

import argparse
import contextlib
import tempfile
import time
from collections.abc import Iterator
from dataclasses import dataclass, replace
from statistics import median

import ray
import torch
from _documented import run_documented
from _record import table, write_result
from optuna.trial import BaseTrial
from ray import tune
from rich.console import Console

from evae.data import DataRecipe, load
from evae.posteriors.gaussian import Gaussian
from evae.recipe import Recipe
from evae.results.store import Store
from evae.search.space import Space
from evae.study.options import StudyOptions
from evae.study.run import run_study
from evae.training import Training

EPOCHS, CORES, HELD_OUT = 10, 2, 32


def suggest(trial: BaseTrial, base: Recipe) -> Recipe:
    """Trials that differ, but take the same time."""
    return replace(base, posterior=Gaussian(beta=trial.suggest_float("beta", 0.5, 2.0)))


@dataclass(frozen=True, kw_only=True)
class ShortTrials(StudyOptions):
    """A study of trials that differ in nothing that takes time."""

    space = Space(suggest)

    name: str = "utilisation"
    size: str = "tiny"
    latent: int = 32
    epochs: int = EPOCHS
    confirm: int = 0


@dataclass(frozen=True)
class Trial:
    """Seconds since the epoch: start of the first epoch and end of all work. Seconds: what it spent on what."""

    slot: str
    started: float
    ended: float
    train_s: float
    evaluate_s: float = 0.0
    launch_s: float = float("nan")


@dataclass(frozen=True)
class Search:
    """What a way did between `started` and `ended`, in seconds since the epoch; `total_s` with all preparation."""

    way: str
    slots: int
    started: float
    ended: float
    total_s: float
    trials: list[Trial]

    @property
    def capacity(self) -> float:
        """Slot-seconds that there were."""
        return self.slots * (self.ended - self.started)

    def parts(self) -> dict[str, float]:
        """Where the slot-seconds went, as shares that add up to one."""
        starts, ends = sorted(t.started for t in self.trials), sorted(t.ended for t in self.trials)
        spent = {
            "training": sum(t.train_s for t in self.trials),
            "evaluation": sum(t.evaluate_s for t in self.trials),
            "before the first epochs": sum(s - self.started for s in starts[: self.slots]),
            "between trials": sum(self.gaps()),
            "after the last trials": sum(self.ended - e for e in ends[-self.slots :]),
        }
        spent["between epochs"] = self.capacity - sum(spent.values())
        return {name: seconds / self.capacity for name, seconds in spent.items()}

    def once_running(self) -> float:
        """The share of training without the time that the slots' first epochs had to wait for."""
        parts = self.parts()
        return parts["training"] / (1 - parts["before the first epochs"])

    def gaps(self) -> list[float]:
        """Seconds in which a slot waited for its next trial's first epoch."""
        starts, ends = sorted(t.started for t in self.trials), sorted(t.ended for t in self.trials)
        return [start - end for start, end in zip(starts[self.slots :], ends, strict=False)]


@contextlib.contextmanager
def fit_times() -> Iterator[list[float]]:
    """Start and end of the one `Tuner.fit` inside; timed from outside, so that the study is the real one."""
    times: list[float] = []
    fit = tune.Tuner.fit

    def timed(tuner: tune.Tuner) -> tune.ResultGrid:
        times.append(time.time())
        try:
            return fit(tuner)
        finally:
            times.append(time.time())

    tune.Tuner.fit = timed
    try:
        yield times
    finally:
        tune.Tuner.fit = fit


def with_study(way: str, trials: int, workers: int, train_images: int, held_out: int, lanes: int = 1) -> Search:
    """A real study, and what its store says of the trials' times."""
    begun = time.perf_counter()
    with tempfile.TemporaryDirectory() as folder, fit_times() as times:
        slots = CORES // workers * lanes
        options = ShortTrials(
            results=folder,
            train_images=train_images,
            validation_images=held_out,
            test_images=held_out,
            trials=trials,
            workers_per_trial=workers,
            trials_at_once=slots,
            lanes=lanes,
        )
        store = run_study(__doc__.splitlines()[0], options, Console())
        total_s = time.perf_counter() - begun
        first = {}
        for epoch in store.read("epochs").to_pylist():
            first[epoch["trial"]] = min(epoch["started_at"], first.get(epoch["trial"], epoch["started_at"]))
        found = [
            Trial(
                row["slot"],
                first[row["trial"]].timestamp(),
                row["ended_at"].timestamp(),
                row["train_s"],
                row["evaluate_s"],
                row["launch_s"],
            )
            for row in store.read("trials").to_pylist()
        ]
    return Search(way, slots, *times, total_s, found)


def documented(trials: int, workers: int, train_images: int, held_out: int) -> Search:
    """The same trainings through a TorchTrainer per trial."""
    begun = time.perf_counter()
    recipe = ShortTrials(train_images=train_images, validation_images=held_out, test_images=held_out).base_recipe()
    with fit_times() as times:
        results = run_documented(recipe, trials, CORES // workers, workers)
    found = [Trial("", r["started"], r["ended"], r["train_s"], r["evaluate_s"]) for r in results]
    return Search("documented (TorchTrainer per trial)", CORES // workers, *times, time.perf_counter() - begun, found)


def calibrate(seconds: float) -> int:
    """Training images, in hundreds, of which EPOCHS epochs take about this long on one core."""
    recipe = ShortTrials(train_images=1000).base_recipe()
    training = Training(replace(recipe, posterior=Gaussian()), load(DataRecipe(train_images=1000)))
    training.train_epoch()
    speed = median(training.train_epoch()["images_per_s"] for _ in range(3))
    return max(100, min(4000, round(seconds * speed / EPOCHS / 100) * 100))


def summarise(searches: list[Search]) -> str:
    rows = [
        {
            "way": s.way,
            "trials": str(len(s.trials)),
            "training per trial, s": f"{median(t.train_s for t in s.trials):.2f}",
            "share training": f"**{s.parts()['training']:.3f}**",
            "once running": f"{s.once_running():.3f}",
            "gap median, s": f"{median(s.gaps()):.3f}",
            "gap max, s": f"{max(s.gaps()):.3f}",
            "launch_s median / max": _launches(s),
            "search, s": f"{s.ended - s.started:.1f}",
            "with preparation, s": f"{s.total_s:.1f}",
            "training over all": f"{sum(t.train_s for t in s.trials) / (s.slots * s.total_s):.3f}",
        }
        for s in searches
    ]
    parts = [{"way": s.way, **{name: f"{share:.1%}" for name, share in s.parts().items()}} for s in searches]
    return f"{table(rows)}\nWhere slots x wall of the search went:\n\n{table(parts)}"


def _launches(search: Search) -> str:
    """Model and optimiser built, of the trials that were not the first in their slot."""
    later = sorted(search.trials, key=lambda t: t.started)[search.slots :]
    if any(t.launch_s != t.launch_s for t in later):
        return "in the gap"
    return f"{median(t.launch_s for t in later):.3f} / {max(t.launch_s for t in later):.3f}"


def evaluation_share(location: str) -> str:
    """A sentence on the finished trials of a study that was run before."""
    done = [row for row in Store(location).read("trials").to_pylist() if row["state"] == "finished"]
    shares = sorted(row["evaluate_s"] / row["wall_s"] for row in done)
    return (
        f"\nEvaluation of the {len(done)} finished trials of the study {done[0]['study']}: {median(shares):.1%} of a "
        f"trial's time (median; {shares[0]:.1%} to {shares[-1]:.1%}), {median(r['evaluate_s'] for r in done):.1f} s "
        f"beside {median(r['train_s'] for r in done):.1f} s of training.\n"
    )


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--trials", type=int, default=20, help="of the study")
    parser.add_argument("--seconds", type=float, default=5.0, help="that a trial trains, about")
    parser.add_argument("--documented", type=int, default=6, help="trials of the documented way; 0 leaves it out")
    parser.add_argument("--default-evaluation", type=int, default=0, help="trials evaluated on 500 + 500 images")
    parser.add_argument("--results", help="folder of a finished kernel sweep, for its evaluation share")
    parser.add_argument("--workers", type=int, default=1, choices=(1, CORES), help="of a trial")
    parser.add_argument("--lanes", type=int, default=1, help="trials that share a process, which is one for each core")
    given = parser.parse_args()
    if any(0 < count <= CORES * given.lanes for count in (given.trials, given.default_evaluation, given.documented)):
        parser.error(f"give each way more than {CORES * given.lanes} trials: gaps are those of the later ones")
    torch.set_num_threads(1)
    # Lanes share a core: each trains at a part of its speed.
    count = calibrate(given.seconds / given.lanes)
    way = "study" if given.lanes == 1 else f"study, {given.lanes} lanes a process"
    searches = [with_study(way, given.trials, given.workers, count, HELD_OUT, given.lanes)]
    if given.default_evaluation:
        searches.append(with_study("study, default evaluation", given.default_evaluation, given.workers, count, 500))
    if given.documented:
        searches.append(documented(given.documented, given.workers, count, HELD_OUT))
    text = summarise(searches) + (
        f"\n{searches[0].slots} slot(s), {CORES // given.workers} process(es) of {given.workers} core(s); trials of "
        f"{EPOCHS} epochs of {count} grey digits at 32 px, tiny networks, one thread a process or lane; ray "
        f"{ray.__version__}. What is counted: see the docstring.\n"
    )
    if given.results:
        text += evaluation_share(given.results)
    name = "lanes" if given.lanes > 1 else "utilisation" if given.workers == 1 else "worker-groups"
    write_result(name, __doc__.splitlines()[0], text)


if __name__ == "__main__":
    main()
