"""What a study asked and found, in plain words: every sentence is read off a table."""

import math
from itertools import combinations

import numpy as np
import pandas as pd

from analysis.study import epochs, identities, inference, naming, tables, timing
from analysis.study.load import StudyData
from analysis.study.naming import Objective, count, interval, number
from evae.search.job import CONFIRM
from evae.search.noise import ERROR, ROUNDING, critical

NAMED = 8  # most configurations that a sentence names
AGAINST = 4  # most controls that one sentence compares the best with


def summary(study: StudyData, table: pd.DataFrame) -> list[str]:
    """Paragraphs about the study; `table` is that of `tables.configurations`."""
    found = [progress(study), constrained(study, table)]
    if len(tables.ranked(table, study.objectives)):
        found += [best(table, objective) + flattered(study, table, objective) for objective in study.objectives]
        weighed = [trade_off(study, table), together(study, table), yardsticks(study)]
        found += [" ".join(filter(None, weighed)), method(study, table)]
    else:
        found.append(nothing_ranked(study) + "".join(left_out(table, o) for o in study.objectives))
    return [text for text in found if text]


def progress(study: StudyData) -> str:
    """How many trials ended how, and in how long."""
    states = study.trials["state"].value_counts()
    total = len(study.trials)
    if not total:
        return f"No trial has been recorded yet: {_study_state(study)}."
    parts = [f"{n:,} {state}" for state, n in states.items()]
    lost, rungs = tables.failures(study), epochs.rungs(study)
    text = f"{count(total, 'trial')} of {count(study.trials['configuration'].nunique(), 'configuration')}"
    wall = timing.wall_seconds(study)
    text += f" in {naming.duration(wall)}: " if wall > 0 else ": "
    text += ", ".join(parts) + "."
    fresh = int((study.trials["role"] == CONFIRM).sum())
    if fresh:
        why = ", to confirm what the search chose" if tables.confirms(study).any() else ""
        text += f" {count(fresh, 'of them has', 'of them have')} a fresh seed{why}."
    text += taken(study)
    if len(lost):
        first = lost.iloc[0]
        text += f" Most frequent reason for not finishing: {first['reason']} ({count(first['n'], 'time')})."
    ended = rungs[rungs["stopped"] > 0]
    if len(ended):
        each = [f"{row.stopped:,} of {row.judged:,} after epoch {row.epoch:g}" for row in ended.itertuples()]
        text += f" Trials that fell behind others were stopped early, and are not ranked: {', '.join(each)}."
    text += "".join(f" {sentence}" for sentence in epochs.foresight(study))
    share = timing.timing(study).set_index("activity")["share"]
    if len(share):
        text += f" The workers spent {100 * share['training']:.0f}{naming.NARROW}% of their time training."
    if study.manifest.get("state") != "finished":
        text += f" Mind that {_study_state(study)}."
    return text


def taken(study: StudyData) -> str:
    """Which trials were trained in other studies; "" where none was."""
    others = study.trials["taken_study"].dropna().value_counts()
    parts = [f"{n:,} in study {name}" for name, n in others.items()]
    listed = ", ".join(parts[:NAMED]) + (f" and {len(parts) - NAMED} other studies" if parts[NAMED:] else "")
    return f" Of these trials some were trained elsewhere, and taken from there: {listed}." if parts else ""


def _study_state(study: StudyData) -> str:
    if study.running:
        return "the study was still running, or was killed, when this report was made"
    state = {"stopped": "the study was stopped before its end", "failed": "the study failed before its end"}
    return state.get(str(study.manifest.get("state")), "it is not recorded how the study ended")


def constrained(study: StudyData, table: pd.DataFrame) -> str:
    """What configurations had to keep to, and how many of those that finished do not."""
    if not study.constraints:
        return ""
    finished = table[table["n_searched"] > 0]
    broken = finished.loc[~finished["keeps"].astype(bool), "name"]
    text = f"Configurations had to keep to {' and '.join(each.text for each in study.constraints)}: "
    if not len(broken):
        return text + f"all {count(len(finished), 'one that finished does', 'that finished do')}."
    text += f"{len(broken):,} of {len(finished):,} that finished do not, and are not ranked"
    return text + (f" ({', '.join(broken)})." if len(broken) <= NAMED else ".")


