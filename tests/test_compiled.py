"""Training with compiled networks: the same but for rounding, and continued as if it had not been interrupted."""

from dataclasses import replace

import pytest
import torch
from tiny import tiny_images, tiny_recipe

from evae.checkpoints import dump_training, restore_training
from evae.compiled import Compiled
from evae.training import Training

IMAGES = tiny_images()


def begun(compiled: bool) -> Training:
    recipe = tiny_recipe()
    return Training(replace(recipe, optimisation=replace(recipe.optimisation, compiled=compiled)), IMAGES)


def test_networks_are_what_they_were_outside_of_training():
    """Also where an error ends it; their weights have the same names within."""
    network = torch.nn.Linear(2, 2)
    before, compiled = network.forward, Compiled([network])
    with pytest.raises(ZeroDivisionError), compiled.at_work():
        assert network.forward != before and set(network.state_dict()) == {"weight", "bias"}
        raise ZeroDivisionError
    assert network.forward == before and "forward" not in vars(network)


@pytest.mark.slow
@pytest.mark.filterwarnings("ignore:The .grad attribute of a Tensor:UserWarning")  # torch's own, while it compiles
def test_compiled_networks_train_alike_and_go_on_from_a_checkpoint():
    plain, compiled = begun(False), begun(True)
    measured = [training.train_epoch()["train_loss_nats"] for training in (plain, compiled)]
    assert measured[1] == pytest.approx(measured[0], rel=1e-4)
    assert compiled.validate()["val_loss_nats"] == pytest.approx(plain.validate()["val_loss_nats"], rel=1e-3)
    again = begun(True)
    restore_training(again, dump_training(compiled))
    for training in (compiled, again):
        training.train_epoch()
    for one, other in zip(compiled.model.parameters(), again.model.parameters(), strict=True):
        assert torch.equal(one, other)
