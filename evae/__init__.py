"""evae: distributed hyperparameter studies of variational autoencoders.

The library proper: recipes, kernels, posteriors, networks, data, metrics and the training loop. It knows nothing
of studies; the bridge to Ray and Optuna is `evae.tuning`.
"""

__version__ = "0.1.0"
