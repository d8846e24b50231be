"""Claims: comparisons that are stated before a study, and the language they are written in.

    EVAE, paper < VAE in rec_fd                 two configurations by their labels, or what these begin with
    EVAE, paper < 0.9 * VAE in rec_fd           with a margin
    best evae < best kernel cosine in gen_fd    the best of a method or a kernel, as the search finds it
    kernel explains < 0.1 of gen_fd             a parameter's share of the variance of a metric's ranks

`<` and `>` compare values, whichever way is better. What a study makes of them is in `evae.search.verdicts`.
"""

import math
import re
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import asdict, dataclass, replace
from typing import Any, TypeVar, get_type_hints

from evae.errors import UserError, unknown
from evae.metrics.base import METRICS
from evae.search.objectives import direction, labels_of, objective_column

EXAMPLES = '"EVAE, paper < VAE in rec_fd" or "kernel explains < 0.1 of gen_fd"'
FACTOR = '"EVAE, paper < 0.9 * VAE in rec_fd"'
SESSION = "%Y%m%dT%H%M%S%fZ"
"""A session's name: when it began, to the microsecond, so that names sort."""
BEST = {"method": "best method ", "kernel": "best kernel "}
"""What the names of sides begin with that are the best of a family, by its kind."""


@dataclass(frozen=True)
class Comparison:
    """`left` < `factor` * `right` in a metric (its column), or > where not `less`.

    A side is the label of a control or of a grid's point, or one of `BEST` with a method or kernel. `direction` is the
    metric's ("min", "max" or None), which says what is best.
    """

    text: str
    left: str
    right: str
    less: bool
    factor: float
    metric: str
    direction: str | None

    @property
    def key(self) -> tuple:
        """Equal for claims that say the same: A < B and B > A."""
        if self.left <= self.right:
            return self.left, self.right, self.less, self.factor, self.metric
        return self.right, self.left, not self.less, 1 / self.factor, self.metric


@dataclass(frozen=True)
class Explained:
    """`parameter` by itself explains less than `limit` of the variance of a metric's ranks; more, where not `less`."""

    text: str
    parameter: str
    less: bool
    limit: float
    metric: str
    direction: str | None

    @property
    def key(self) -> tuple:
        return self.parameter, self.less, self.limit, self.metric


Claim = Comparison | Explained
T = TypeVar("T")


@dataclass(frozen=True)
class Stated:
    """A claim, and when it was stated: the session, and how many trials were there then.

    What was there before it is no evidence for it: of fresh seeds those from `first_seed` on count, of the search's
    configurations those from number `first_number` on.
    """

    claim: Claim
    session: str
    trials: int = 0
    first_seed: int = 0
    first_number: int = 0

    def to_dict(self) -> dict[str, Any]:
        return asdict(self)

    @classmethod
    def from_dict(cls, plain: Mapping[str, Any]) -> "Stated":
        """Raises KeyError or TypeError for what is no claim."""
        claim = plain["claim"]
        return _typed(cls, {**plain, "claim": _typed(Explained if "parameter" in claim else Comparison, claim)})


def _typed(kind: type[T], plain: Mapping[str, Any]) -> T:
    """An instance whose fields have the types that they are annotated with, or a TypeError."""
    for name, annotated in get_type_hints(kind).items():
        if name in plain and not isinstance(plain[name], (float | int) if annotated is float else annotated):
            raise TypeError(f"{name} is no {annotated}: {plain[name]!r}")
    return kind(**plain)


@dataclass(frozen=True)
class Known:
    """What claims can be about in a study: labels of configurations, methods and kernels, searched parameters, and how
    columns name the features; and the ex-post density that `xpd_` means."""

    labels: tuple[str, ...]
    methods: tuple[str, ...]
    kernels: tuple[str, ...]
    parameters: tuple[str, ...]
    features_column: str
    density: str | None = None

    def sides(self) -> dict[str, set[str]]:
        """What a user may write for a side: the sides it may mean. A method and a kernel may have the same name."""
        found = {label: {label} for label in self.labels}
        for families, begin in ((self.methods, BEST["method"]), (self.kernels, BEST["kernel"])):
            for family in families:
                found[begin + family] = {begin + family}
                found.setdefault(f"best {family}", set()).add(begin + family)
        return found


def parse(texts: Sequence[str], known: Known) -> list[Claim]:
    """The claims of a command line. Raises UserError for what cannot be read or is not there, with the nearest that is,
    and for claims that are given twice or contradict each other."""
    claims = [_parsed(text, known) for text in texts]
    check(claims)
    return claims


def check(claims: Sequence[Claim]) -> None:
    """Raise UserError for claims that say the same, or cannot all hold."""
    seen: dict[tuple, Claim] = {}
    for claim in claims:
        if claim.key in seen:
            raise UserError(f"the claims {seen[claim.key].text!r} and {claim.text!r} say the same: give one of them")
        seen[claim.key] = claim
    for explained in (c for c in claims if isinstance(c, Explained) and c.less):
        for other in (c for c in claims if isinstance(c, Explained) and not c.less):
            same = (explained.parameter, explained.metric) == (other.parameter, other.metric)
            if same and other.limit >= explained.limit:
                raise _contradiction([explained, other])
    _check_order([c for c in claims if isinstance(c, Comparison)])


