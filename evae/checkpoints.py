"""Trained weights and interrupted trials as safetensors: tensors and JSON only, so that reading runs no code."""

import hashlib
import json
import os
from dataclasses import dataclass, replace

import torch
from safetensors import SafetensorError
from safetensors.torch import load, save
from torch import nn

from evae.errors import UserError
from evae.longer import begins, obstacle
from evae.models import VAE, build_model
from evae.optimiser import MOMENTS
from evae.recipe import Recipe
from evae.sizes import ImageSize, size_of
from evae.training import Training

FORMAT = "evae-1"
LARGEST = 1 << 16
"""No image has a longer side, and no point more numbers."""
OPTIMISERS = {"model": "optimiser", "discriminator": "discriminator_optimiser"}


def dump_training(training: Training) -> bytes:
    """Everything needed to continue a trial exactly: weights and optimiser moments, also the discriminator's, mean
    weights, recent codes, the inference's state, epoch and recipe."""
    tensors = {"recent": training.recent.heads}
    if training.model is not training.trained:
        tensors |= {f"average.{key}": value for key, value in training.model.state_dict().items()}
    for name, (module, optimiser) in _learners(training).items():
        tensors |= {f"{name}.{key}": value for key, value in module.state_dict().items()}
        for index, state in optimiser.state_dict()["state"].items():
            tensors |= {f"{OPTIMISERS[name]}.{index}.{key}": value for key, value in state.items()}
    tensors |= {f"inference.{key}": value for key, value in training.course.state().items()}
    won_epochs = training.adversary.won_epochs if training.adversary else 0
    counted = {"epoch": training.epoch, "won_epochs": won_epochs}
    return _dump(tensors, training.recipe, precision=training.precision, **counted)


def restore_training(training: Training, data: bytes) -> None:
    """Put a fresh Training in the dumped state: one of the same recipe, or of more epochs that begin with the dumped
    ones.

    Raises UserError when the bytes are not a checkpoint, or belong to another recipe or precision; the training is then
    as it was.
    """
    header, tensors = _load(data)
    if "epoch" not in header:
        raise UserError("these are the weights of a finished model, not an interrupted trial; start the trial anew")
    if header["recipe"] != training.recipe.to_dict():
        if not begins(training.recipe.to_dict(), header["recipe"]):
            raise UserError("this checkpoint belongs to another recipe; start the trial anew")
        if why := obstacle(training.recipe):
            raise UserError(f"this checkpoint is not the beginning of a longer training: {why}; start the trial anew")
    if (precision := header.get("precision", training.precision)) != training.precision:
        raise UserError(f"this checkpoint was trained in {precision}, and not in {training.precision}")
    recent = tensors.get("recent", training.recent.heads)
    if recent.shape[1:] != training.recent.heads.shape[1:]:
        raise UserError("not a checkpoint of evae, or a damaged one: the recent codes do not fit")
    learners, kept = _learners(training), MOMENTS[training.recipe.optimisation.optimiser]
    found = {
        name: (_weights(module, tensors, name), _moments(tensors, OPTIMISERS[name], list(module.parameters()), kept))
        for name, (module, _) in learners.items()
    }
    average = _weights(training.model, tensors, "average") if training.model is not training.trained else None
    training.course.restore(_below(tensors, "inference."))
    for name, (module, optimiser) in learners.items():
        weights, moments = found[name]
        module.load_state_dict(weights)
        optimiser.load_state_dict({**optimiser.state_dict(), "state": moments})
    if average is not None:
        training.model.load_state_dict(average)
    training.recent.heads = recent.to(training.device)
    training.epoch = header["epoch"]
    if training.adversary:
        training.adversary.won_epochs = header["won_epochs"]


def _learners(training: Training) -> dict[str, tuple[nn.Module, torch.optim.Optimizer]]:
    """What is trained, with its optimiser."""
    learners = {"model": (training.trained, training.optimiser)}
    if training.adversary:
        learners["discriminator"] = training.adversary.module, training.adversary.optimiser
    return learners


def dump_model(model: VAE, recipe: Recipe, image_size: ImageSize, channels: int) -> bytes:
    """A finished model: its weights, the densities fitted to its codes, and in the header the recipe and the image
    shape that rebuild it."""
    tensors = {f"model.{name}": value for name, value in model.state_dict().items()}
    for family, fitted in model.densities.items():
        tensors |= {f"density.{family}.{name}": value for name, value in fitted.state().items()}
    return _dump(tensors, recipe, image_size=image_size, channels=channels)


@dataclass(frozen=True)
class Kept:
    """A finished model in evaluation mode on the CPU, with what rebuilds it; `digest` is 16 hex digits of the SHA-256
    of its weights file."""

    model: VAE
    recipe: Recipe
    image_size: ImageSize
    channels: int
    digest: str


def load_model(path: str) -> VAE:
    """The trained VAE of a weights file with its fitted densities, in evaluation mode on the CPU.

    Raises UserError when there is no such file, or it is not a finished model of this version.
    """
    return load_kept(path).model


def load_kept(path: str | os.PathLike[str]) -> Kept:
    """What a weights file keeps. Raises UserError as `load_model` does."""
    try:
        with open(path, "rb") as file:
            data = file.read()
    except OSError as error:
        raise UserError(f"cannot read the weights: {error}") from None
    return read_kept(data, os.fspath(path))


