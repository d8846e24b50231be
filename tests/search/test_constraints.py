"""Constraints: read, told to Optuna, and kept by what is trained, ranked and confirmed."""

import math

import optuna
import pytest
from optuna.trial import TrialState

from evae.errors import UserError
from evae.networks.conv import Conv
from evae.recipe import Recipe
from evae.search.confirmation import chosen
from evae.search.constraints import Constraint, keeps, parse, violations
from evae.search.exact import Exact
from evae.search.replicates import Race
from evae.search.samplers import sampler
from evae.search.searcher import FINISHED, StudySearcher
from evae.search.space import Control, Space

OBJECTIVES = [("val_rec_psnr_db", "max"), ("val_rec_ssim", "max")]


def suggest(trial, base):
    return Recipe(network=Conv(width=trial.suggest_float("width", 0.05, 1.0)), latent=4)


SPACE = Space(suggest, (Control("wide", {"width": 1.0}), Control("narrow", {"width": 0.05})))


def test_constraints_are_read():
    small, fast = parse(["encoder_parameters<=8e6", " encode_images_per_s >= 400 "], "x")
    assert (small.metric, small.most, small.limit, small.exact) == ("encoder_parameters", True, 8e6, True)
    assert (fast.most, fast.exact, fast.text) == (False, False, "encode_images_per_s >= 400")
    assert parse(["parameters <= 1038308"], "x")[0].text == "parameters <= 1038308"
    assert parse(["rec_fd <= 300"], "lite_b10")[0].metric == "rec_fd_lite_b10"
    assert parse(["xpd_fd <= 300"], "b", "mixture")[0].metric == "xpd_mixture_fd_b"


@pytest.mark.parametrize(
    ("texts", "said"),
    [
        (["encoder_paramters <= 8e6"], "Did you mean 'encoder_parameters'"),
        (["encoder_parameters < 8e6"], "needs <= or >="),
        (["encoder_parameters <= many"], "cannot be read"),
        (["8e6 >= encoder_parameters"], "cannot be read"),
        (["encoder_parameters <= nan"], "finite number"),
        (["xpd_fd <= 300"], "add --densities"),
        (["parameters <= 10", "parameters >= 20"], "no value keeps to both"),
    ],
)
def test_what_cannot_be_read_is_said(texts, said):
    with pytest.raises(UserError, match=said):
        parse(texts, "x")


def test_a_violation_is_in_units_of_the_limit():
    most, least = parse(["encoder_parameters <= 100", "rec_psnr_db >= 20"], "x")
    assert most.violation(150) == 0.5 and most.violation(100) <= 0 and math.isinf(most.violation(math.nan))
    assert least.violation(15) == 0.25 and least.violation(30) < 0
    rows = [{"val_encoder_parameters": 80.0, "val_rec_psnr_db": value} for value in (15.0, 27.0)]
    assert keeps(rows, [most, least]) and not keeps(rows[:1], [most, least]) and not keeps([], [most])
    assert violations(rows, [least]) == [pytest.approx(-0.05)]


def test_of_a_recipe_it_is_known_before_training():
    exact = Exact(parse(["encoder_parameters <= 1e5", "rec_psnr_db >= 20"], "x"), 32, 1)
    assert [each.metric for each in exact.constraints] == ["encoder_parameters"]
    base = Recipe()
    recipes = SPACE.recipes(base)[:10]
    space, notes = exact.restrict(SPACE, recipes)
    assert [control.label for control in space.controls] == ["narrow"]
    assert notes == ["wide is left out: it cannot keep to encoder_parameters <= 100000"]
    with pytest.raises(UserError, match=r"no configuration can keep to encoder_parameters <= 3: of 10 .* is from 1,"):
        Exact(parse(["encoder_parameters <= 3"], "x"), 32, 1).restrict(SPACE, recipes)


def searcher(constraints, space=SPACE, total=8, exact=None, kind="tpe"):
    optuna.logging.set_verbosity(optuna.logging.ERROR)
    parts = {"total": total, "seeds": 1, "sampler_seed": 0, "make_sampler": sampler[kind]}
    return StudySearcher(space, Recipe(), OBJECTIVES, **parts, constraints=constraints, exact=exact)


def run(search, speed=lambda width: 1 / width):
    """Wider networks are better in both objectives, and slower."""
    widths = []
    for i in range(100):
        job = search.suggest(str(i))
        if job in (None, FINISHED):
            break
        width = job.recipe["network"]["width"]
        values = {"val_rec_psnr_db": 20 + width, "val_rec_ssim": width, "val_encode_images_per_s": speed(width)}
        search.on_trial_complete(str(i), {"state": "finished", **values})
        widths.append(width)
    return widths


@pytest.mark.parametrize("kind", ["tpe", "nsga2", "random"])
def test_what_cannot_keep_to_it_is_never_trained_and_optuna_is_told(kind):
    constraints = parse(["encoder_parameters <= 1e5"], "x")
    exact = Exact(constraints, 32, 1)
    space, _ = exact.restrict(SPACE, SPACE.recipes(Recipe())[:10])
    search = searcher(constraints, space, exact=exact, kind=kind)
    trained = run(search)
    assert len(trained) == 8
    assert all(exact.keeps(Recipe(network=Conv(width=width), latent=4)) for width in trained)
    outside = [t for t in search.study.get_trials() if t.state == TrialState.PRUNED]
    assert outside and all(t.constraints["encoder_parameters <= 100000"] > 0 for t in outside)


def test_a_search_ends_where_nothing_more_keeps_to_it():
    def percents(trial, base):
        return Recipe(network=Conv(width=trial.suggest_int("percent", 5, 100) / 100), latent=4)

    constraints = parse(["encoder_parameters <= 2000"], "x")
    space = Space(percents, (Control("narrow", {"percent": 5}),))
    search = searcher(constraints, space, exact=Exact(constraints, 32, 1), kind="random")
    assert run(search) == [0.05] and search.exhausted


def test_what_breaks_a_measured_one_is_trained_and_neither_ranked_nor_confirmed():
    search = searcher(parse(["encode_images_per_s >= 4"], "x"), total=20)
    run(search)
    by_key = search.configurations
    kept = {key for key in by_key if search.keeps(by_key[key])}
    assert all((1 / by_key[key].recipe.network.width >= 4) == (key in kept) for key in by_key)
    told = [t.constraints["encode_images_per_s >= 4"] <= 0 for t in search.study.get_trials()]
    assert sum(told) == len(kept) and 0 < len(kept) < 20
    best = max(kept, key=lambda key: by_key[key].recipe.network.width)
    picked = chosen(by_key, OBJECTIVES, search.constraints)
    assert best in picked
    assert {by_key[key].label for key in picked} - {by_key[best].label} == {"wide", "narrow"}
    race = Race(OBJECTIVES)
    for configuration in by_key.values():
        race.note(configuration, search.keeps(configuration))
    assert set(race.near()) <= kept


def test_a_constraint_survives_the_manifest():
    (one,) = parse(["encode_images_per_s >= 4"], "x")
    assert Constraint(**one.to_dict()) == one
