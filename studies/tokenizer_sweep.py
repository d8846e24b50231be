"""Which VAE should a diffusion model stand on: which encoder, code maps and weights of the loss?

    python studies/tokenizer_sweep.py
    python studies/tokenizer_sweep.py --name tokens-small --constraint "encoder_parameters <= 6e4"
    python studies/tokenizer_sweep.py --name tokens-fast --objectives rec_st_lpips_alex encode_images_per_s xpd_fd
    python studies/tokenizer_sweep.py --name tokens-faces --data folder:faces --image-size 256 --size paper --epochs 40

Trains the controls (the Stable Diffusion VAE, LiteVAE's B, and a plain VAE that is as small as it) and then what
Optuna's search suggests: the weights of the KL divergence, of the perceptual, wavelet and Gaussian losses and of a
discriminator, latent channels, downsampling and encoder. The goals are reconstructions that are close to real images,
an encoder with few multiplications, and images close to real ones from a small prior on the code maps: a flow-matching
network with the same budget for every tokenizer. Also measured: PSNR, SSIM, ST-LPIPS (rec_st_lpips_alex), images per
second and peak memory of encoding and of a training step.

The default is for two cores, with 16 times narrower decoders on patches of two photos at 32 px. So short a training
shows that all runs, not which tokenizer is best.
"""

import sys
from dataclasses import dataclass

from evae.search.space import Space
from evae.sizes import ImageSize
from evae.study.options import StudyOptions
from search_spaces.tokenizer import space
from studies.cli import main, side_by_side

SHOWN = (
    "rec_fd",
    "rec_psnr_db",
    "rec_ssim",
    "rec_st_lpips_alex",
    "xpd_flowmatching_fd",
    "xpd_mixture_fd",
    "encoder_parameters",
    "encode_images_per_s",
    "step_memory_mb",
)


@dataclass(frozen=True, kw_only=True)
class TokenizerSweep(StudyOptions):
    """The options of a study, with a size for a laptop."""

    name: str = "tokenizer-sweep"
    data: str = "photos"
    image_size: ImageSize | None = 32
    train_images: int | None = 512
    validation_images: int | None = 200
    test_images: int | None = 400
    network: str = "lite_vae"
    size: str = "micro"
    likelihood: str = "none"
    criteria: tuple[str, ...] = ("l1",)
    latent: int = 4
    epochs: int = 4
    batch_size: int = 32
    learning_rate: float = 2e-3
    densities: tuple[str, ...] = ("flow_matching", "mixture")
    perceptual: tuple[str, ...] = ("st_lpips_alex",)
    cost: bool = True
    objectives: tuple[str, ...] = ("rec_fd", "encoder_macs", "xpd_fd")
    trials: int = 8
    confirm: int = 0
    """Fresh seeds, at the end, for what the search has chosen; with 2 the report can say what differs by more than
    noise, and the study takes twice as long."""

    @property
    def space(self) -> Space:
        base = self.base_recipe()
        return space(base, base.data.image_size or 32)


if __name__ == "__main__":
    main(TokenizerSweep, sys.modules[__name__], closing=side_by_side(SHOWN))
