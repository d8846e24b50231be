"""The options of a study: each reaches its recipe, and what cannot be is refused."""

import dataclasses
from itertools import pairwise

import optuna
import pytest

from evae.errors import UserError
from evae.networks import SIZES
from evae.networks import network as families
from evae.recipe import Recipe
from evae.search.claims import Comparison, Stated
from evae.search.confirmation import Confirmation
from evae.search.deciding import Deciding
from evae.search.samplers import sampler as samplers
from evae.study.options import StudyOptions
from evae.study.run import fresh_seeds
from studies.discriminator_sweep import DiscriminatorSweep
from studies.mog_sweep import MogSweep
from studies.tokenizer_sweep import TokenizerSweep

RECIPE_OPTIONS = {
    "data": ("photos", lambda r: r.data.source),
    "image_size": ((48, 64), lambda r: r.data.image_size),
    "channels": (3, lambda r: r.data.channels),
    "fit": ("pad", lambda r: r.data.fit),
    "train_images": (11, lambda r: r.data.train_images),
    "validation_images": (12, lambda r: r.data.validation_images),
    "test_images": (13, lambda r: r.data.test_images),
    "horizontal_flip": (True, lambda r: r.data.horizontal_flip),
    "latent": (5, lambda r: r.latent),
    "epochs": (6, lambda r: r.optimisation.epochs),
    "batch_size": (7, lambda r: r.optimisation.batch_size),
    "learning_rate": (0.5, lambda r: r.optimisation.learning_rate),
    "precision": ("fp32", lambda r: r.optimisation.precision),
    "optimiser": ("adamax", lambda r: r.optimisation.optimiser),
    "weight_decay": (0.1, lambda r: r.optimisation.weight_decay),
    "clip_norm": (2.0, lambda r: r.optimisation.clip_norm),
    "schedule": ("cosine", lambda r: r.optimisation.schedule),
    "warm_up_epochs": (1.5, lambda r: r.optimisation.warm_up_epochs),
    "ema": (0.9, lambda r: r.optimisation.ema),
    "beta_warm_up_epochs": (2.5, lambda r: r.optimisation.beta_warm_up_epochs),
    "iw_samples": (7, lambda r: r.evaluation.iw_samples),
    "features": ("efficientnet-lite0-b2", lambda r: r.evaluation.features),
    "downstream": ((200, 1000), lambda r: r.evaluation.downstream),
}


@pytest.mark.parametrize("option", RECIPE_OPTIONS)
def test_an_option_reaches_the_recipe_and_changes_nothing_else(option):
    value, read = RECIPE_OPTIONS[option]
    usual, given = StudyOptions().base_recipe(), StudyOptions(**{option: value}).base_recipe()
    assert read(given) == value != read(usual)
    assert len(differences(usual, given)) == 1


@pytest.mark.parametrize(
    ("with_them", "option", "value"),
    [
        ({"schedule": "cosine"}, "cosine_floor", 0.1),
        ({"schedule": "cosine"}, "cosine_restarts", 2),
        ({"beta_warm_up_epochs": 2.0}, "beta_cycles", 3),
    ],
)
def test_an_option_of_another_one_reaches_the_recipe_beside_it(with_them, option, value):
    usual = StudyOptions(**with_them).base_recipe()
    given = StudyOptions(**with_them, **{option: value}).base_recipe()
    assert getattr(given.optimisation, option) == value
    assert differences(usual, given) == [f"optimisation.{option}"]


@pytest.mark.parametrize(
    ("given", "family", "weight"),
    [("patchgan", "patchgan", 100.0), ("unet=0.5", "unet", 0.5), ("patchgan=2", "patchgan", 2)],
)
def test_a_discriminator_is_as_wide_as_the_networks_and_has_its_weight(given, family, weight):
    found = StudyOptions(discriminator=given, size="small").base_recipe().adversarial
    assert (found.discriminator.family, found.weight) == (family, weight)
    assert family != "patchgan" or found.discriminator.width == 0.5


@pytest.mark.parametrize(
    ("given", "said"),
    [
        ("patchgun", "Did you mean 'patchgan'"),
        ("unet=much", "'unet=much': the weight must be a number"),
        ("unet=-1", "above 0"),
    ],
)
def test_a_discriminator_that_cannot_be_is_refused(given, said):
    with pytest.raises(UserError, match=said):
        StudyOptions(discriminator=given)


