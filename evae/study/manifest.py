"""The manifest of a study: what was asked, of which code, on which data and machine; and what may continue it."""

import json
import shlex
import subprocess
import sys
import time
from collections.abc import Mapping, Sequence
from dataclasses import asdict
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import evae
from evae import hardware
from evae.data.base import ImageSet
from evae.errors import UserError
from evae.metrics.base import METRICS
from evae.recipe import Recipe
from evae.results.places import shown
from evae.results.store import SCHEMA_VERSION, Store, to_json
from evae.search.claims import SESSION, Claim, Explained, Stated, together
from evae.search.job import ENDED, FIRST_FRESH, is_fresh
from evae.study.options import StudyOptions

EXTENSIBLE = ("trials", "seeds", "confirm", "recipe.optimisation.epochs")
"""What of a study's identity may grow."""
QUESTIONS = (
    *("objectives", "replicates", "early stopping", "constraints", "labels digest"),
    *("space.", "recipe.evaluation."),
)
"""What of it, by how its names begin, may change: what was trained stays what it is."""
PLUGINS = ("plug-ins.", "recipe.plugins.")
"""Where the digests of plug-ins stand in it."""
PARTS = {
    "trials": ".parquet",
    "epochs": ".parquet",
    "images": ".parquet",
    "clouds": ".parquet",
    "measures": ".parquet",
    "weights": ".safetensors",
    "states": ".safetensors",
    "checkpoints": ".safetensors",
}
"""What a study leaves of its trials, first of all their rows: the folders, and how the names in them end."""
PACKAGES = ("ray", "torch", "torchvision", "optuna", "pyarrow", "numpy")


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
        started, self.clock = datetime.now(UTC), time.monotonic()
        commit, dirty = git_state()
        self.identity = {
            "recipe": base.to_dict(),
            "space": dict(space),
            "objectives": [list(objective) for objective in objectives],
            "trials": options.trials,
            "seeds": options.seeds,
            "confirm": options.confirm,
            "replicates": options.replicates,
            "early stopping": options.early_stopping,
            "data digest": images.digest,
        }
        if options.constraint:
            self.identity["constraints"] = sorted(each.text for each in options.constraints())
        if base.evaluation.downstream and images.labels is not None:
            self.identity["labels digest"] = images.labels.digest
        theirs = [METRICS[name] for name in METRICS.of_plugins()]
        if options.plugin:
            self.identity["plug-ins"] = {plugin.name: plugin.digest for plugin in options.plugins}
        self.row: dict[str, Any] = {
            "session": started.strftime(SESSION),
            "study": options.name,
            "question": question,
            "schema_version": SCHEMA_VERSION,
            "state": "running",
            "started_at": started,
            "ended_at": None,
            "wall_s": None,
            "slots": None,
            "command": _command(),
            "options": to_json({name: _shown(value) for name, value in asdict(options).items()}),
            "space": to_json(space),
            "objectives": to_json(self.identity["objectives"]),
            "constraints": to_json([each.to_dict() for each in options.constraints()]),
            "metrics": to_json({one.name: [one.label, one.unit] for one in theirs}),
            "identity": to_json(self.identity),
            "claims": to_json([]),
            "git_commit": commit,
            "git_dirty": dirty,
            "packages": to_json({"evae": evae.__version__, **{name: hardware.installed(name) for name in PACKAGES}}),
            "data": to_json(images.describe()),
        }

    def check_continues(
        self, store: Store, resume: str = "auto", extend: bool = False, accept_changed_plugins: bool = False
    ) -> list[str]:
        """What is to be said before the study in the results is continued, if there is one.

        Raises UserError when `resume` forbids to continue it ("never"), or to begin one ("must"), and with the
        differences when this study is not the one in the results. More trials, seeds or epochs and other `QUESTIONS`
        make no other study if `extend` says that they are wanted, and neither do plug-ins in another version if
        `accept_changed_plugins`. A manifest that cannot be read, or trials without one, are a study that nobody can
        tell apart from this one, and are refused too.
        """
        sessions = _sessions(store)
        if not sessions:
            _check_empty(store)
            if resume == "must":
                raise UserError(f"{store.location} holds no study to continue; mend --results or --name")
            return []
        session = max(sessions)
        last = sessions[session]
        identity = json.loads(last["identity"])
        if resume == "never":
            raise UserError(
                f"{store.location} holds a study already, begun {str(last['started_at'])[:16]} UTC; give this one "
                "a --name of its own, or leave out --resume never to continue that one."
            )
        notes = self._check_same(store, identity, extend, accept_changed_plugins)
        if self.row["session"] <= session:
            # The clock was set back meanwhile; sessions are in order of their names.
            after = datetime.strptime(session, SESSION) + timedelta(microseconds=1)
            self.row["session"] = after.strftime(SESSION)
        if self.row["git_commit"] == last["git_commit"] and self.row["git_dirty"] == last["git_dirty"]:
            return notes
        then, now = (_code(row["git_commit"], row["git_dirty"]) for row in (last, self.row))
        return [*notes, f"the code is not that of the last session: {then} then, {now} now; both are recorded"]

    def _check_same(self, store: Store, identity: Mapping[str, Any], extend: bool, other_plugins: bool) -> list[str]:
        """What of the study has changed, and is welcome."""
        # Version 0.1 confirmed nothing.
        then, now = _flat({"confirm": 0} | identity), _flat(self.identity)
        changed = [key for key in sorted(then.keys() | now.keys()) if then.get(key) != now.get(key)]
        # Fewer fresh seeds take none away, and verdicts hold whenever one stops: there the study may also ask for less.
        more = [k for k in changed if k in then and k in EXTENSIBLE and json.loads(now[k]) > json.loads(then[k])]
        grown = [k for k in changed if k in more or k == "confirm"]
        plugins = [key for key in changed if key.startswith(PLUGINS) and key in then and key in now]
        asked = [key for key in changed if key.startswith(QUESTIONS)]
        welcome = [*grown, *asked] if extend else []
        changed = [key for key in changed if key not in welcome]
        if other_plugins:
            changed = [key for key in changed if key not in plugins]
        if changed:
            remedy = "Repeat its command to continue it, or give this study a --name of its own."
            if not set(changed) - {*grown, *asked} and asked:
                remedy = "Add --extend to go on with it under these questions, or give this study a --name of its own."
            elif changed == grown:
                wanted = "more" if more == grown else "this"
                remedy = f"Add --extend if {wanted} is wanted, or give this study a --name of its own."
            elif changed == plugins:
                remedy = (
                    "A plug-in has changed. Add --accept-changed-plugins to go on with it, bring back what it was, or "
                    "give this study a --name of its own."
                )
            lines = [f"  {key}: {then.get(key, 'absent')} then, {now.get(key, 'absent')} now" for key in changed]
            raise UserError(f"{store.location} holds another study:\n" + "\n".join(lines) + f"\n{remedy}")
        if not extend or not asked:
            return []
        notes = [f"the study goes on under other questions: {', '.join(map(_plain, asked))}"]
        if any(key.startswith("space.") for key in asked):
            late = [stated.claim for stated in _stated(store) if isinstance(stated.claim, Explained)]
            notes += [f"the claim {c.text!r} was stated of another space: its share is now of both" for c in late]
        return notes

    def state_claims(self, store: Store, claims: Sequence[Claim], history: Sequence[Mapping[str, Any]]) -> list[Stated]:
        """All claims of the study: those of earlier sessions, which stay, and these, which are marked with how many
        trials of the `history` there were before them.

        Raises UserError for one that contradicts what was stated, and StoreError where that cannot be read.
        """
        now = Stated(
            None,
            self.row["session"],
            trials=sum(row["state"] in ENDED for row in history),
            first_seed=max((1 + row["seed"] for row in history if is_fresh(row)), default=FIRST_FRESH),
            first_number=max((1 + row["number"] for row in history), default=0),
        )
        found = together(_stated(store), claims, now)
        self.row["claims"] = to_json([stated.to_dict() for stated in found])
        return found

    def begin(self, store: Store, sampler: str) -> None:
        """Write the row down, still without the machines."""
        self.row["sampler"] = sampler
        store.write("study", self.row["session"], [self.row])

    def write(self, store: Store, **changes: Any) -> None:
        # Not before: torch knows the GPUs, and takes seconds to import.
        self.row |= {"hardware": to_json(hardware.describe()), **changes}
        store.write("study", self.row["session"], [self.row])

    def close(self, store: Store, state: str) -> None:
        """Say how the session ended."""
        # By a clock that nobody sets.
        self.write(store, state=state, ended_at=datetime.now(UTC), wall_s=time.monotonic() - self.clock)

    def withdraw(self, store: Store) -> None:
        """Take the row back."""
        store.delete_bytes("study", f"{self.row['session']}.parquet")


