"""Two processes over gloo train and measure what one does."""

import sys
from dataclasses import dataclass, replace
from functools import cache
from pathlib import Path
from typing import Any, ClassVar

import pytest
import torch
from PIL import Image
from tiny import POSTERIORS, Strided, adversarial_recipe, flipping, labelled, tiny_images, tiny_recipe
from torch import nn
from two_ranks import of_both

from evae.checkpoints import dump_training, restore_training
from evae.data import DataRecipe, load
from evae.data.bare import File
from evae.evaluation import evaluate
from evae.evaluation.codes import training_codes
from evae.inference import InnerLoop
from evae.metrics.features import Features, load_features
from evae.metrics.reference import Reference, reference
from evae.networks.base import Network
from evae.networks.unet_discriminator import UNetDiscriminator
from evae.posteriors.base import Posterior
from evae.posteriors.evae import Evae
from evae.posteriors.mixture import Mixture
from evae.ranks import Ranks
from evae.recipe import Recipe
from evae.training import Diverged, Training

IMAGES = labelled(tiny_images())
CLOCKS = ("train_s", "images_per_s")


@dataclass(frozen=True, kw_only=True)
class Dense(Network):
    """A layer each way: nothing in it depends on the other images of a batch."""

    family: ClassVar[str] = "dense"

    def build(self, image_size: int, channels: int, latent: int, heads: int) -> tuple[nn.Module, nn.Module]:
        shape = (channels, image_size, image_size)
        pixels = channels * image_size**2
        return (
            nn.Sequential(nn.Flatten(), nn.Linear(pixels, heads * latent)),
            nn.Sequential(nn.Linear(latent, pixels), nn.Unflatten(1, shape)),
        )


def dense(posterior: Posterior | None = None, **optimisation: Any) -> Recipe:
    return flipping(replace(tiny_recipe(posterior, **optimisation), network=Dense()))


def adversarial(posterior: Posterior) -> Recipe:
    return replace(adversarial_recipe(posterior, start_epoch=2, learning_rate=1e-3), network=Dense())


def optimised(recipe: Recipe) -> Recipe:
    """With all that papers do in training."""
    given = {"optimiser": "adamax", "weight_decay": 0.1, "clip_norm": 50.0, "ema": 0.8}
    given |= {"schedule": "cosine", "warm_up_epochs": 0.5, "beta_warm_up_epochs": 1.0}
    return replace(recipe, optimisation=replace(recipe.optimisation, **given))


def with_labels(recipe: Recipe, counts: tuple[int, ...]) -> Recipe:
    return replace(recipe, evaluation=replace(recipe.evaluation, downstream=counts))


def weighed(recipe: Recipe) -> Recipe:
    """With the log likelihood of images among what is measured."""
    return replace(recipe, evaluation=replace(recipe.evaluation, iw_samples=3))


def two_sizes(recipe: Recipe) -> Recipe:
    """The first epoch at half the size."""
    return replace(recipe, network=Strided(), optimisation=replace(recipe.optimisation, half_size_epochs=1))


def judged_by_a_unet(recipe: Recipe) -> Recipe:
    """With spectral norms, whose estimates each rank makes for itself, and an adaptive weight."""
    judge = {"discriminator": UNetDiscriminator(channels=1), "weighting": "adaptive", "weight": 0.5}
    return replace(recipe, adversarial=replace(recipe.adversarial, **judge))


RECIPES = {
    **{posterior.family: dense(posterior) for posterior in POSTERIORS},
    "mixtures across ranks": weighed(dense(Mixture(mixture_size=3))),
    "mixture of a batch": dense(Mixture(unbiased=True)),
    "adversarial": adversarial(Mixture(mixture_size=20)),
    "optimised as in papers": optimised(adversarial(Mixture(mixture_size=20))),
    "U-Net": judged_by_a_unet(adversarial(Mixture(mixture_size=20))),
    "last batch of one image": dense(batch_size=23),
    "importance-weighted": replace(dense(), importance_samples=3),
    "inner loop": replace(dense(), inference=InnerLoop(window=2, most=5)),
    "accuracies": with_labels(dense(), (1, 7, 16)),
    "two sizes": two_sizes(dense()),
    "batch norm": tiny_recipe(Evae()),
}


@cache
def seen() -> tuple[Features, dict[str, Reference]]:
    """The features, and the real images as they see them."""
    features, splits = load_features("efficientnet-lite0-b2"), ("validation", "test")
    return features, {split: reference(getattr(IMAGES, split), IMAGES.train, features) for split in splits}


