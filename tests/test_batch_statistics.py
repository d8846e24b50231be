"""BatchNorm's statistics after an epoch: those of the weights as they are, and of no consequence for the training."""

import copy
from dataclasses import replace

import numpy as np
import pytest
import torch
from tiny import adversarial_recipe, tiny_images, tiny_recipe
from torch import nn

from evae import batch_statistics
from evae.checkpoints import dump_model, load_model
from evae.evaluation import evaluate
from evae.metrics.features import load_features
from evae.metrics.reconstruction import psnr
from evae.metrics.reference import reference
from evae.models import VAE
from evae.networks.resnet_v2 import ResNetV2
from evae.posteriors.gaussian import Gaussian
from evae.posteriors.mixture import Mixture
from evae.training import Training, generator

IMAGES = tiny_images()


def some(count: int = 24) -> torch.Tensor:
    return torch.from_numpy(IMAGES.train[:count].copy()) / 255


def buffers(model: nn.Module) -> dict[str, torch.Tensor]:
    return {name: value.clone() for name, value in model.named_buffers()}


def same(a: dict[str, torch.Tensor], b: dict[str, torch.Tensor]) -> bool:
    return a.keys() == b.keys() and all(torch.equal(a[name], b[name]) for name in a)


def test_they_are_means_and_variances_over_the_images():
    model = Training(tiny_recipe(), IMAGES).model
    batch_statistics.estimate(model, some(), generator("cpu", 0))
    convolution, norm = model.encoder[:2]
    with torch.no_grad():
        seen = convolution(some()).transpose(0, 1).flatten(1).double()
    torch.testing.assert_close(norm.running_mean.double(), seen.mean(1), rtol=1e-4, atol=1e-5)
    torch.testing.assert_close(norm.running_var.double(), seen.var(1), rtol=1e-4, atol=1e-6)


def test_what_comes_after_the_last_layer_is_not_computed():
    """Nothing of it is needed, and the statistics are those of a whole decoder."""

    class Whole(nn.Module):
        def __init__(self, decoder: nn.Module):
            super().__init__()
            self.parts = decoder

        def forward(self, codes: torch.Tensor) -> torch.Tensor:
            return self.parts(codes)

    short, whole = (Training(tiny_recipe(), IMAGES).model for _ in range(2))
    calls = []
    for model in (short, whole):
        model.decoder[-1].register_forward_hook(lambda *_: calls.append(1))
    whole.decoder = Whole(whole.decoder)
    batch_statistics.estimate(short, some(), generator("cpu", 0))
    assert calls == []
    batch_statistics.estimate(whole, some(), generator("cpu", 0))
    assert calls == [1]
    assert same(buffers(short), {name.replace(".parts", ""): value for name, value in buffers(whole).items()})


def test_with_them_the_model_measures_what_it_computes_in_training():
    """On the very images: what is normalised by a batch's own statistics is normalised by the same ones afterwards."""
    model = Training(tiny_recipe(), IMAGES).model
    batch_statistics.estimate(model, some(), generator("cpu", 0))
    measured = model.reconstruct(some(), generator("cpu", 0))
    trained = model.train().reconstruct(some(), generator("cpu", 0))
    torch.testing.assert_close(measured, trained, rtol=1e-2, atol=2e-3)


def test_nothing_else_behaves_as_in_training():
    """Dropout draws nothing, a layer that the network holds in evaluation mode keeps what it has, weights stay."""

    class Held(nn.BatchNorm2d):
        def train(self, mode: bool = True) -> nn.Module:
            return super().train(False)

    encoder = nn.Sequential(
        nn.Conv2d(1, 4, 3), nn.BatchNorm2d(4), nn.Dropout(), Held(4), nn.Flatten(), nn.LazyLinear(6)
    )
    decoder = nn.Sequential(nn.Linear(3, 1024), nn.Dropout(), nn.Unflatten(1, (1, 32, 32)))
    model = VAE(Gaussian(), encoder, decoder, code_shape=(3,))
    model.encode(some())
    kept, before = buffers(encoder[3]), [p.clone() for p in model.parameters()]
    drawn = torch.get_rng_state()
    batch_statistics.estimate(model, some(), generator("cpu", 0))
    assert torch.equal(torch.get_rng_state(), drawn)
    assert same(buffers(encoder[3]), kept) and not encoder[1].running_mean.eq(0).any()
    assert all(torch.equal(a, b) for a, b in zip(model.parameters(), before, strict=True))
    assert not any(m.training for m in model.modules()) and encoder[1].momentum == 0.1


def test_networks_without_batch_norm_pay_nothing():
    training = Training(replace(tiny_recipe(), network=ResNetV2(width=0.0625)), IMAGES)
    training.model.encoder.register_forward_pre_hook(lambda *_: pytest.fail("images were encoded"))
    batch_statistics.estimate(training.model, some(), generator("cpu", 0))


def test_after_an_epoch_they_are_those_of_its_weights_whatever_the_steps_before():
    training = Training(tiny_recipe(), IMAGES)
    training.train_epoch()
    found, spoilt = buffers(training.model), copy.deepcopy(training.model)
    for value in spoilt.buffers():
        value.fill_(7)
    training.model = spoilt
    training._estimate_statistics()
    assert same(buffers(spoilt), found)


@pytest.mark.parametrize("recipe", [tiny_recipe(Mixture(mixture_size=14)), adversarial_recipe()], ids=["memory", "gan"])
def test_training_goes_on_as_if_they_had_not_been_estimated(recipe, monkeypatch):
    with_them = Training(recipe, IMAGES)
    measured = [with_them.train_epoch()["train_loss_nats"] for _ in range(3)]
    monkeypatch.setattr(batch_statistics, "estimate", lambda *_: None)
    without = Training(recipe, IMAGES)
    assert [without.train_epoch()["train_loss_nats"] for _ in range(3)] == measured
    assert not same(buffers(with_them.model), buffers(without.model))
    assert torch.equal(with_them.recent.heads, without.recent.heads)
    assert all(torch.equal(a, b) for a, b in zip(with_them.model.parameters(), without.model.parameters(), strict=True))


def test_the_weights_that_are_kept_are_the_model_that_was_measured(tmp_path):
    training = Training(tiny_recipe(epochs=1), IMAGES)
    training.train_epoch()
    features = load_features("efficientnet-lite0-b2")
    measured = evaluate(training, features, {"test": reference(IMAGES.test, IMAGES.train, features)}).metrics
    path = tmp_path / "w.safetensors"
    path.write_bytes(dump_model(training.model, training.recipe, 32, 1))
    x = torch.from_numpy(IMAGES.test.copy()) / 255
    with torch.no_grad():
        again = psnr(load_model(str(path)).reconstruct(x), x)
    assert float(again.double().mean()) == pytest.approx(measured["rec_psnr_db"], rel=1e-6)


def test_statistics_come_from_few_images_of_many():
    """And from all where there are few; neither the last image nor the last batch has a part in them."""
    many = tiny_images(train=300)
    changed = replace(many, train=np.concatenate([many.train[:250], 255 - many.train[250:]]))
    trainings = [Training(tiny_recipe(), images) for images in (many, changed)]
    for training in trainings:
        training._estimate_statistics()
    assert same(*(buffers(training.model) for training in trainings))
