"""pythae's trainer on the recipe's networks: a VAE of theirs, with a progress bar that shows nothing."""

import tempfile
from collections.abc import Callable

import torch
from pythae.data.datasets import BaseDataset
from pythae.models import VAE, VAEConfig
from pythae.models.base.base_utils import ModelOutput
from pythae.models.nn import BaseDecoder, BaseEncoder
from pythae.trainers import BaseTrainer, BaseTrainerConfig
from pythae.trainers.training_callbacks import CallbackHandler
from torch import Tensor, nn

from evae.data import tensor
from evae.data.base import ImageSet
from evae.models import build_model
from evae.recipe import Recipe


class Encoder(BaseEncoder):
    def __init__(self, network: nn.Module):
        super().__init__()
        self.network = network

    def forward(self, x: Tensor) -> ModelOutput:
        mu, log_variance = self.network(x).chunk(2, dim=-1)
        return ModelOutput(embedding=mu, log_covariance=log_variance)


class Decoder(BaseDecoder):
    def __init__(self, network: nn.Module):
        super().__init__()
        self.network = network

    def forward(self, z: Tensor) -> ModelOutput:
        return ModelOutput(reconstruction=torch.sigmoid(self.network(z)))


def pythae_epoch(recipe: Recipe, images: ImageSet, device: torch.device) -> Callable[[], object]:
    """An epoch of their trainer: batches from a data loader in this process, float images on the CPU."""
    shape = images.image_size, images.channels, recipe.latent
    networks = build_model(recipe.posterior, recipe.network, *shape, seed=recipe.seed)
    config = VAEConfig(input_dim=images.train.shape[1:], latent_dim=recipe.latent, reconstruction_loss="bce")
    model = VAE(config, encoder=Encoder(networks.encoder), decoder=Decoder(networks.decoder))
    data = tensor(images.train).float() / 255
    folder = tempfile.TemporaryDirectory()
    settings = BaseTrainerConfig(
        output_dir=folder.name,
        per_device_train_batch_size=recipe.optimisation.batch_size,
        learning_rate=recipe.optimisation.learning_rate,
        no_cuda=device.type != "cuda",
    )
    trainer = BaseTrainer(model, BaseDataset(data, torch.ones(len(data))), training_config=settings)
    trainer.prepare_training()
    trainer.callback_handler = CallbackHandler(callbacks=[], model=model)
    # Its folder is there as long as the epochs may be.
    return lambda folder=folder: trainer.train_step(1)