def nothing_ranked(study: StudyData) -> str:
    if not study.objectives:
        return "There is nothing to rank: the study recorded no objectives."
    wanted = " and ".join(o.label for o in study.objectives)
    finished = int((study.trials["state"] == "finished").sum())
    if finished:
        done = count(finished, "finished trial")
        return f"There is nothing to rank: none of the {done} has a finite {wanted}."
    return f"There is nothing to rank: no trial has finished, so no {wanted} is known."


def best(table: pd.DataFrame, objective: Objective) -> str:
    """The best of one objective, and whether runner-up and controls differ from it by more than noise: of those that
    are confirmed, where there are any."""
    searched = tables.best(table, objective)
    order = tables.judged(searched)
    if alike(searched, objective):
        value = number(searched[objective.metric].iloc[0])
        return f"All {len(searched):,} configurations have the same {objective.label}, {value}: none is best."
    first, rest = order.iloc[0], order.iloc[1:]
    text = f"{'Chosen as best' if first['confirmed'] else 'Best'} {objective.label} "
    text += f"({'highest' if objective.sign < 0 else 'lowest'}): {first['name']} with "
    value = interval(first[objective.metric], first[f"{objective.metric}_chosen"])
    seeds = int(first[f"{objective.metric}_n"])
    if first["confirmed"]:
        text += f"{value} over {count(seeds, 'fresh seed')} (in the search, which chose it, "
        text += f"{number(first[f'searched_{objective.metric}'])})"
    else:
        text += f"{value} over {count(seeds, 'seed')}"
    ratio = tables.against_real(first, objective.metric) if naming.is_gap(objective.metric) else math.nan
    text += f"; its images have {naming.times(ratio)} real images' sharpness." if math.isfinite(ratio) else "."
    text += _not_confirmed(searched, first) + _overtaken(order, objective)
    if not len(rest):
        return text + _sharper(order, objective) + left_out(table, objective)
    apart = apart_by(order, objective)
    second = rest.iloc[0]
    text += f" The runner-up{', a control' if second['control'] else ''}, {second['name']}, has "
    value = interval(second[objective.metric], second[f"{objective.metric}_chosen"])
    text += f"{value}, {_verdict(order, 1, apart, objective)}."
    verdicts: dict[str, list[str]] = {}
    for place in [i for i in range(2, len(order)) if order["control"].iloc[i]][:AGAINST]:
        row = order.iloc[place]
        verdicts.setdefault(_verdict(order, place, apart, objective), []).append(
            f"{row['name']} at {_value(row, objective)}"
        )
    if verdicts:
        each = [f"{', '.join(names)}: {verdict}" for verdict, names in verdicts.items()]
        text += f" Against the {'other ' if second['control'] else ''}controls: {'; '.join(each)}."
    controls = apart[order["control"].to_numpy(bool) & (np.arange(len(order)) > 0)]
    if np.isfinite(controls).any():
        text += f" Noise makes a control differ by up to {number(float(np.nanmedian(controls)), 2)}."
    return text + _sharper(order, objective) + left_out(table, objective)


def alike(order: pd.DataFrame, objective: Objective) -> bool:
    """Whether all configurations, of which there are several, agree in an objective on both splits."""
    values = (order[objective.metric], order[f"select_{objective.metric}"])
    return len(order) > 1 and not any(map(tables.differ, values))


def _not_confirmed(searched: pd.DataFrame, first: pd.Series) -> str:
    """That the search chose others before `first`, which have no fresh seeds."""
    before = searched["name"].iloc[: searched.index.get_loc(first.name)]
    if not len(before):
        return ""
    names = f"{', '.join(before[:AGAINST])}{f' and {len(before) - AGAINST} more' if len(before) > AGAINST else ''}"
    return f" The search ranks {names} before it, which {'are' if len(before) > 1 else 'is'} not confirmed."


