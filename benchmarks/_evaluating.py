"""Seconds of an evaluation, alone and beside others, for benchmarks/gpu.py."""

import time
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from functools import partial
from statistics import median
from threading import Barrier, Event

import torch
from _page import Page
from _rates import CAPTURED, Setting
from utilisation import ShortTrials

from evae.cluster.pack import AT_ONCE, own_stream
from evae.evaluation import evaluate
from evae.metrics.features import Features, load_features
from evae.metrics.reference import Reference, references
from evae.recording import functions
from evae.recording.program import AS_IT_COMES
from evae.training import Training

TRIAL_S, WARM, TURNS = 0.5, 1 + functions.PROVED, 5
"""How long a short trial trains. A thread's first evaluations, which also prove what is replayed, are not counted; so
many that follow are."""
SEARCHED = [metric for metric, _ in ShortTrials().resolved_objectives()]


def evaluating(page: Page, setting: Setting) -> None:
    """A table of evaluations whose functions are captured, and come one by one; on a CPU one of these each."""
    lanes, at_once = setting.lanes[-1], AT_ONCE if setting.gpu else 1
    warm, counted = (WARM, TURNS) if setting.gpu else (0, 1)
    said = (
        f"Evaluations with default options, the median of {counted} of each thread after {warm} that are not counted: "
        f"one alone, {at_once} at once, and those beside {lanes} lanes that train; their share of a trial that trains "
        f"for {TRIAL_S:g} s; and images per second of the lanes meanwhile:"
    )
    columns = {"alone, s": "{:.3f}", "at once, s": "{:.3f}", "beside lanes, s": "{:.3f}"}
    columns |= {"share of a short trial": "{:.2f}", "lanes, images/s": "{:,.0f}"}
    found = page.table("evaluation", columns, said)
    recipe = setting.recipe("small" if setting.gpu else "tiny")
    features = load_features(recipe.evaluation.features, setting.device)
    images = setting.images
    real = references({"test": images.test, "validation": images.validation}, images.train, features)
    trainings = [Training(recipe, images, setting.device) for _ in range(at_once)]
    for training in trainings:
        training.train_epoch()
        training.validate()
        training.release()

    def seconds(count: int) -> float:
        """Of an evaluation, so many at once, each in a thread that has measured nothing yet."""
        begin = Barrier(count)
        with ThreadPoolExecutor(count, initializer=partial(prepare, setting)) as threads:
            given = features, real, begin, warm, counted
            took = list(threads.map(lambda training: turns(training, *given), trainings[:count]))
        return median(each for turn in took for each in turn)

    def all_of(how: str) -> dict[str, float]:
        with run(how):
            cells = {"alone, s": seconds(1), "at once, s": seconds(at_once)}
            with training_lanes(setting, lanes) as trained:
                clock, before = time.perf_counter(), sum(trained)
                beside = seconds(at_once)
                rate = (sum(trained) - before) / (time.perf_counter() - clock)
        share = beside / (TRIAL_S + beside)
        return cells | {"beside lanes, s": beside, "share of a short trial": share, "lanes, images/s": rate}

    for how in (AS_IT_COMES, CAPTURED) if setting.gpu else (AS_IT_COMES,):
        found.take(how, lambda how=how: all_of(how))
        setting.forget()
    if cells := found.found.get(CAPTURED):
        page.aim("an evaluation's share of a short trial beside lanes", "at most 0.15", cells["share of a short trial"])


def turns(
    training: Training, features: Features, real: dict[str, Reference], begin: Barrier, warm: int, counted: int
) -> list[float]:
    """The seconds of each of a thread's evaluations but the first ones, which others wait for."""
    took = []
    try:
        for turn in range(warm + counted):
            training._losses.pop("test", None)  # the validation split's are those of the last epoch
            if turn == warm:
                begin.wait()
            clock = time.perf_counter()
            evaluate(training, features, real, searched=SEARCHED)
            took.append(time.perf_counter() - clock)
    except Exception:
        begin.abort()
        raise
    return took[warm:]


@contextmanager
def training_lanes(setting: Setting, count: int) -> Iterator[list[int]]:
    """Lanes that train meanwhile; how many images each of them has trained on."""
    trained, ready, end = [0] * count, Barrier(count + 1), Event()

    def lane(number: int) -> None:
        try:
            if setting.gpu:
                torch.cuda.set_stream(torch.cuda.Stream(setting.device))
            recipe = setting.recipe("small" if setting.gpu else "tiny")
            training = Training(recipe, setting.images, setting.device)
            for _ in range(2):
                training.train_epoch()
            ready.wait()
            while not end.is_set():
                training.train_epoch()
                trained[number] += len(setting.images.train)
            training.release()
        except Exception:
            ready.abort()
            raise

    with ThreadPoolExecutor(count) as threads:
        running = [threads.submit(lane, number) for number in range(count)]
        try:
            ready.wait()
            yield trained
        finally:
            end.set()
    for each in running:
        each.result()


@contextmanager
def run(how: str) -> Iterator[None]:
    """New threads capture functions meanwhile, or do not."""
    recorder: Callable = functions.recorder
    if how != CAPTURED:
        functions.recorder = lambda *given: None
    try:
        yield
    finally:
        functions.recorder = recorder


def prepare(setting: Setting) -> None:
    torch.set_num_threads(1)
    if setting.gpu:
        own_stream(functions.PRIORITY)
