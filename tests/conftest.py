"""Shapes and types written in the signatures of the mathematical modules are checked in every test."""

from jaxtyping import install_import_hook

install_import_hook(
    ["evae.kernels", "evae.posteriors", "evae.networks", "evae.models"],
    # As everywhere in Python, an int will do where a float is due.
    "beartype.beartype(conf=beartype.BeartypeConf(is_pep484_tower=True))",
)
