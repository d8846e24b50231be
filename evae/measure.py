"""Measure a finished study anew from its weights: other features, a density, accuracies, a metric that came later.

    python -m evae.measure results/kernel-sweep --features inception
    python -m evae.measure results/kernel-sweep --densities mixture flow --downstream 200 1000
    python -m evae.measure results/kernel-sweep --metrics gen_precision gen_recall

What is measured becomes columns beside the study's own, for both splits. Values that are there stay: the same command
again does nothing, or what it had not done when it was stopped. A trial whose weights do not give the reconstructions
that its row tells of is not measured. The exit status is 1 where trials were not measured.
"""

import sys

from rich.console import Console
from rich.text import Text

from evae.commands import parse
from evae.errors import UserError
from evae.results import places
from evae.study.asked import MeasureOptions

INTERRUPTED = 130


def main() -> None:
    """The command line."""
    console = Console(soft_wrap=True)
    try:
        options = parse(MeasureOptions, __doc__)
        # Imported when needed: --help and wrong options need not wait for it.
        from evae.study.measuring import measure

        fine = measure(options, console)
        place = places.shown(options.results)
        console.print(Text(f"the report shows what is there: python analysis/report.py {place}"))
    except UserError as error:
        Console(stderr=True, soft_wrap=True).print(Text(f"error: {error}"))
        sys.exit(2)
    except KeyboardInterrupt:
        console.print("Stopped; what was measured is kept. The same command goes on with the rest.")
        sys.exit(INTERRUPTED)
    sys.exit(0 if fine else 1)


if __name__ == "__main__":
    main()
