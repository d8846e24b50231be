"""Checkpoints: what goes in comes out, and everything else is refused without running any of it."""

import json
import pickle

import pytest
import torch
from safetensors.torch import load, save
from tiny import POSTERIORS, tiny_images, tiny_recipe

from evae.checkpoints import dump_model, dump_training, load_model, restore_training
from evae.errors import UserError
from evae.posteriors.autoencoder import Autoencoder
from evae.posteriors.gaussian import Gaussian
from evae.training import Training, generator

IMAGES = tiny_images()


@pytest.fixture(scope="module")
def saved() -> bytes:
    training = Training(tiny_recipe(), IMAGES)
    training.train_epoch()
    return dump_training(training)


def fresh(**changes) -> Training:
    return Training(tiny_recipe(**changes), IMAGES)


def header(data: bytes) -> dict:
    length = int.from_bytes(data[:8], "little")
    return json.loads(json.loads(data[8 : 8 + length])["__metadata__"]["evae"])


def with_header(data: bytes, **changes) -> bytes:
    return save(load(data), {"evae": json.dumps(header(data) | changes)})


@pytest.mark.parametrize("posterior", POSTERIORS, ids=lambda p: p.family)
@pytest.mark.parametrize("channels", [1, 3])
def test_a_loaded_model_gives_the_same_outputs(posterior, channels, tmp_path):
    training = Training(tiny_recipe(posterior), tiny_images(channels=channels))
    training.train_epoch()
    path = tmp_path / "model.safetensors"
    path.write_bytes(dump_model(training.model, training.recipe, 32, channels))

    model, trained = load_model(str(path)), training.model.eval()
    assert not model.training and model.posterior == posterior and model.latent == 3
    x = torch.rand(5, channels, 32, 32, generator=generator("cpu", 0))
    with torch.no_grad():
        assert torch.equal(model.reconstruct(x), trained.reconstruct(x))
        drawn = [m.sample(4, generator("cpu", 1)) for m in (model, trained)]
    assert torch.equal(*drawn) and drawn[0].shape == (4, channels, 32, 32)


def test_loading_draws_no_random_numbers(tmp_path):
    training = fresh()
    path = tmp_path / "model.safetensors"
    path.write_bytes(dump_model(training.model, training.recipe, 32, 1))
    before = torch.random.get_rng_state()
    load_model(str(path))
    assert torch.equal(torch.random.get_rng_state(), before)


def test_a_checkpoint_holds_the_recipe_as_plain_json(saved):
    assert header(saved)["recipe"] == tiny_recipe().to_dict()
    assert header(saved)["epoch"] == 1


@pytest.mark.parametrize("kept", [0, 4, 8, 100, -1])
def test_a_truncated_file_is_a_user_error(saved, kept):
    with pytest.raises(UserError, match="damaged"):
        restore_training(fresh(), saved[:kept])


def test_damage_anywhere_in_the_header_is_a_user_error_or_harmless(saved):
    length = int.from_bytes(saved[:8], "little")
    training, refused = fresh(), 0
    for position in range(0, 8 + length, max(1, length // 300)):
        damaged = bytearray(saved)
        damaged[position] ^= 0x15
        try:
            restore_training(training, bytes(damaged))
        except UserError:
            refused += 1
    assert refused > 250


class Bomb:
    """What a malicious pickle does when it is read: anything."""

    went_off = False

    def __reduce__(self):
        return setattr, (Bomb, "went_off", True)


@pytest.mark.parametrize("protocol", [0, 2, 5])
def test_a_pickle_is_refused_unread(protocol, tmp_path):
    Bomb.went_off = False
    payload = pickle.dumps(Bomb(), protocol)
    torch.save({"model": Bomb()}, tmp_path / "zip.pt")
    for index, data in enumerate((payload, (tmp_path / "zip.pt").read_bytes())):
        with pytest.raises(UserError, match="not a checkpoint"):
            restore_training(fresh(), data)
        path = tmp_path / f"{index}.safetensors"
        path.write_bytes(data)
        with pytest.raises(UserError, match="not a checkpoint"):
            load_model(str(path))
    assert not Bomb.went_off
    pickle.loads(payload)
    assert Bomb.went_off  # so the payload would have told


def test_the_checkpoint_of_another_recipe_is_refused_and_leaves_the_training_as_it_was(saved):
    for other in (fresh(learning_rate=1e-4), fresh(seed=1), fresh(posterior=Gaussian(beta=2.0))):
        before = {name: value.clone() for name, value in other.model.state_dict().items()}
        with pytest.raises(UserError, match="another recipe"):
            restore_training(other, saved)
        assert other.epoch == 0
        assert all(torch.equal(before[name], value) for name, value in other.model.state_dict().items())


def test_another_version_is_refused_by_its_name(saved):
    with pytest.raises(UserError, match="'evae-9'"):
        restore_training(fresh(), with_header(saved, format="evae-9"))


@pytest.mark.parametrize("sizes", [{"channels": None}, {"image_size": "32"}, {"image_size": 10**9}, {"channels": 0}])
def test_sizes_that_no_images_have_are_refused(sizes, tmp_path):
    """Before networks of such a size are made."""
    training, path = fresh(), tmp_path / "model.safetensors"
    path.write_bytes(with_header(dump_model(training.model, training.recipe, 32, 1), **sizes))
    with pytest.raises(UserError, match="damaged"):
        load_model(str(path))


def test_other_safetensors_files_are_refused():
    plain = save({"weight": torch.zeros(3)})
    with pytest.raises(UserError, match="not a checkpoint of evae"):
        restore_training(fresh(), plain)
    with pytest.raises(UserError, match="not a checkpoint of evae"):
        restore_training(fresh(), save({"weight": torch.zeros(3)}, {"evae": "[1]"}))


def test_a_finished_model_is_not_an_interrupted_trial_and_the_other_way_round(saved, tmp_path):
    training = fresh()
    with pytest.raises(UserError, match="not an interrupted trial"):
        restore_training(training, dump_model(training.model, training.recipe, 32, 1))
    path = tmp_path / "checkpoint.safetensors"
    path.write_bytes(saved)
    with pytest.raises(UserError, match="not a finished model"):
        load_model(str(path))


def test_weights_that_do_not_fit_the_networks_are_refused_before_any_is_copied(saved):
    tensors = load(saved)
    lost = {name: value for name, value in tensors.items() if name != "model.decoder.0.bias"}
    larger = tensors | {"model.decoder.0.bias": torch.zeros(99)}
    for changed in (lost, larger):
        training, untouched = fresh(), fresh()
        with pytest.raises(UserError, match="do not fit"):
            restore_training(training, save(changed, {"evae": json.dumps(header(saved))}))
        for name, value in untouched.model.state_dict().items():
            assert torch.equal(training.model.state_dict()[name], value)


def test_a_checkpoint_without_some_moments_is_refused(saved):
    tensors = {name: value for name, value in load(saved).items() if name != "optimiser.0.exp_avg"}
    with pytest.raises(UserError, match="optimiser's state is incomplete"):
        restore_training(fresh(), save(tensors, {"evae": json.dumps(header(saved))}))


def test_no_file_is_a_user_error(tmp_path):
    with pytest.raises(UserError, match=r"nowhere\.safetensors"):
        load_model(str(tmp_path / "nowhere.safetensors"))


def test_before_the_first_epoch_there_is_a_checkpoint_too():
    training, other = fresh(posterior=Autoencoder()), fresh(posterior=Autoencoder())
    restore_training(other, dump_training(training))
    first, second = training.train_epoch(), other.train_epoch()
    assert first["train_loss_nats"] == second["train_loss_nats"]