def read_kept(data: bytes, path: str) -> Kept:
    """What the bytes of a weights file keep; errors name its `path`."""
    header, tensors = _load(data, path)
    if "image_size" not in header:
        raise UserError(f"{path} is an interrupted trial, not a finished model; finish its study first")
    given, channels = header["image_size"], header.get("channels")
    numbers = [*given, channels] if isinstance(given, list) and len(given) == 2 else [given, channels]
    if not all(type(number) is int and 1 <= number <= LARGEST for number in numbers):
        said = f"{given} with {channels} channels"
        raise UserError(f"{path} is not a checkpoint of evae, or a damaged one: it is of images of size {said}")
    sizes = size_of(*given) if isinstance(given, list) else given, channels
    recipe = Recipe.from_dict(header.get("recipe"))
    # The initial weights are overwritten: any seed will do.
    shape = *sizes, recipe.latent
    parts = {"likelihood": recipe.likelihood, "prior": recipe.prior, "criteria": recipe.criteria}
    parts["kind"] = recipe.data.kind
    model = build_model(recipe.posterior, recipe.network, *shape, seed=0, **parts)
    model.load_state_dict(_weights(model, tensors, "model"))
    for density in recipe.evaluation.densities:
        # One that could not be fitted is not there.
        if state := _below(tensors, f"density.{density.family}."):
            model.densities[density.family] = density.restore(state)
    digest = hashlib.sha256(data).hexdigest()[:16]
    return Kept(model.eval(), recipe, *sizes, digest)


def restore_model(training: Training, data: bytes) -> None:
    """Put the weights of a finished model into a Training of its recipe, whatever that says of the evaluation, and of
    the place of its images.

    Raises UserError when the bytes are no such weights, or those of another recipe or version; the model is then as it
    was.
    """
    header, tensors = _load(data)
    if "image_size" not in header:
        raise UserError("these are not the weights of a finished model, but an interrupted trial")
    recipe = Recipe.from_dict(header["recipe"])
    own = replace(training.recipe.data, horizontal_flip=recipe.data.horizontal_flip)
    recipe = replace(recipe, evaluation=training.recipe.evaluation, data=own)
    if recipe != training.recipe:
        raise UserError("these weights belong to another recipe")
    training.model.load_state_dict(_weights(training.model, tensors, "model"))
    training.epoch = recipe.optimisation.epochs


def _dump(tensors: dict[str, torch.Tensor], recipe: Recipe, **header: ImageSize | str) -> bytes:
    text = json.dumps({"format": FORMAT, "recipe": recipe.to_dict(), **header})
    return save({name: value.detach().cpu().contiguous() for name, value in tensors.items()}, {"evae": text})


def recipe_of(data: bytes, path: str) -> dict:
    """The recipe, as plain values, of which the bytes of a file say that they are the trained weights. Raises UserError
    as `read_kept` does."""
    return _load(data, path)[0]["recipe"]


def with_recipe(data: bytes, recipe: dict) -> bytes:
    """The bytes of such a file with a recipe, as plain values, that says the same in other words. Raises UserError as
    `read_kept` does."""
    header, tensors = _load(data)
    return save(tensors, {"evae": json.dumps(header | {"recipe": recipe})})


def _load(data: bytes, path: str = "this") -> tuple[dict, dict[str, torch.Tensor]]:
    try:
        tensors = load(data)
        length = int.from_bytes(data[:8], "little")
        header = json.loads(json.loads(data[8 : 8 + length])["__metadata__"]["evae"])
        version = header["format"]
    except (SafetensorError, KeyError, ValueError, TypeError) as error:
        raise UserError(f"{path} is not a checkpoint of evae, or a damaged one: {error}") from None
    if version != FORMAT:
        raise UserError(f"checkpoint format {version!r} is not {FORMAT!r}: written by another version")
    return header, tensors


def _weights(module: nn.Module, tensors: dict[str, torch.Tensor], name: str) -> dict[str, torch.Tensor]:
    """The weights of that name, which are those of the module."""
    weights, wanted = _below(tensors, f"{name}."), module.state_dict()
    # Compared here: torch reports what does not fit only after it has copied the rest.
    if {n: t.shape for n, t in weights.items()} != {n: t.shape for n, t in wanted.items()}:
        raise UserError("these weights do not fit the networks of this version, or the checkpoint is damaged")
    return weights


def _moments(
    tensors: dict[str, torch.Tensor], optimiser: str, parameters: list[torch.Tensor], names: tuple[str, ...]
) -> dict[int, dict[str, torch.Tensor]]:
    """An optimiser's state of these names by the index of its parameter; none before the first step."""
    given = _below(tensors, f"{optimiser}.")
    kept = dict(enumerate(parameters if given else []))
    if {n: t.numel() for n, t in given.items()} != {
        f"{index}.{name}": 1 if name == "step" else parameter.numel()
        for index, parameter in kept.items()
        for name in names
    }:
        raise UserError("not a checkpoint of evae, or a damaged one: the optimiser's state is incomplete")
    return {
        index: {name: _laid_out(given[f"{index}.{name}"], parameter) for name in names}
        for index, parameter in kept.items()
    }


def _laid_out(moment: torch.Tensor, parameter: torch.Tensor) -> torch.Tensor:
    """The moment in its parameter's memory layout, which the fused Adam takes for granted."""
    return torch.empty_like(parameter).copy_(moment) if moment.ndim else moment


def _below(tensors: dict[str, torch.Tensor], prefix: str) -> dict[str, torch.Tensor]:
    return {name[len(prefix) :]: value for name, value in tensors.items() if name.startswith(prefix)}
