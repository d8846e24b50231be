"""What a step costs without a study around it: one model, or replicas of it as one program by `torch.vmap`."""

import copy
from unittest.mock import patch

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from evae.data import tensor
from evae.data.base import ImageSet
from evae.models import build_model
from evae.networks import products
from evae.optimiser import optimiser
from evae.recipe import Recipe
from evae.recording.program import Program, recorder


class Bare:
    """Epochs of the recipe's model over whole batches: what is measured of it is the sum of its losses, read once an
    epoch. `captured`, its step is a CUDA graph where there is CUDA."""

    def __init__(self, recipe: Recipe, images: ImageSet, device: torch.device, captured: bool):
        shape = images.image_size, images.channels, recipe.latent
        self.model = build_model(recipe.posterior, recipe.network, *shape, seed=recipe.seed).to(device).train()
        self._prepare(recipe, images, device, captured)
        self.optimiser = optimiser("adam", self.model.parameters(), recipe.optimisation.learning_rate, 0.9)

    def _prepare(
        self, recipe: Recipe, images: ImageSet, device: torch.device, captured: bool, replicas: int = 1
    ) -> None:
        self.data, self.batch_size = tensor(images.train).to(device), recipe.optimisation.batch_size
        self.noise, self.total = torch.Generator(device).manual_seed(0), torch.zeros((), device=device)
        self.index = torch.zeros(replicas * self.batch_size, dtype=torch.int64, device=device)
        self.program = Program(recorder(device, (self.noise,)), None if captured else "bare")
        self.images = len(self.data) // self.batch_size * self.batch_size * replicas

    def epoch(self) -> float:
        """The sum of its losses."""
        self.total.zero_()
        with self.program.own_stream():
            order = torch.randperm(self.images, device=self.data.device) % len(self.data)
            for index in order.split(len(self.index)):
                self.index.copy_(index)
                self.program.run("step", self.step)
        return float(self.total)

    def step(self) -> None:
        x = self.data[self.index].float().div_(255)
        self._descend(self.model(x, self.noise, progress=0.0)["loss"])

    def _descend(self, loss: Tensor) -> None:
        self.optimiser.zero_grad(set_to_none=True)
        loss.backward()
        self.optimiser.step()
        self.total += loss.detach()


class Replicas(Bare):
    """So many models in one program, each with batches and noise of its own: their weights are stacked, and the loss,
    a VAE's, is written out."""

    def __init__(self, recipe: Recipe, images: ImageSet, device: torch.device, captured: bool, replicas: int):
        shape, self.replicas, self.latent = (images.image_size, images.channels, recipe.latent), replicas, recipe.latent
        models = [
            Plain(build_model(recipe.posterior, recipe.network, *shape, seed=seed)).to(device).train()
            for seed in range(replicas)
        ]
        # Of images on CUDA vmap knows no layout but this, and no products of ours.
        models = [model.to(memory_format=torch.contiguous_format) for model in models]
        self.shape = copy.deepcopy(models[0]).to("meta")
        weights, self.buffers = torch.func.stack_module_state(models)
        self.weights = {name: weight.detach().requires_grad_() for name, weight in weights.items()}
        self._prepare(recipe, images, device, captured, replicas)
        self.optimiser = optimiser("adam", self.weights.values(), recipe.optimisation.learning_rate, 0.9)

    def step(self) -> None:
        x = self.data[self.index].float().div_(255).unflatten(0, (self.replicas, -1))
        noise = torch.randn(*x.shape[:2], self.latent, generator=self.noise, device=x.device)
        with patch.object(products, "MOST_NUMBERS", 0):
            loss = torch.vmap(self._loss)(self.weights, self.buffers, x, noise).sum()
        self._descend(loss)

    def _loss(self, weights: dict[str, Tensor], buffers: dict[str, Tensor], x: Tensor, noise: Tensor) -> Tensor:
        return torch.func.functional_call(self.shape, (weights, buffers), (x, noise))


class Plain(nn.Module):
    """A VAE's loss, of images (n, c, h, w) and standard normal noise (n, latent)."""

    def __init__(self, model: nn.Module):
        super().__init__()
        self.encoder, self.decoder = model.encoder, model.decoder

    def forward(self, x: Tensor, noise: Tensor) -> Tensor:
        mu, log_variance = self.encoder(x).chunk(2, dim=-1)
        logits = self.decoder(mu + torch.exp(0.5 * log_variance) * noise)
        rate = 0.5 * (mu**2 + log_variance.exp() - 1 - log_variance).sum()
        return (F.binary_cross_entropy_with_logits(logits, x, reduction="sum") + rate) / len(x)
