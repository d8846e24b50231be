"""The training loop: the same numbers every time, also across an interruption, and divergence said in time."""

import itertools
from dataclasses import replace

import numpy as np
import pytest
import torch
import torch.nn.functional as F
from tiny import POSTERIORS, flipping, tiny_images, tiny_recipe

from evae.checkpoints import dump_training, restore_training
from evae.hardware import has_native_bf16
from evae.posteriors.autoencoder import Autoencoder
from evae.posteriors.gaussian import Gaussian
from evae.stepping.step import mirrored
from evae.streams import ORDER, hashed
from evae.training import Diverged, Training, generator

IMAGES = tiny_images()
CLOCKS = ("train_s", "images_per_s")


def epoch(training: Training) -> dict[str, float]:
    """One epoch's measurements without those that depend on the clock."""
    measured = training.train_epoch() | training.validate()
    return {name: value for name, value in measured.items() if name not in CLOCKS}


def state(training: Training) -> dict[str, torch.Tensor]:
    """Weights, batch statistics and optimiser moments by name."""
    tensors = dict(training.model.state_dict())
    for index, moments in training.optimiser.state_dict()["state"].items():
        tensors |= {f"{index}.{name}": value for name, value in moments.items()}
    return tensors


def assert_identical(a: Training, b: Training) -> None:
    mine, other = state(a), state(b)
    assert mine.keys() == other.keys()
    assert [name for name in mine if not torch.equal(mine[name], other[name])] == []


@pytest.mark.parametrize("posterior", POSTERIORS, ids=lambda p: p.family)
def test_the_same_seed_gives_bit_identical_losses_and_weights(posterior):
    first, second = (Training(tiny_recipe(posterior), IMAGES) for _ in range(2))
    assert [epoch(first) for _ in range(2)] == [epoch(second) for _ in range(2)]
    assert_identical(first, second)


def test_another_seed_gives_other_numbers():
    first, second = (Training(tiny_recipe(seed=seed), IMAGES) for seed in (0, 1))
    assert epoch(first) != epoch(second)


def test_what_else_the_process_draws_does_not_matter():
    calm, noisy = (Training(tiny_recipe(), IMAGES) for _ in range(2))
    measured = epoch(calm)
    torch.rand(1000)
    np.random.rand(1000)
    assert epoch(noisy) == measured


@pytest.mark.parametrize("precision", ["fp32", "bf16"])
@pytest.mark.parametrize("stopped_after", [1, 2])
@pytest.mark.parametrize("posterior", POSTERIORS, ids=lambda p: p.family)
def test_interrupted_and_restored_is_bit_identical_to_uninterrupted(posterior, stopped_after, precision):
    recipe = flipping(tiny_recipe(posterior, precision=precision))
    whole = Training(recipe, IMAGES)
    measured = [epoch(whole) for _ in range(3)]

    interrupted = Training(recipe, IMAGES)
    for _ in range(stopped_after):
        epoch(interrupted)
    saved = dump_training(interrupted)
    epoch(interrupted)  # what was trained after the dump is lost, and must leave no trace in it

    continued = Training(recipe, IMAGES)
    restore_training(continued, saved)
    assert continued.epoch == stopped_after
    assert [epoch(continued) for _ in range(3 - stopped_after)] == measured[stopped_after:]
    assert continued.finished and whole.finished
    assert_identical(continued, whole)


def test_a_loss_that_overflows_is_caught_before_the_optimiser_steps():
    training = Training(tiny_recipe(learning_rate=1e6), IMAGES)
    steps, before = [], {}
    take_step = training.optimiser.step

    def watched_step() -> None:
        # The state that a step starts from is finite: nothing non-finite ever went in.
        steps.append(all(torch.isfinite(p.grad).all() for p in training.model.parameters()))
        take_step()
        before.update({name: value.clone() for name, value in training.model.state_dict().items()})

    training.optimiser.step = watched_step
    with pytest.raises(Diverged) as caught:
        for _ in range(3):
            training.train_epoch()
            training.validate()
    assert caught.value.epoch in (1, 2, 3) and caught.value.term in ("distortion", "rate", "loss", "elbo")
    assert f"{caught.value.term} became" in str(caught.value) and f"epoch {caught.value.epoch}" in str(caught.value)
    trained = {name for name, _ in training.model.named_parameters()}
    assert steps and all(torch.equal(before[n], p) for n, p in training.model.named_parameters() if n in trained)


