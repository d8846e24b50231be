"""What every result says of itself: the command, the commit, the machine and the day."""

import platform
import shlex
import sys
from datetime import UTC, datetime
from pathlib import Path

import torch

from evae import hardware
from evae.study.manifest import git_state

RESULTS = Path(__file__).parent / "results"


def provenance() -> str:
    """Two Markdown lines: how the result was made, and on what."""
    machine, (commit, dirty) = hardware.describe(), git_state()
    gpus = f", {', '.join(machine['gpus'])}" if machine["gpus"] else ""
    state = f"{(commit or 'unknown')[:10]}{' with uncommitted changes' if dirty else ''}"
    command = shlex.join(["python", f"benchmarks/{Path(sys.argv[0]).name}", *sys.argv[1:]])
    return (
        f"`{command}`, commit {state}, {datetime.now(UTC):%Y-%m-%d}.\n"
        f"{machine['cores']} cores of {machine['cpu']}, {machine['memory_gib']:g} GiB{gpus}; "
        f"Python {platform.python_version()}, torch {torch.__version__}.\n"
    )


def table(rows: list[dict[str, str]]) -> str:
    """A Markdown table; the columns are the first row's keys."""
    head = list(rows[0])
    lines = [head, ["---"] * len(head), *([row[name] for name in head] for row in rows)]
    return "\n".join(f"| {' | '.join(line)} |" for line in lines) + "\n"


def keep(name: str, title: str, made: str, text: str) -> str:
    """Write benchmarks/results/<name>.md, which says that it was `made` so; the page."""
    page = f"# {title}\n\n{made}\n{text}"
    RESULTS.mkdir(exist_ok=True)
    (RESULTS / f"{name}.md").write_text(page)
    return page


def write_result(name: str, title: str, text: str) -> None:
    """Write it, and show it."""
    print(keep(name, title, provenance(), text))
