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
ADAM = ("step", "exp_avg", "exp_avg_sq")


def dump_training(training: Training) -> bytes:
    """Everything needed to continue a trial exactly: weights, optimiser moments, recent codes, epoch and recipe."""
    tensors = {f"model.{name}": value for name, value in training.model.state_dict().items()}
    tensors["recent"] = training.recent.heads
    for index, state in training.optimiser.state_dict()["state"].items():
        for name, value in state.items():
            tensors[f"optimiser.{index}.{name}"] = value
    return _dump(tensors, training.recipe, epoch=training.epoch)


def restore_training(training: Training, data: bytes) -> None:
    """Put a fresh Training of the same recipe in the dumped state.

    Raises UserError when the bytes are not a checkpoint, or belong to another recipe; the training is then as it was.
    """
    header, tensors = _load(data)
    if "epoch" not in header:
        raise UserError("these are the weights of a finished model, not an interrupted trial; start the trial anew")
    if header["recipe"] != training.recipe.to_dict():
        raise UserError("this checkpoint belongs to another recipe; start the trial anew")
    moments = _moments(tensors, list(training.model.parameters()))
    if (recent := tensors.get("recent", training.recent.heads)).shape[1:] != training.recent.heads.shape[1:]:
        raise UserError("not a checkpoint of evae, or a damaged one: the recent codes do not fit")
    _load_weights(training.model, tensors)
    training.recent.heads = recent.to(training.device)
    training.optimiser.load_state_dict({**training.optimiser.state_dict(), "state": moments})
    training.epoch = header["epoch"]


def dump_model(model: VAE, recipe: Recipe, image_size: int, channels: int) -> bytes:
    """A finished model: its weights, and in the header the recipe and the image shape that rebuild it."""
    tensors = {f"model.{name}": value for name, value in model.state_dict().items()}
    return _dump(tensors, recipe, image_size=image_size, channels=channels)


def load_model(path: str) -> VAE:
    """The trained VAE of a weights file, in evaluation mode on the CPU.

    Raises UserError when there is no such file, or it is not a finished model of this version.
    """
    try:
        with open(path, "rb") as file:
            header, tensors = _load(file.read())
    except OSError as error:
        raise UserError(f"cannot read the weights: {error}") from None
    if "image_size" not in header:
        raise UserError(f"{path} is an interrupted trial, not a finished model; finish its study first")
    recipe = Recipe.from_dict(header["recipe"])
    # The initial weights are overwritten: any seed will do.
    shape = header["image_size"], header["channels"], recipe.latent
    model = build_model(recipe.posterior, recipe.network, *shape, seed=0, likelihood=recipe.likelihood)
    _load_weights(model, tensors)
    return model.eval()


def _dump(tensors: dict[str, torch.Tensor], recipe: Recipe, **header: int) -> bytes:
    text = json.dumps({"format": FORMAT, "recipe": recipe.to_dict(), **header})
    return save({name: value.detach().cpu().contiguous() for name, value in tensors.items()}, {"evae": text})


def _load(data: bytes) -> tuple[dict, dict[str, torch.Tensor]]:
    try:
        tensors = load(data)
        length = int.from_bytes(data[:8], "little")
        header = json.loads(json.loads(data[8 : 8 + length])["__metadata__"]["evae"])
        version = header["format"]
    except (SafetensorError, KeyError, ValueError, TypeError) as error:
        raise UserError(f"not a checkpoint of evae, or a damaged one: {error}") from None
    if version != FORMAT:
        raise UserError(f"checkpoint format {version!r} is not {FORMAT!r}: written by another version")
    return header, tensors


def _load_weights(model: VAE, tensors: dict[str, torch.Tensor]) -> None:
    weights, wanted = _below(tensors, "model."), model.state_dict()
    # Compared first: torch reports what does not fit only after it has copied the rest.
    if {n: t.shape for n, t in weights.items()} != {n: t.shape for n, t in wanted.items()}:
        raise UserError("these weights do not fit the networks of this version, or the checkpoint is damaged")
    model.load_state_dict(weights)


def _moments(tensors: dict[str, torch.Tensor], parameters: list[torch.Tensor]) -> dict[int, dict[str, torch.Tensor]]:
    """Adam's state by the index of its parameter; none before the first step."""
    given = _below(tensors, "optimiser.")
    kept = dict(enumerate(parameters if given else []))
    if {n: t.numel() for n, t in given.items()} != {
        f"{index}.{name}": 1 if name == "step" else parameter.numel()
        for index, parameter in kept.items()
        for name in ADAM
    }:
        raise UserError("not a checkpoint of evae, or a damaged one: the optimiser's state is incomplete")
    return {
        index: {name: _laid_out(given[f"{index}.{name}"], parameter) for name in ADAM}
        for index, parameter in kept.items()
    }


def _laid_out(moment: torch.Tensor, parameter: torch.Tensor) -> torch.Tensor:
    """The moment in its parameter's memory layout, which the fused Adam takes for granted."""
    return torch.empty_like(parameter).copy_(moment) if moment.ndim else moment


def _below(tensors: dict[str, torch.Tensor], prefix: str) -> dict[str, torch.Tensor]:
    return {name[len(prefix) :]: value for name, value in tensors.items() if name.startswith(prefix)}