@pytest.mark.parametrize("poison", [float("nan"), float("inf")])
def test_a_poisoned_weight_ends_the_epoch_before_any_step(poison):
    training = Training(tiny_recipe(Gaussian()), IMAGES)
    epoch(training)
    with torch.no_grad():
        training.model.encoder[-1].bias[-1] = poison  # a log variance: rate and distortion both suffer
    before = {name: value.clone() for name, value in training.model.named_parameters()}
    moments = training.optimiser.state_dict()["state"][0]["step"].clone()
    with pytest.raises(Diverged) as caught:
        training.train_epoch()
    assert caught.value.epoch == 2 and caught.value.term in ("distortion", "rate")
    assert training.epoch == 1
    assert torch.equal(training.optimiser.state_dict()["state"][0]["step"], moments)
    for name, value in training.model.named_parameters():
        torch.testing.assert_close(value.detach(), before[name], rtol=0, atol=0, equal_nan=True)


def test_validation_says_the_term_too():
    training = Training(tiny_recipe(Autoencoder()), IMAGES)
    with torch.no_grad():
        training.model.decoder[-1].bias.fill_(float("nan"))
    with pytest.raises(Diverged, match="distortion became nan in epoch 0"):
        training.validate()


def test_the_shared_images_are_used_in_place_and_never_written_to():
    images = tiny_images()
    before = {split: getattr(images, split).copy() for split in ("train", "validation", "test")}
    training = Training(flipping(tiny_recipe()), images)
    assert np.shares_memory(training.train.numpy(), images.train)
    for _ in range(2):
        epoch(training)
    for split, copy in before.items():
        assert np.array_equal(getattr(images, split), copy)
        assert not getattr(images, split).flags.writeable


@pytest.mark.parametrize("count", [21, 24, 30])
def test_training_terms_are_means_over_images_also_with_a_partial_last_batch(count):
    """With a step too small to change a weight, the epoch's mean is that of its batches, weighted by size."""
    images = tiny_images(train=count)
    training = Training(tiny_recipe(Autoencoder(), learning_rate=1e-30), images)
    twin = Training(training.recipe, images).model.train()
    order = torch.randperm(count, generator=generator("cpu", 0, 1, ORDER))
    total = 0.0
    with torch.no_grad():
        for start in range(0, count, 10):
            x = torch.from_numpy(images.train[order[start : start + 10].numpy()]) / 255
            total += float(F.binary_cross_entropy(twin.decode(twin.encode(x)).double(), x.double(), reduction="sum"))
    measured = training.train_epoch()
    assert measured["train_distortion_nats"] == pytest.approx(total / count, rel=1e-5)
    assert measured["train_loss_nats"] == measured["train_distortion_nats"]
    assert measured["images_per_s"] == pytest.approx(count / measured["train_s"])


def test_validation_terms_are_means_over_all_images_of_the_split():
    images = tiny_images(train=10, validation=503)
    training = Training(tiny_recipe(Autoencoder()), images)
    training.train_epoch()
    x = torch.from_numpy(images.validation.copy()) / 255
    model = training.model.eval()
    with torch.no_grad():
        logits = torch.cat([model.decoder(model.encode(part)) for part in x.split(1)]).double()
    each = -x.double() * F.logsigmoid(logits) - (1 - x.double()) * F.logsigmoid(-logits)
    expected = float(each.sum((1, 2, 3)).mean())
    assert training.validate()["val_distortion_nats"] == pytest.approx(expected, rel=1e-5)


