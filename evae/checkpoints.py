"""Trained weights and interrupted trials as safetensors: tensors and JSON only, so that reading runs no code."""

import json

import torch
from safetensors import SafetensorError
from safetensors.torch import load, save

from evae.errors import UserError
from evae.models import VAE, build_model
from evae.recipe import Recipe
from evae.training import Training

FORMAT = "evae-1"


def dump_training(training: Training) -> bytes:
    """Everything needed to continue a trial exactly: weights, optimiser moments, epoch and recipe."""
    tensors = {f"model.{name}": value for name, value in training.model.state_dict().items()}
    for index, state in training.optimiser.state_dict()["state"].items():
        for name, value in state.items():
            tensors[f"optimiser.{index}.{name}"] = value
    return _dump(tensors, training.recipe, epoch=training.epoch)


def restore_training(training: Training, data: bytes) -> None:
    """Put a fresh Training of the same recipe in the dumped state.

    Raises UserError when the bytes are not a checkpoint, or belong to another recipe.
    """
    header, tensors = _load(data)
    if header["recipe"] != training.recipe.to_dict():
        raise UserError("this checkpoint belongs to another recipe; start the trial anew")
    training.model.load_state_dict(_below(tensors, "model."))
    moments: dict[int, dict[str, torch.Tensor]] = {}
    for name, value in _below(tensors, "optimiser.").items():
        index, key = name.split(".", 1)
        moments.setdefault(int(index), {})[key] = value
    training.optimiser.load_state_dict({**training.optimiser.state_dict(), "state": moments})
    training.epoch = header["epoch"]


def dump_model(model: VAE, recipe: Recipe, image_size: int, channels: int) -> bytes:
    """A finished model: its weights, and in the header the recipe and the image shape that rebuild it."""
    tensors = {f"model.{name}": value for name, value in model.state_dict().items()}
    return _dump(tensors, recipe, image_size=image_size, channels=channels)


def load_model(path: str) -> VAE:
    """The trained VAE of a weights file, in evaluation mode on the CPU."""
    with open(path, "rb") as file:
        header, tensors = _load(file.read())
    recipe = Recipe.from_dict(header["recipe"])
    model = build_model(recipe.posterior, recipe.network, header["image_size"], header["channels"], recipe.latent)
    model.load_state_dict(_below(tensors, "model."))
    return model.eval()


def _dump(tensors: dict[str, torch.Tensor], recipe: Recipe, **header: int) -> bytes:
    text = json.dumps({"format": FORMAT, "recipe": recipe.to_dict(), **header})
    return save({name: value.detach().cpu().contiguous() for name, value in tensors.items()}, {"evae": text})


def _load(data: bytes) -> tuple[dict, dict[str, torch.Tensor]]:
    try:
        tensors = load(data)
        length = int.from_bytes(data[:8], "little")
        header = json.loads(json.loads(data[8 : 8 + length])["__metadata__"]["evae"])
    except (SafetensorError, KeyError, ValueError) as error:
        raise UserError(f"not a checkpoint of evae, or a damaged one: {error}") from None
    if header.get("format") != FORMAT:
        raise UserError(f"checkpoint format {header.get('format')!r} is not {FORMAT!r}: written by another version")
    return header, tensors


def _below(tensors: dict[str, torch.Tensor], prefix: str) -> dict[str, torch.Tensor]:
    return {name[len(prefix) :]: value for name, value in tensors.items() if name.startswith(prefix)}
