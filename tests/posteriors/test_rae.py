"""The regularised autoencoder: both of its terms are in the loss, and train what they are of."""

from dataclasses import replace

import pytest
import torch
from tiny import tiny_images, tiny_recipe

from evae.errors import UserError
from evae.posteriors import RAE, Autoencoder
from evae.training import Training

IMAGES = tiny_images()


def model(posterior):
    return Training(tiny_recipe(posterior), IMAGES).model


def terms(posterior):
    x = torch.from_numpy(IMAGES.test.copy()).float() / 255
    made = model(posterior)
    return x, made, made(x, torch.Generator())


def test_its_loss_is_the_autoencoders_and_two_half_squares():
    x, made, found = terms(RAE(beta=0.7, decoder_decay=0.2))
    _, _, plain = terms(Autoencoder())
    codes = made.encode(x).square().sum() / (2 * len(x))
    decoder = sum(p.square().sum() for p in made.decoder.parameters()) / 2
    torch.testing.assert_close(found["codes_l2"], codes)
    torch.testing.assert_close(found["decoder_l2"], decoder)
    torch.testing.assert_close(found["loss"], plain["loss"] + 0.7 * codes + 0.2 * decoder)
    assert "decoder_l2" not in plain and "rate" not in found and "elbo" not in found


def test_without_weights_it_is_the_autoencoder():
    rows = [Training(tiny_recipe(p), IMAGES).train_epoch() for p in (RAE(beta=0.0, decoder_decay=0.0), Autoencoder())]
    assert rows[0]["train_loss_nats"] == rows[1]["train_loss_nats"]
    assert "train_codes_l2" in rows[0]


@pytest.mark.parametrize("field", ["beta", "decoder_decay"])
def test_each_term_makes_small_what_it_is_of(field):
    def lengths(posterior):
        training = Training(tiny_recipe(posterior, learning_rate=1e-2), IMAGES)
        rows = [training.train_epoch() for _ in range(5)]
        return {"beta": rows[-1]["train_codes_l2"], "decoder_decay": squares(training.model.decoder)}

    nothing = RAE(beta=0.0, decoder_decay=0.0)
    assert lengths(replace(nothing, **{field: 100.0}))[field] < 0.7 * lengths(nothing)[field]


def squares(module):
    return float(sum(p.detach().square().sum() for p in module.parameters()))


def test_a_negative_decay_is_refused():
    with pytest.raises(UserError, match=r"decoder_decay of the rae posterior must be at least 0, not -1"):
        RAE(decoder_decay=-1.0)
