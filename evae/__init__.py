"""evae: distributed hyperparameter studies of variational autoencoders.

From the ground up: recipes, posteriors, networks, data, metrics and the training loop know nothing of studies;
`evae.results` keeps what was found, `evae.search` says what to try next, `evae.cluster` trains it with Ray, and
`evae.study` puts the three together.
"""

from evae.home import settle

__version__ = "0.1.0"

settle()