def measure(recipe: Recipe, ranks: Ranks) -> dict[str, Any]:
    """An evaluation of the model as it begins, the same for any number of ranks, and two epochs."""
    training = Training(recipe, IMAGES, ranks=ranks)
    result = evaluate(training, *seen())
    epochs = [training.train_epoch() | training.validate() for _ in range(2)]
    return {
        "epochs": [{k: v for k, v in epoch.items() if k not in CLOCKS} for epoch in epochs],
        "metrics": result.metrics,
        "pictures": [row["png"] for row in result.pictures],
        "weights": training.model.state_dict() | (training.adversary.module.state_dict() if training.adversary else {}),
        "recent": training.recent.heads,
        "codes": training_codes(training),
    }


def poisoned(ranks: Ranks) -> str:
    """The second rank's loss alone is not finite."""
    training = Training(dense(), IMAGES, ranks=ranks)
    if ranks.rank == 1:
        with torch.no_grad():
            training.model.decoder[0].bias.fill_(float("inf"))
    before = training.model.encoder[1].weight.clone()
    with pytest.raises(Diverged) as caught:
        training.train_epoch()
    assert torch.equal(before, training.model.encoder[1].weight)
    return str(caught.value)


def statistics(ranks: Ranks) -> dict[str, torch.Tensor]:
    """BatchNorm's, of a model as it begins."""
    training = Training(tiny_recipe(Evae()), IMAGES, ranks=ranks)
    training._estimate_statistics()
    return dict(training.model.named_buffers())


def streamed(ranks: Ranks, folder: str, stream: str = "always") -> dict[str, Any]:
    """Two epochs on images that stay in their files, and which of these were opened for the training."""
    images, opened = load(DataRecipe(source=f"folder:{folder}", validation_images=5), stream=stream), []

    class Counting:
        """The files, and what is opened of them."""

        names = () if stream == "never" else images.train.files.names

        def file(self, number: int) -> File:
            opened.append(number)
            return images.train.files.file(number)

    train = images.train if stream == "never" else replace(images.train, files=Counting())
    training = Training(dense(batch_size=6), replace(images, train=train), ranks=ranks)
    rows = [training.train_epoch() | training.validate() for _ in range(2)]
    rows = [{name: value for name, value in row.items() if name not in CLOCKS} for row in rows]
    return {"epochs": rows, "opened": opened, "n": len(train)}


def gradients(ranks: Ranks) -> dict[str, torch.Tensor]:
    """Of the sum of both ranks' losses, by name, of a model of which one weight takes no part."""
    torch.manual_seed(0)
    model = nn.Sequential(nn.Conv2d(8, 8, 3), nn.BatchNorm2d(8), nn.Conv2d(8, 2, 3))
    model = model.to(memory_format=torch.channels_last)
    model.register_parameter("idle", nn.Parameter(torch.ones(3)))
    for x in torch.randn(2, 1, 8, 9, 9)[[ranks.rank] if ranks.size > 1 else [0, 1]]:
        model(x).square().sum().backward()
    ranks.sum_gradients(model.parameters())
    assert model.idle.grad is None
    found = {name: weight for name, weight in model.named_parameters() if weight.grad is not None}
    assert all(weight.grad.stride() == weight.stride() for weight in found.values())
    return {name: weight.grad for name, weight in found.items()}


def went_on(ranks: Ranks) -> bool:
    """Whether a training that is taken up again is what it was."""
    training, again = (Training(RECIPES["optimised as in papers"], IMAGES, ranks=ranks) for _ in range(2))
    training.train_epoch()
    restore_training(again, dump_training(training))
    for each in (training, again):
        each.train_epoch()
    return all(map(torch.equal, training.model.parameters(), again.model.parameters()))


def find(ranks: Ranks, folder: str) -> dict[str, Any]:
    found: dict[str, Any] = {name: measure(recipe, ranks) for name, recipe in RECIPES.items()}
    found["poisoned"] = poisoned(ranks)
    found["statistics"] = statistics(ranks)
    found["gradients"] = gradients(ranks)
    found["streamed"] = streamed(ranks, f"{folder}/pictures")
    found["went on"] = went_on(ranks)
    found["compiler"] = [name for name in ("torch._dynamo", "sympy") if name in sys.modules]
    return found


@pytest.fixture(scope="module")
def two(tmp_path_factory) -> list[dict[str, Any]]:
    """What each of two ranks found."""
    folder: Path = tmp_path_factory.mktemp("ranks")
    (folder / "pictures").mkdir()
    for number, image in enumerate(IMAGES.train):
        Image.fromarray(image[0]).save(folder / "pictures" / f"{number}.png")
    return of_both(find, folder)