def test_a_space_with_discriminators_of_its_own_takes_no_other():
    for study in (MogSweep, DiscriminatorSweep, TokenizerSweep):
        given = study(discriminator="patchgan")
        with pytest.raises(UserError, match="this study's own search says which discriminator"):
            given.space.recipes(given.base_recipe())


def differences(a: Recipe, b: Recipe) -> list[str]:
    def flat(tree: dict, prefix: str = "") -> dict[str, object]:
        found = {}
        for key, value in tree.items():
            found |= flat(value, f"{prefix}{key}.") if isinstance(value, dict) else {prefix + key: value}
        return found

    x, y = flat(a.to_dict()), flat(b.to_dict())
    return [key for key in x.keys() | y.keys() if x.get(key) != y.get(key)]


@pytest.mark.parametrize("network", families)
@pytest.mark.parametrize("size", SIZES)
def test_the_size_is_the_width_of_the_networks(size, network):
    assert StudyOptions(size=size, network=network).base_recipe().network == families[network].of_width(SIZES[size])


def test_each_sampler_can_be_made_quietly():
    for make in samplers.values():
        assert isinstance(make(3), optuna.samplers.BaseSampler)


@pytest.mark.parametrize(
    ("results", "location"),
    [
        ("results", "results/a#1"),
        ("results/", "results/a#1"),
        ("/", "/a#1"),
        ("~/results", "~/results/a#1"),
        ("s3://bucket/results/", "s3://bucket/results/a%231"),
        ("s3://k:s@bucket?region=x", "s3://k:s@bucket/a%231?region=x"),
    ],
)
def test_the_location_is_the_name_below_the_results(results, location):
    assert StudyOptions(results=results, name="a#1").location == location


@pytest.mark.parametrize("name", ["", "a/b", "a b", "..", ".hidden", "a\\b", "a\n", "a\x00", "a\udcff"])
def test_a_name_that_is_no_folder_name_is_refused(name):
    with pytest.raises(UserError, match="name of a folder"):
        StudyOptions(name=name)


@pytest.mark.parametrize("results", ["", " ", "s3://", "s3:/bucket", "~nobody-of-that-name/x"])
def test_results_that_nobody_means_are_refused(results):
    with pytest.raises(UserError, match=r"is empty|no bucket|neither|no home folder"):
        StudyOptions(results=results)


def test_options_are_shown_without_the_keys_of_their_results():
    assert "s3cr3t" not in repr(StudyOptions(results="s3://KEY:s3cr3t@bucket"))


@pytest.mark.parametrize(
    ("given", "text"),
    [
        ({"sampler": "tpee"}, "Did you mean 'tpe'"),
        ({"size": "smal"}, "Did you mean 'small'"),
        ({"trials": 0}, "--trials must be above 0"),
        ({"seeds": -1}, "--seeds must be above 0"),
        ({"cpus_per_worker": 0}, "--cpus-per-worker must be above 0"),
        ({"trials_at_once": 0}, "--trials-at-once must be above 0"),
        ({"data_root": " "}, "--data-root is empty"),
        ({"time_limit": 0.0}, "--time-limit must be above 0"),
        ({"confirm": -1}, "--confirm must not be negative"),
        ({"until": "decide"}, "Did you mean 'decided'"),
        ({"until": "decided", "budget": 0.0}, "--budget must be above 0"),
        ({"budget": 2.0}, "--budget is what --until decided may cost"),
        ({"seeds": 1001}, "--seeds must be at most 1000"),
        ({"gpus_per_worker": -0.5}, "--gpus-per-worker must not be negative"),
        ({"lanes": 0}, "--lanes must be auto or a number from 1 to 24"),
        ({"lanes": 1000}, "--lanes must be auto or a number from 1 to 24"),
        ({"lanes": "many"}, "--lanes must be auto or a number from 1 to 24"),
        ({"lanes": 2, "workers_per_trial": 2}, "--lanes 2: with --workers-per-trial .* give --lanes 1"),
        ({"lanes": 2, "gpus_per_worker": 0.5}, "--lanes 2: lanes share one whole GPU"),
        ({"lanes": 2, "cost": True}, "--lanes 2: what models cost"),
    ],
)
def test_a_study_that_cannot_be_is_refused_when_its_options_are_made(given, text):
    with pytest.raises(UserError, match=text):
        StudyOptions(**given)


