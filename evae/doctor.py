"""Is this machine, or this cluster, fit for a study?

    python -m evae.doctor
    python -m evae.doctor --address auto --store s3://bucket/studies

One line for each check: ok, or what to do about it. The exit status is 1 where something is not ok.
"""

import sys

from rich.console import Console
from rich.text import Text

from evae.cluster.demand import Demand
from evae.cluster.questions import Questions
from evae.commands import parse
from evae.errors import UserError
from evae.results import places


def main() -> None:
    """The command line."""
    console = Console(soft_wrap=True)
    try:
        questions = parse(Questions, __doc__)
        places.check(questions.store)
        # Imported when needed: --help and wrong options need not wait for Ray.
        from evae.cluster.doctor import examine, report
        from evae.cluster.machine import ray_session

        with ray_session(Demand(address=questions.address), trains=False):
            fine = report(examine(questions), console)
    except UserError as error:
        Console(stderr=True, soft_wrap=True).print(Text(f"error: {error}"))
        sys.exit(2)
    sys.exit(0 if fine else 1)


if __name__ == "__main__":
    main()