@pytest.mark.parametrize("name", RECIPES)
def test_all_ranks_find_the_same(name, two):
    first, second = (found[name] for found in two)
    assert first["epochs"] == second["epochs"]
    assert first["metrics"] == second["metrics"] and first["pictures"] == second["pictures"]
    assert torch.equal(first["recent"], second["recent"]) and torch.equal(first["codes"], second["codes"])
    for weight in first["weights"]:
        assert torch.equal(first["weights"][weight], second["weights"][weight])


@pytest.mark.parametrize("name", [name for name in RECIPES if name != "batch norm"])
def test_two_ranks_train_and_measure_what_one_process_does(name, two):
    alone = measure(RECIPES[name], Ranks())
    for one, both in zip(alone["epochs"], two[0][name]["epochs"], strict=True):
        assert both == pytest.approx(one, rel=1e-5, abs=1e-5)
    for metric, value in alone["metrics"].items():
        if not isinstance(value, str):
            assert two[0][name]["metrics"][metric] == pytest.approx(value, rel=1e-4), metric
    for weight, value in alone["weights"].items():
        torch.testing.assert_close(two[0][name]["weights"][weight], value, rtol=1e-3, atol=1e-5)
    torch.testing.assert_close(two[0][name]["recent"], alone["recent"], rtol=1e-4, atol=1e-5)
    torch.testing.assert_close(two[0][name]["codes"], alone["codes"], rtol=1e-3, atol=1e-4)


def test_batch_norm_on_two_ranks_sees_half_a_batch_and_comes_close(two):
    """Not equal, and not far: the loss after two epochs is within a few per cent."""
    alone, both = measure(RECIPES["batch norm"], Ranks()), two[0]["batch norm"]
    one, other = (found["epochs"][-1]["val_loss_nats"] for found in (alone, both))
    assert one != other
    assert other == pytest.approx(one, rel=0.05)


def test_batch_norm_is_measured_with_the_statistics_of_one_process(two):
    alone = statistics(Ranks())
    for both in two:
        assert both["statistics"].keys() == alone.keys()
        for name, value in alone.items():
            torch.testing.assert_close(both["statistics"][name], value, rtol=1e-5, atol=1e-6)


def test_gradients_are_summed_where_they_lie_in_memory(two):
    alone = gradients(Ranks())
    assert len(alone) == 6
    for both in two:
        assert both["gradients"].keys() == alone.keys()
        for name, value in alone.items():
            torch.testing.assert_close(both["gradients"][name], value, rtol=1e-4, atol=1e-4)


def test_a_loss_that_is_not_finite_on_one_rank_stops_all_before_their_step(two):
    assert "epoch 1" in two[0]["poisoned"]
    assert two[0]["poisoned"] == two[1]["poisoned"]


def test_of_images_that_stay_in_files_each_rank_reads_its_shares(two, tmp_path):
    for number, image in enumerate(IMAGES.train):
        Image.fromarray(image[0]).save(tmp_path / f"{number}.png")
    alone = streamed(Ranks(), str(tmp_path), "never")
    found = [ranks["streamed"] for ranks in two]
    assert found[0]["epochs"] == found[1]["epochs"]
    for one, both in zip(alone["epochs"], found[0]["epochs"], strict=True):
        assert both == pytest.approx(one, rel=1e-5, abs=1e-5)
    first, second = (ranks["opened"] for ranks in found)
    assert len(first) == len(second) == found[0]["n"]  # half of each of two epochs
    assert sorted(first + second) == sorted(2 * list(set(first + second)))


def test_trials_are_trained_measured_and_taken_up_again_without_torchs_compiler(two):
    """If not, torch has come to wrap another method of its optimisers, or imports its compiler for something else: the
    first trial of every process takes 1.7 s longer. The second rank has done nothing else."""
    assert two[0]["went on"] and two[1]["went on"]
    assert two[1]["compiler"] == []


@pytest.mark.parametrize("size", [1, 2, 3, 7])
@pytest.mark.parametrize("count", [1, 2, 5, 7, 100])
def test_shares_cover_a_batch_once_and_their_weights_add_up(count, size):
    shares = [Ranks(rank, size).share(count) for rank in range(size)]
    rows = [row for share in shares for row in range(count)[share.rows]]
    assert rows == list(range(count)) * (1 if count >= size else size)
    assert sum(share.weight for share in shares) == pytest.approx(1)
    assert max(s.stop - s.start for s in shares) - min(s.stop - s.start for s in shares) <= 1