def _overtaken(order: pd.DataFrame, objective: Objective) -> str:
    """That confirmed configurations are better than the one chosen as best by more than noise."""
    better = ahead(order, objective)
    if not len(better):
        return ""
    others = f" and {len(better) - 1} more" if len(better) > 1 else ""
    text = f" The search was deceived by luck: on fresh seeds {better['name'].iloc[0]} with "
    return text + f"{_value(better.iloc[0], objective)}{others} {'are' if others else 'is'} better by more than noise."


def ahead(order: pd.DataFrame, objective: Objective) -> pd.DataFrame:
    """The confirmed configurations that are better than the chosen one, the first, by more than noise, the best first:
    one-sided tests with an error of 5 % for all of them together (Bonferroni's inequality)."""
    if not order["confirmed"].iloc[0]:
        return order.iloc[:0]
    noise = tables.noise_of(order, objective.metric)
    apart = critical(noise, slice(None), np.array([0]), ERROR / max(1, len(order) - 1))[:, 0]
    values = (objective.sign * order[objective.metric]).sort_values(kind="stable")
    is_ahead = pd.Series(values[order.index[0]] - values.reindex(order.index).to_numpy() > apart, order.index)
    return order.loc[[i for i in values.index if is_ahead[i]]]


def flattered(study: StudyData, table: pd.DataFrame, objective: Objective) -> str:
    """By how much choice flatters the best where it is not confirmed: both splits see the luck of the trainings that it
    was chosen by."""
    order, by = tables.best(table, objective), study.selection_column(objective)
    column = f"select_{objective.metric}"
    if len(order) < 2 or order["confirmed"].any() or alike(order, objective):
        return ""
    luck = inference.flattery(objective.sign * order[column].to_numpy(float), tables.noise_of(order, column))
    done = study.searched[study.searched["state"] == "finished"]
    done = done[np.isfinite(done[[by, objective.metric]].astype(float)).all(axis=1)]
    groups = pd.factorize(done["configuration"])[0]
    luck *= inference.carried(done[by].to_numpy(float), done[objective.metric].to_numpy(float), groups)
    if not math.isfinite(luck):
        return " It was chosen by its luck, too; by how much that flatters it cannot be known without replicates."
    value = abs(order[objective.metric].iloc[0])
    share = f" ({number(100 * luck / value, 2)} % of it)" if value > 0 else ""
    if not luck > ROUNDING * value:
        return ""
    text = f" Its value is flattered by choice, by about {number(luck, 2)}{share}"
    return f"{text}; seeds that took no part would tell (--extend --confirm 2)."


def left_out(table: pd.DataFrame, objective: Objective) -> str:
    """How many finished configurations a rate does not rank, and why."""
    finished = table[table["n"] > 0]
    kinds = finished.loc[~tables.compares(finished, [objective]), "rate_is"].value_counts()
    reasons = {"bound": "whose rate is a bound and no KL divergence", "none": "without a rate"}
    each = [
        f"{count(int(n), 'configuration')} {reasons.get(kind, f'whose rate is {kind}')}" for kind, n in kinds.items()
    ]
    return f" Not ranked by it: {' and '.join(each)}." if each else ""


def apart_by(order: pd.DataFrame, objective: Objective) -> np.ndarray:
    """(n,) difference of each configuration's test value from the first one's that is more than noise.

    The first was chosen for its value, on trainings whose luck both splits share, and may be any. Controls are held
    against each configuration that it may be: Bonferroni's inequality over all controls and all of these, so that one
    is called worse wrongly in 5 % of studies at most; better, which choice makes rarer, no more often. Whether the
    runner-up, also chosen, is worse needs the two-sided test at 5 % of these two alone: Hung & Fithian, Rank
    verification for exponential families, Ann. Statist. 47 (2019), 758-782.

    Measured by fresh seeds the first is one configuration, named before they were trained, and the family is what it is
    held against: two-sided tests of the controls and the runner-up.
    """
    controls = order["control"].to_numpy(bool)
    noise, first = tables.noise_of(order, objective.metric), np.array([0])
    if "confirmed" in order and order["confirmed"].iloc[0]:
        against = controls | (np.arange(len(order)) == 1)
        return critical(noise, slice(None), first, ERROR / 2 / max(1, int(against[1:].sum())))[:, 0]
    family = max(1, int(controls.sum())) * max(1, len(order) - 1)
    apart = critical(noise, slice(None), first, ERROR / family)[:, 0]
    if len(order) > 1 and not controls[1]:
        apart[1] = critical(noise, np.array([1]), first, ERROR / 2)[0, 0]
    return apart