def test_validation_changes_nothing_and_repeats():
    training = Training(tiny_recipe(), IMAGES)
    training.train_epoch()
    before = {name: value.clone() for name, value in state(training).items()}
    assert training.validate() == training.validate()
    assert all(torch.equal(before[name], value) for name, value in state(training).items())


def test_beta_weights_the_rate_in_the_loss_and_nothing_else():
    training = Training(tiny_recipe(Gaussian(beta=4.0)), IMAGES)
    measured = training.train_epoch()
    distortion, rate = measured["train_distortion_nats"], measured["train_rate_nats"]
    assert measured["train_loss_nats"] == pytest.approx(distortion + 4 * rate, rel=1e-5)
    assert measured["train_elbo_nats"] == pytest.approx(-distortion - rate, rel=1e-5)


def test_a_family_without_an_exact_rate_has_no_elbo():
    measured = [epoch(Training(tiny_recipe(posterior), IMAGES)) for posterior in POSTERIORS]
    has = {p.family: any("elbo" in name for name in m) for p, m in zip(POSTERIORS, measured, strict=True)}
    assert {family for family, it_has in has.items() if not it_has} == {"autoencoder", "rae", "evae"}


def test_about_half_of_the_images_are_mirrored_and_only_in_training():
    images = tiny_images(train=400)
    training = Training(flipping(tiny_recipe()), images)
    index, share = torch.arange(400), training.ranks.share(400)
    plain = training._batch(training.train, index, share)
    flipped = mirrored(plain, share, generator("cpu", 1))
    as_is = (flipped == plain).flatten(1).all(1)
    turned = (flipped == plain.flip(-1)).flatten(1).all(1)
    assert (as_is | turned).all() and not (as_is & turned).any()
    assert 160 < int(turned.sum()) < 240  # four standard deviations


def test_mirroring_changes_the_training_and_leaves_the_validation_images_alone():
    plain, flipped = Training(tiny_recipe(), IMAGES), Training(flipping(tiny_recipe()), IMAGES)
    assert plain.validate() == flipped.validate()
    assert epoch(plain) != epoch(flipped)


def test_auto_precision_is_what_the_hardware_has():
    training = Training(tiny_recipe(precision="auto"), IMAGES)
    assert training.precision == ("bf16" if has_native_bf16(torch.device("cpu")) else "fp32")


def test_bf16_is_used_where_it_is_asked_for_and_weights_stay_fp32():
    full, half = (Training(tiny_recipe(precision=precision), IMAGES) for precision in ("fp32", "bf16"))
    a, b = epoch(full), epoch(half)
    assert a != b
    assert b["train_distortion_nats"] == pytest.approx(a["train_distortion_nats"], rel=0.02)
    assert {p.dtype for p in half.model.parameters()} == {torch.float32}


def test_a_longer_training_begins_with_the_shorter_one():
    short = Training(tiny_recipe(), IMAGES)
    long = Training(replace(short.recipe, optimisation=replace(short.recipe.optimisation, epochs=50)), IMAGES)
    assert [epoch(short) for _ in range(2)] == [epoch(long) for _ in range(2)]


def test_no_two_keys_have_the_same_stream():
    """Numpy fills keys up with zeros, and puts the words of large numbers one after the other."""
    keys = [key for n in range(1, 5) for key in itertools.product(range(5), repeat=n)]
    large = [0, 1, 2**32 - 1, 2**32, 2**32 + 1, 2**64, 2**96 + 5]
    keys += [key for n in range(1, 4) for key in itertools.product(large, repeat=n)]
    assert len({hashed(*key) for key in keys}) == len(set(keys))


@pytest.mark.parametrize("key", [(0, 1, 0), (3, 50, 4), (2**32 - 1, 7, 2)])
def test_streams_of_an_epoch_are_what_they_were(key):
    """Recorded trainings, and checkpoints of earlier versions, go on as they would have."""
    assert hashed(*key) == int(np.random.SeedSequence(key).generate_state(1, np.uint64)[0]) >> 1
