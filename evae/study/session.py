"""A session of a study: what others have trained is taken, and where more is to be trained, Ray is started or joined
for it."""

import importlib
import threading
from dataclasses import replace

from rich.console import Console
from rich.text import Text

from evae.cluster.access import require_token
from evae.cluster.demand import Demand
from evae.cluster.machine import ray_session
from evae.cluster.versions import require_same_versions
from evae.data.base import ImageSet
from evae.hardware import accelerator
from evae.results.store import Store
from evae.search.job import Job
from evae.search.searcher import StudySearcher
from evae.study.course import course
from evae.study.manifest import Manifest
from evae.study.offered import settle
from evae.study.options import StudyOptions
from evae.study.pool import StudyPool


def run_session(
    searcher: StudySearcher,
    manifest: Manifest,
    images: ImageSet,
    options: StudyOptions,
    store: Store,
    pool: StudyPool,
    console: Console,
) -> None:
    """Train what the searcher suggests, as `run_study` says."""
    demand = _demand(options, searcher, images, console)
    with course(searcher, manifest, options, store, pool, console) as told:
        # What the machines of a cluster are is not known before it is joined.
        if demand.address is None:
            if len(pool.offers):
                settle(pool, images, options.features, demand.device, demand.threads, demand.workers)
            if not isinstance(searcher.upcoming(), Job):
                return
        # torch is imported while Ray starts; and Ray's processes import what a trial needs while the references are
        # taken.
        threading.Thread(target=importlib.import_module, args=("evae.evaluation",)).start()
        with ray_session(demand):
            from evae.study.trials import train

            require_token()
            require_same_versions(options.plugins)
            train(searcher, manifest, images, options, demand, store, pool, told, console)


def _demand(options: StudyOptions, searcher: StudySearcher, images: ImageSet, console: Console) -> Demand:
    """What the options ask of the machines. A Mac's GPU is left alone where it cannot do all that the study needs."""
    demand = options.demand()
    if demand.gpus is not None or demand.address or demand.workers > 1 or accelerator() != "mps":
        return demand
    from evae.study.rehearsal import rehearse  # imports torch

    if (why := rehearse(searcher.space.recipes(searcher.base), images, "mps")) is None:
        return demand
    console.print(Text(f"trials train on the CPU: Metal cannot do all that they need ({why})"))
    return replace(demand, gpus=0.0)