def _sharper(order: pd.DataFrame, objective: Objective) -> str:
    """Which configurations' gap is one of too much sharpness, by more than noise where that is known."""
    column = objective.metric
    ratios = pd.Series([tables.against_real(row, column) for _, row in order.iterrows()], order.index, dtype=float)
    if not naming.is_gap(column) or ratios.isna().all():
        return ""
    # One or the other of many is too sharp by luck: the halves in which all means are together.
    halves = pd.Series(tables.noise_of(order, column).half(ERROR / 2 / len(order)), order.index)
    beyond = "" if halves.isna().all() else " by more than noise"
    over = ratios[ratios - 1 > halves.fillna(0)].sort_values(ascending=False)
    if not len(over):
        return f" No configuration is sharper than real images{beyond}."
    text = f" Sharper than real images{beyond}: {count(len(over), 'configuration')}, "
    which = "most of all" if len(over) > 1 else "which is"
    return f"{text}{which} {order.loc[over.index[0], 'name']} with {naming.times(over.iloc[0])} theirs."


def _value(row: pd.Series, objective: Objective) -> str:
    return interval(row[objective.metric], row[f"{objective.metric}_half"])


APART = ("worse by more than noise", "better on {} by more than noise")
APART_IN_GAP = (
    "farther from real images' sharpness by more than noise",
    "closer to real images' sharpness on {} by more than noise",
)


def _verdict(order: pd.DataFrame, place: int, apart: np.ndarray, objective: Objective) -> str:
    """Whether the test value of the configuration at `place` differs from the first one's by more than `apart`."""
    column = objective.metric
    if not math.isfinite(apart[place]):
        return "not to be told from noise without replicates of both"
    gap = objective.sign * (order[column].iloc[place] - order[column].iloc[0])
    if abs(gap) <= apart[place]:
        return "no different within noise"
    words = (APART_IN_GAP if naming.is_gap(column) else APART)[0 if gap > 0 else 1]
    return words.format("fresh seeds" if order["confirmed"].iloc[0] else "the test split")


def trade_off(study: StudyData, table: pd.DataFrame) -> str:
    """How many configurations lie on the front, and how many are off it only within noise."""
    if len(study.objectives) < 2:
        return ""
    drawn = tables.front(table, study.objectives)
    on, near = int(drawn["on_front"].sum()), int(drawn["dominated_within_noise"].sum())
    judged = tables.judged(drawn)
    kind = "confirmed" if (confirmed := judged["confirmed"].any()) else "ranked"
    text = f"{on} of {count(len(judged), f'{kind} configuration')} {'is' if on == 1 else 'are'} on the front"
    text += f", and {near} more {'is' if near == 1 else 'are'} dominated only within noise." if near else "."
    if not confirmed:
        return text
    beaten = judged["chosen"] & ~judged["on_front"] & ~judged["dominated_within_noise"]
    known = judged[[f"{o.metric}_error" for o in study.objectives]].notna().any(axis=None)
    for names, what in (
        (judged.loc[beaten, "name"], f"but dominated {'by more than noise ' if known else ''}on fresh seeds"),
        (drawn.loc[drawn["chosen"] & ~drawn["confirmed"], "name"], "but not confirmed"),
    ):
        text += f" Chosen for it by the search, {what}: {', '.join(names)}." if len(names) else ""
    return text


def together(study: StudyData, table: pd.DataFrame) -> str:
    """Which pairs of objectives order the configurations alike, so that there is little to weigh, and which the other
    way round; those that chance may have ordered so are left out."""
    order, text = tables.ranked(table, study.objectives), []
    if len(order) < inference.FEWEST:
        return ""
    for pair in combinations(study.objectives, 2):
        correlation, is_more = inference.correlation(
            *(o.sign * order[f"select_{o.metric}"].to_numpy(float) for o in pair)
        )
        if is_more:
            names = " and ".join(o.label for o in pair)
            what = "go together, and leave little to weigh" if correlation > 0 else "pull apart"
            text.append(f"{names} {what} (rank correlation {correlation:.2f} over {len(order)} configurations)")
    return f"In the search, {'; '.join(text)}." if text else ""