def _check_empty(store: Store) -> None:
    """Raise UserError where results without a manifest hold something of a study."""
    for folder, suffix in PARTS.items():
        if found := store.sizes(folder, suffix):
            raise UserError(
                f"{store.location} holds {len(found)} file(s) in {folder}/, but none in study/, where manifests say of "
                "which study they are. Restore study/ from a copy, or give this study a --name of its own."
            )


def _sessions(store: Store) -> dict[str, dict[str, Any]]:
    """The row of each session by its name. Raises StoreError where one cannot be read, or is no manifest."""
    sessions = {session: store.rows("study", session)[0] for session in store.sizes("study")}
    damaged = {}
    for session, row in sessions.items():
        try:
            fits = "recipe" in json.loads(row["identity"])
        except (KeyError, TypeError, ValueError):
            fits = False
        if not fits:
            damaged[f"study/{session}.parquet"] = "it does not say what the study is"
    if damaged:
        raise store.damaged("study", damaged)
    return sessions


def _stated(store: Store) -> list[Stated]:
    """The claims of all sessions, each as it was stated first; versions before 0.2 knew none."""
    found: dict[tuple, Stated] = {}
    for session, row in sorted(_sessions(store).items()):
        try:
            for plain in json.loads(row.get("claims") or "[]"):
                stated = Stated.from_dict(plain)
                found.setdefault(stated.claim.key, stated)
        except (KeyError, TypeError, ValueError) as error:
            damaged = {f"study/{session}.parquet": "its claims cannot be told"}
            raise store.damaged("study", damaged) from error
    return list(found.values())


def _plain(key: str) -> str:
    """What has changed, by its key in the identity, for people."""
    return key.removeprefix("recipe.").replace(".", " ")


def _shown(value: Any) -> Any:
    """An option's value without the keys of places."""
    if isinstance(value, tuple):
        return [_shown(part) for part in value]
    return shown(value) if isinstance(value, str) else value


def _command() -> str:
    """The command line as it may be shown: without keys, and bytes of file names that are no text escaped."""
    command = shlex.join(["python", *map(shown, sys.argv)])
    return command.encode("utf-8", "backslashreplace").decode()


def _code(commit: str | None, dirty: bool | None) -> str:
    return f"commit {(commit or 'unknown')[:10]}{' with uncommitted changes' if dirty else ''}"


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
    # What is stored has its keys sorted, those of the families in a list too.
    return {prefix.rstrip("."): json.dumps(tree, sort_keys=True)}
