"""The encoder that catches up before each step."""

import pytest
import torch

from evae.errors import UserError
from evae.inference import InnerLoop
from evae.testing.inference import begun


def test_the_decoder_moves_in_its_own_step_alone():
    training = begun(InnerLoop(window=2, most=4))
    decoder = [p.clone() for p in training.trained.decoder.parameters()]
    bound, steps = training.course._encoder_step, []

    def counted(step):
        loss = bound(step)
        if not steps:
            assert all(map(torch.equal, decoder, training.trained.decoder.parameters()))
        steps.append(loss)
        return loss

    training.course._encoder_step = counted
    row = training.train_epoch()
    # 40 images in batches of 16: three steps, each with at least two windows.
    assert row["train_encoder_steps"] == len(steps) / 3 == 4
    assert row["decoder_passes"] == 40 + 4 * 40


def test_it_stops_once_the_bound_does_not_rise():
    training = begun(InnerLoop(window=2, most=1000))
    losses = iter([3.0, 2.0, 2.0, 1.0, 2.0, 2.0])
    training.course._encoder_step = lambda step: next(losses, 2.0)
    training.course.start_epoch(1)

    class Given:
        bound, x = staticmethod(lambda x: {}), None

    training.course.terms(Given())
    assert training.course.steps == [6]


@pytest.mark.parametrize("given", [{"window": 0}, {"most": 0}])
def test_numbers_below_one_are_refused(given):
    with pytest.raises(UserError, match="at least 1, got 0"):
        InnerLoop(**given)
