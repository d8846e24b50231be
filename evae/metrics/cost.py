"""What a model costs, as metrics that can be searched for and constrained; `evae.cost` takes them."""

from __future__ import annotations

from evae.metrics.base import METRICS, declare

EXACT = ("parameters", "encoder_parameters", "decoder_parameters", "encoder_macs", "decoder_macs")
"""What follows from the recipe and the images' shape, and is known before anything is trained."""
MEASURED = {
    "encode_images_per_s": "max",
    "decode_images_per_s": "max",
    "step_images_per_s": "max",
    "encode_memory_mb": "min",
    "step_memory_mb": "min",
}
"""What is measured on the machine, with its direction."""
BATCH = 32
"""Images of an encoding or decoding: those of LiteVAE's table 3 (arXiv 2405.14477). A step has the recipe's."""

for _name in EXACT:
    declare(_name, of="cost", direction="min")
for _name, _direction in MEASURED.items():
    declare(_name, of="cost", direction=_direction)


def is_cost(name: str) -> bool:
    """Whether a metric's short name is that of a cost."""
    return name in METRICS and METRICS[name].of == "cost"
