"""The code that computes, as digests that know whether it has changed: tests/numbers_of.json, made anew by

    python tests/numbers_of.py --numbers same         what changed leaves all numbers as they are, bit for bit
    python tests/numbers_of.py --numbers changed      it does not: NUMERICS of evae/numerics.py has been raised

Whoever changes that code has to say which it is: trials of one version are taken for each other
(docs/trained-once.md). What is only called otherwise, said otherwise or laid out otherwise changes a digest, but no
number.
"""

import argparse
import ast
import hashlib
import json
from pathlib import Path
from typing import Any

from evae.numerics import NUMERICS

ROOT = Path(__file__).parents[1] / "evae"
RECORD = Path(__file__).with_suffix(".json")
PACKAGES = (
    *("backbones", "criteria", "densities", "evaluation", "inference", "likelihoods", "metrics", "networks"),
    *("posteriors", "priors", "recording", "stepping"),
)
MODULES = (
    *("adversarial", "adversary", "batch_statistics", "compiled", "kernels", "models", "optimisation", "optimiser"),
    *("ranks", "schedules", "streams", "training", "wavelets", "data/ahead", "data/loading", "data/pixels"),
)
"""What comes between images, whose content a trial names, and the numbers in its row; not what measures time."""


def digest(source: str) -> str:
    """Of the statements of a module, without strings that explain them, the same in every version of Python."""
    return hashlib.sha256(json.dumps(_plain(ast.parse(source)), default=repr).encode()).hexdigest()[:16]


def _plain(node: Any) -> Any:
    if isinstance(node, list):
        return [_plain(one) for one in node if not _explains(one)]
    if not isinstance(node, ast.AST):
        return node
    # Later versions of Python have more fields, which are empty where nothing uses them.
    fields = {name: _plain(value) for name, value in ast.iter_fields(node) if value not in (None, [])}
    return [type(node).__name__, fields]


def _explains(node: Any) -> bool:
    return isinstance(node, ast.Expr) and isinstance(node.value, ast.Constant) and isinstance(node.value.value, str)


def digests() -> dict[str, str]:
    """The digest of each module that computes, by its path."""
    files = [file for name in PACKAGES for file in (ROOT / name).rglob("*.py")]
    files += [ROOT / f"{name}.py" for name in MODULES]
    found = {file.relative_to(ROOT).as_posix(): digest(file.read_text(encoding="utf-8")) for file in files}
    return dict(sorted(found.items()))


def recorded() -> dict[str, Any]:
    return json.loads(RECORD.read_text(encoding="utf-8"))


def differing() -> list[str]:
    """The modules that are not those that were recorded."""
    then, now = recorded()["modules"], digests()
    return sorted(name for name in then.keys() | now.keys() if then.get(name) != now.get(name))


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--numbers", choices=("same", "changed"), required=True)
    said = parser.parse_args().numbers
    before = recorded()["numerics"] if RECORD.exists() else NUMERICS
    if (before < NUMERICS) != (said == "changed") and RECORD.exists():
        parser.error(
            f"NUMERICS of evae/numerics.py is {NUMERICS}, and was {before}: it is raised if and only if numbers change"
        )
    RECORD.write_text(json.dumps({"numerics": NUMERICS, "modules": digests()}, indent=1) + "\n", encoding="utf-8")


if __name__ == "__main__":
    main()