@pytest.mark.parametrize(
    ("given", "text"),
    [
        ({"data": "mnits"}, "Did you mean 'mnist'"),
        ({"precision": "fp61"}, "unknown precision"),
        ({"latent": 0}, "latent size must be at least 1"),
        ({"epochs": 0}, "epochs must be above 0"),
        ({"learning_rate": -1.0}, "learning_rate must be above 0"),
        ({"epochs": 5, "warm_up_epochs": 6.0}, "warm_up_epochs must be at least 0 and at most the 5 epochs"),
        ({"cosine_restarts": 2}, "of the schedule cosine"),
        ({"iw_samples": -1}, "iw_samples must be at least 0, got -1"),
        ({"fit": "crop"}, "unknown fit"),
        ({"channels": 2}, "channels must be 1"),
        ({"test_images": 0}, "test_images must be at least 1"),
    ],
)
def test_a_recipe_that_cannot_be_is_refused(given, text):
    with pytest.raises(UserError, match=text):
        StudyOptions(**given).base_recipe()


def test_every_option_is_explained():
    """The command line takes its help from the strings below the fields."""
    import ast
    import inspect

    body = ast.parse(inspect.getsource(StudyOptions)).body[0].body
    explained = {
        field.target.id
        for field, text in pairwise(body)
        if isinstance(field, ast.AnnAssign) and isinstance(text, ast.Expr) and isinstance(text.value, ast.Constant)
    }
    assert explained == {field.name for field in dataclasses.fields(StudyOptions)}


def test_accuracies_are_measured_for_the_labels_that_are_asked_for_and_for_those_of_objectives():
    options = StudyOptions(downstream=(1000, 50), objectives=("gen_fd", "knn_accuracy_200", "linear_accuracy_1000"))
    assert options.base_recipe().evaluation.downstream == (50, 200, 1000)
    claims = ("VAE < autoencoder in linear_accuracy_70", "beta explains < 0.1 of gen_fd", " ")
    assert StudyOptions(downstream=(50,), claim=claims).base_recipe().evaluation.downstream == (50, 70)
    assert options.resolved_objectives()[1:] == [("knn_accuracy_200", "max"), ("linear_accuracy_1000", "max")]
    assert StudyOptions().base_recipe().evaluation.downstream == ()


def test_the_headline_says_what_gets_fresh_seeds():
    claims = [Stated(Comparison("a < b in rec_ssim", "a", "b", True, 1.0, "rec_ssim", "max"), "s")]
    for confirmation, said in (
        (None, ""),
        (Confirmation(1, []), ", then 1 fresh seed for those that are chosen"),
        (Deciding(0, [], claims=claims), ", then 2 fresh seeds for both sides of claims"),
        (Deciding(2, [], claims=claims), ", then 2 fresh seeds for those that are chosen"),
        (Deciding(2, [], until_decided=True), ", then fresh seeds until all is decided"),
    ):
        assert fresh_seeds(confirmation) == said


def test_perceptual_distances_of_objectives_and_claims_are_measured():
    given = {"objectives": ("gen_fd", "rec_st_lpips_alex"), "perceptual": ("efficientnet_features",)}
    options = StudyOptions(**given, claim=("VAE < EVAE in rec_st_lpips_vgg",))
    wanted = ("efficientnet_features", "st_lpips_alex", "st_lpips_vgg")
    assert options.perceptual_distances == wanted == options.base_recipe().evaluation.perceptual


def test_criteria_have_the_weights_that_are_given():
    criteria = StudyOptions(criteria=("l1=0.25", "perceptual")).base_recipe().criteria
    assert [(each.family, each.weight) for each in criteria] == [("l1", 0.25), ("perceptual", 1.0)]
    for given, said in (("l1=much", "must be a number, as in l1=0.5"), ("l3", "unknown criterion")):
        with pytest.raises(UserError, match=said):
            StudyOptions(criteria=(given,)).base_recipe()