def yardsticks(study: StudyData) -> str:
    """The sharpness of real images, and what they have of each distance of samples that is an objective."""
    text = []
    real = tables.real_sharpness(study)
    if math.isfinite(real):
        gap = any(naming.is_gap(o.metric) for o in study.objectives)
        meaning = "a gap of 0 is as sharp as they, 1 a plain grey" if gap else "more is not closer to them"
        text.append(f"Real test images have a sharpness of {number(real)}: {meaning}.")
    for objective in study.objectives:
        floor, spread = identities.floor(study, objective.metric), identities.floor_sd(study, objective.metric)
        if not naming.source(objective.metric):
            continue  # reconstructions of the same images: 0, which needs no saying
        if naming.is_kernel_distance(objective.metric) and math.isfinite(spread):
            text.append(
                f"The {objective.label} of two sets of real images is 0 on average, with a standard deviation of "
                f"{number(spread)}: what is no farther from 0 is not to be told from real images by it."
            )
        elif math.isfinite(floor) and floor > 0:
            text.append(
                f"Two sets of real images are {number(floor)} apart in {objective.label}: nothing can be "
                "expected to fall below that."
            )
    return " ".join(text)


def method(study: StudyData, table: pd.DataFrame) -> str:
    """On what the configurations were ranked, what is shown, and what an interval means here."""
    if study.ranked_by_validation:
        text = "Configurations are ranked by the validation split, which the search saw; "
        text += (
            "all values shown are of the test split, so the first by rank need not have the best value. Both splits "
        )
        text += "see the same trainings, whose luck no split takes away."
    else:
        text = (
            "Some objectives were not measured on the validation split: the test split ranks too, so "
            "the best values look better than they are."
        )
    judged = tables.judged(table)
    confirmed, seeds = judged["confirmed"].any(), judged.loc[judged["n"] > 0, "n"]
    kind = "fresh seed" if confirmed else "seed"
    if confirmed:
        text = "Configurations are chosen by the search's own trainings, on the "
        text += f"{'validation' if study.ranked_by_validation else 'test'} split; what was chosen (the front, "
        text += "the controls, the best of each method and kernel) was trained again with fresh seeds. Values, "
        text += "front and differences are of these alone, on the test split: what was chosen by its luck falls back. "
        text += "What is grey is of the search's own seeds, and flattered where these chose it."
    if seeds.max() < 2:
        whose = "confirmed configuration" if confirmed else "configuration"
        return text + f" Every {whose} has one {kind}, so there are no intervals."
    if seeds.min() < seeds.max():
        text += f" {'These' if confirmed else 'Configurations'} have {seeds.min():g} to {seeds.max():g} finished "
        text += f"{kind}s each; more seeds make an interval narrower."
    text += f" Intervals are 95 % intervals of the mean over a configuration's {kind}s"
    if not confirmed:
        text += (
            "; those of the best and the runner-up hold for all configurations together, and so for one that was chosen"
        )
    text += (
        ". The spread between seeds of each configuration is shrunk towards that of its method and kernel, and this "
        "towards what all share; it grows with the value where the seeds show that it does. Differences leave out what "
        "is common to all trainings of a seed, so that intervals may overlap where a difference is more than noise; "
        "two seeds cannot tell how much that is, so that their intervals are wide. "
        "Per objective, a control is called better or worse than the best by mistake in about one study of twenty or "
        "fewer, and so is the runner-up; a configuration that belongs on the front is drawn as dominated by more than "
        "noise as seldom. Where methods differ much in their spread, a few configurations of two or three seeds cannot "
        "show it, and mistakes are more frequent."
    )
    if confirmed and any(options.get("until") for options in tables.sessions_options(study)):
        text += (
            " Here fresh seeds were added for as long as something was undecided, and looked at each time, which "
            "makes more mistakes. Only the verdicts of claims hold at all looks."
        )
    return text