def _check_order(comparisons: Iterable[Comparison]) -> None:
    """Raise UserError where A < B < ... < A is claimed. Margins are left out: what they mean depends on signs."""
    below: dict[tuple[str, str], dict[str, Comparison]] = {}
    for claim in comparisons:
        low, high = (claim.left, claim.right) if claim.less else (claim.right, claim.left)
        # The claims that lead from each name upwards, the first of them by the name that it leads to.
        if claim.factor == 1:
            below.setdefault((claim.metric, low), {})[high] = claim

    def upwards(metric: str, name: str, path: list[Comparison], start: str) -> None:
        for high, claim in below.get((metric, name), {}).items():
            if high == start:
                raise _contradiction([*path, claim])
            if all(claim is not earlier for earlier in path):
                upwards(metric, high, [*path, claim], start)

    for metric, name in list(below):
        upwards(metric, name, [], name)


def _contradiction(claims: Iterable[Claim]) -> UserError:
    return UserError(
        f"these claims contradict each other: {'; '.join(claim.text for claim in claims)}. What was stated in earlier "
        "sessions stays; leave out the new one that does not go with it."
    )


def _parsed(text: str, known: Known) -> Claim:
    if found := re.fullmatch(r"\s*(.+?)\s+explains\s*([<>])\s*(\S+)\s+of\s+(\S+)\s*", text):
        return _explained(text, *found.groups(), known)
    body, there, metric = text.strip().rpartition(" in ")
    splits = [(body[: m.start()].strip(), m[0], body[m.end() :].strip()) for m in re.finditer("[<>]", body)]
    splits = [split for split in splits if split[0] and split[2]]
    if not there or not splits:
        raise UserError(f"the claim {text!r} cannot be read; write it like {EXAMPLES}")
    column, direction = _metric(text, metric.strip(), known)
    # A label may hold an operator: the place counts where both sides are known.
    read = [(_side(a, known), sign, *_with_factor(b, known)) for a, sign, b in splits]
    fitting = [each for each in read if each[0] is not None and each[3] is not None]
    if len(fitting) != 1:
        left, _, right = splits[0]
        for name in (re.sub(r"^[\d.eE+-]+\s*\*\s*", "", side) for side in (left, right)):
            if _side(name, known) is None:
                raise _no_side(text, name, known)
        if not fitting:
            raise UserError(f"the claim {text!r} needs its factor, a number above 0, on the right: {FACTOR}")
        raise UserError(f"the claim {text!r} can be read in {len(fitting)} ways: write labels whole")
    left, sign, factor, right = fitting[0]
    if left == right:
        raise UserError(f"the claim {text!r} compares {left!r} with itself")
    if direction is None and any(map(is_best, (left, right))):
        raise UserError(f"the claim {text!r} names a best, but {metric.strip()} has no direction: name a configuration")
    return Comparison(text.strip(), left, right, sign == "<", factor, column, direction)


def _explained(text: str, parameter: str, sign: str, limit: str, metric: str, known: Known) -> Explained:
    if parameter not in known.parameters:
        raise unknown("parameter in a claim", parameter, known.parameters)
    column, direction = _metric(text, metric, known)
    try:
        share = float(limit)
    except ValueError:
        share = -1.0
    if not 0 < share < 1:
        raise UserError(f"the claim {text!r} needs a share between 0 and 1, got {limit}")
    return Explained(text.strip(), parameter, sign == "<", share, column, direction)


def _metric(text: str, name: str, known: Known) -> tuple[str, str | None]:
    """(column, direction) of a metric by its short name, as `resolve_objectives` has it; here it needs no direction."""
    plain = {column for one in METRICS.values() if one.name not in ("fid", "kid") for column in one.columns}
    if name not in plain and not labels_of(name):
        raise unknown("metric in a claim", name, plain)
    if name.startswith("xpd_") and known.density is None:
        raise UserError(f"the claim {text!r} is about samples from an ex-post density: add one, --densities mixture")
    return objective_column(name, known.features_column, known.density), direction(name)


def _with_factor(text: str, known: Known) -> tuple[float, str | None]:
    """(factor, side) of the right side of a comparison."""
    found = re.fullmatch(r"((?:\d+\.?\d*|\.\d+)(?:[eE][+-]?\d+)?)\s*\*\s*(.+)", text)
    if found is None or _side(text, known) is not None or not 0 < float(found[1]) < math.inf:
        return 1.0, _side(text, known)
    return float(found[1]), _side(found[2], known)


def _side(text: str, known: Known) -> str | None:
    """The label, or best of a family, that a text names: wholly, or by a beginning that no other has."""
    found = _meant(text, known)
    return found[0] if len(found) == 1 else None


def _meant(text: str, known: Known) -> list[str]:
    """The sides that a text may mean."""
    wanted, sides = _plain(text), known.sides()
    whole = [means for written, means in sides.items() if _plain(written) == wanted]
    begun = [means for written, means in sides.items() if wanted and _plain(written).startswith(wanted)]
    return sorted(set().union(*(whole or begun)))


def _no_side(text: str, name: str, known: Known) -> UserError:
    if many := _meant(name, known):
        return UserError(f"{name!r} in the claim {text!r} may be {' or '.join(map(repr, many))}: write more of it")
    return unknown("configuration in a claim", name, known.sides())


def is_best(side: str) -> bool:
    """Whether a side is the best of a method or kernel."""
    return side.startswith(tuple(BEST.values()))


def _plain(text: str) -> str:
    return " ".join(text.casefold().split())


def together(earlier: Sequence[Stated], claims: Iterable[Claim], now: Stated) -> list[Stated]:
    """The claims of all sessions: what was stated stays as it was, and new ones are stated as `now` says. Raises
    UserError where a new one contradicts what was stated."""
    before = {stated.claim.key for stated in earlier}
    found = [*earlier, *(replace(now, claim=claim) for claim in claims if claim.key not in before)]
    check([stated.claim for stated in found])
    return found
