"""The VAE of Stable Diffusion (Rombach et al., arXiv 2112.10752), whose codes are maps."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, ClassVar

from evae.lazy import nn
from evae.networks.base import network
from evae.networks.map_network import MapNetwork, widths


@network
@dataclass(frozen=True, kw_only=True)
class SdVae(MapNetwork):
    """Levels of residual blocks both ways, and attention in the middle: kl-f8, or with another `downsampling` kl-f4 and
    kl-f16 (without the attention that the last one has elsewhere).

    With `width` 1 the encoder has 34.16 million parameters for 4 latents in colour; with 0.445 it is about as small as
    LiteVAE's B. Its weights, too, are those of diffusers' AutoencoderKL by name: "encoder.maps." stands for "encoder.".
    """

    family: ClassVar[str] = "sd_vae"
    sizes: ClassVar[Mapping[str, Mapping[str, Any]]] = {"micro": {"width": 1 / 16, "decoder_width": 1 / 16}}

    def maps(self, channels: int, outputs: int) -> nn.Module:
        from evae.networks.sd_maps import MapEncoder

        return MapEncoder(channels, outputs, widths(self.width, self.downsampling), self.normalisation)

    def autoencoder_kl(self, channels: int, latent: int) -> Mapping[str, Any] | None:
        """See `Network.autoencoder_kl`, which has GroupNorm with one number of groups, and the same channels both
        ways."""
        from evae.networks.blocks import group_norm

        kinds = {self.normalisation, self.decoder_normalisation}
        both = widths(self.width, self.downsampling), widths(self.decoder_width, self.downsampling)
        groups = {group_norm(c).num_groups for c in both[0]}
        if kinds != {"group"} or both[0] != both[1] or len(groups) > 1:
            return None
        return {
            "in_channels": channels,
            "out_channels": channels,
            "latent_channels": latent,
            "block_out_channels": both[0],
            "down_block_types": ["DownEncoderBlock2D"] * len(both[0]),
            "up_block_types": ["UpDecoderBlock2D"] * len(both[0]),
            "layers_per_block": 2,
            "norm_num_groups": groups.pop(),
            "act_fn": "silu",
            "use_quant_conv": self.one_by_one,
            "use_post_quant_conv": self.one_by_one,
            "mid_block_add_attention": True,
            "force_upcast": True,
        }
