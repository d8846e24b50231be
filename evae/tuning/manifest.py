"""The manifest of a study: what was asked, of which code, on which data and machine; and what may continue it."""

import importlib.metadata
import json
import shlex
import subprocess
import sys
from collections.abc import Mapping, Sequence
from dataclasses import asdict
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from evae import hardware
from evae.data.base import ImageSet
from evae.errors import UserError
from evae.recipe import Recipe
from evae.tuning.options import StudyOptions
from evae.tuning.store import SCHEMA_VERSION, Store, to_json

PACKAGES = ("evae", "ray", "torch", "torchvision", "optuna", "pyarrow", "numpy")


class Manifest:
    """One session's row of the `study` table. `identity` is what must agree for a session to continue a study."""

    def __init__(
        self,
        options: StudyOptions,
        question: str,
        base: Recipe,
        space: Mapping[str, Any],
        objectives: Sequence[tuple[str, str]],
        images: ImageSet,
    ):
        started = datetime.now(UTC)
        commit, dirty = git_state()
        self.identity = {
            "recipe": base.to_dict(),
            "space": dict(space),
            "objectives": [list(objective) for objective in objectives],
            "seeds": options.seeds,
            "data digest": images.digest,
        }
        self.row: dict[str, Any] = {
            "session": started.strftime("%Y%m%dT%H%M%S%fZ"),
            "study": options.name,
            "question": question,
            "schema_version": SCHEMA_VERSION,
            "state": "running",
            "started_at": started,
            "ended_at": None,
            "wall_s": None,
            "slots": None,
            "command": shlex.join(["python", *sys.argv]),
            "options": to_json(asdict(options)),
            "space": to_json(space),
            "objectives": to_json(self.identity["objectives"]),
            "identity": to_json(self.identity),
            "git_commit": commit,
            "git_dirty": dirty,
            "packages": to_json({name: importlib.metadata.version(name) for name in PACKAGES}),
            "hardware": to_json(hardware.describe()),
            "data": to_json(images.describe()),
        }

    def check_continues(self, store: Store) -> None:
        """Raise UserError when the results hold a study that this one does not continue, with the differences."""
        earlier = store.read("study").to_pylist()
        if not earlier:
            return
        last = max(earlier, key=lambda row: row["session"])
        then, now = _flat(json.loads(last["identity"])), _flat(json.loads(self.row["identity"]))
        changed = [
            f"  {key}: {then.get(key, 'absent')} then, {now.get(key, 'absent')} now"
            for key in sorted(then.keys() | now.keys())
            if then.get(key) != now.get(key)
        ]
        if changed:
            raise UserError(
                f"{store.location} holds another study:\n" + "\n".join(changed) + "\n"
                "Repeat its command to continue it, or give this study a --name of its own."
            )

    def write(self, store: Store, **changes: Any) -> None:
        self.row |= changes
        store.write("study", self.row["session"], [self.row])

    def close(self, store: Store, state: str, slots: float) -> None:
        """Say how the session ended, and for how many trials it had room on average."""
        ended = datetime.now(UTC)
        wall_s = (ended - self.row["started_at"]).total_seconds()
        self.write(store, state=state, ended_at=ended, wall_s=wall_s, slots=slots)


def git_state() -> tuple[str | None, bool | None]:
    """(commit, whether files differ from it) of the code that runs; None where that is not a git checkout."""
    here = Path(__file__).parent

    def git(*arguments: str) -> str:
        run = subprocess.run(["git", *arguments], cwd=here, capture_output=True, text=True, check=True, timeout=10)
        return run.stdout.strip()

    try:
        return git("rev-parse", "HEAD"), bool(git("status", "--porcelain"))
    except (OSError, subprocess.SubprocessError):
        return None, None


def _flat(tree: Any, prefix: str = "") -> dict[str, str]:
    if isinstance(tree, dict):
        return {k: v for name, part in tree.items() for k, v in _flat(part, f"{prefix}{name}.").items()}
    return {prefix.rstrip("."): json.dumps(tree)}
