"""Shapes and types written in the signatures of the mathematical modules are checked in every test."""

from jaxtyping import install_import_hook

install_import_hook(["evae.kernels", "evae.posteriors", "evae.networks", "evae.models"], "beartype.beartype")
