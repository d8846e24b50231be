"""Everything that defines a trial, as frozen dataclasses, and their plain-dict form.

A recipe holds no machine: the same recipe on a laptop and on a cluster is the same trial. Polymorphic parts (the
posterior and the network) are chosen by their `family`; a key that no dataclass knows is an error.
"""

import dataclasses
import hashlib
import json
import math
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from evae import plugins
from evae.adversarial import Adversarial
from evae.backbones.names import DISTANCES
from evae.criteria import Criterion, criterion
from evae.data.base import SOURCES, DataRecipe
from evae.data.names import shown
from evae.densities import Density, MixtureDensity
from evae.errors import UserError, unknown
from evae.families import FAMILIES, from_dict, to_dict
from evae.inference import Amortised, Inference
from evae.inference.base import Course
from evae.likelihoods import Bernoulli, Likelihood, likelihood
from evae.metrics.names import DEFAULT_FEATURES, features
from evae.networks import Conv, Network, network
from evae.networks.base import check_square
from evae.optimisation import Optimisation
from evae.posteriors import Evae, Posterior
from evae.priors import Prior
from evae.registry import LATER
from evae.sizes import ImageSize, halved, in_px, sides

MOST_REMEMBERED = 1 << 28
"""Numbers of images that a posterior remembers: 1 GiB."""


@dataclass(frozen=True, kw_only=True)
class Evaluation:
    """How a trained model is measured.

    `features` names the network and tap of the Fréchet and kernel distances; as many images are sampled from the prior
    as the real split has. `seed` fixes the latent noise of samples, so that trials are compared on the same draws.
    Reconstructions decode the posterior mean ("mean"), or one posterior sample ("sample"). `densities` are fitted to
    the codes of training images afterwards, and kept with the weights. `downstream` are the numbers of training labels
    for which accuracies on codes are measured, as far as there are so many. `iw_samples` are the importance samples of
    the log likelihood of each image (`evae.evaluation.evidence`); with 0 it is not estimated. With `cost`, speed and
    memory are measured too (`evae.cost`). `perceptual` are the distances of reconstructions that are measured beside
    (`evae.backbones`). Raises UserError for unknown names, for a family of densities or a distance that is given twice,
    for numbers of labels below 1 or given twice, and for fewer than 0 samples.
    """

    features: str = DEFAULT_FEATURES
    reconstruct_from: str = "mean"
    seed: int = 0
    densities: tuple[Density, ...] = field(default=(MixtureDensity(),), metadata=LATER)
    downstream: tuple[int, ...] = field(default=(), metadata=LATER)
    iw_samples: int = field(default=0, metadata=LATER)
    cost: bool = field(default=False, metadata=LATER)
    perceptual: tuple[str, ...] = field(default=(), metadata=LATER)

    def __post_init__(self) -> None:
        features[self.features]  # raises for a name that is not known
        if self.reconstruct_from not in ("mean", "sample"):
            raise unknown("reconstruction code", self.reconstruct_from, ("mean", "sample"))
        if min(self.downstream, default=1) < 1 or len(set(self.downstream)) < len(self.downstream):
            given = ", ".join(map(str, self.downstream))
            raise UserError(f"downstream must be numbers of labels, 1 or more, each given once; got {given}")
        if len({DISTANCES[name] for name in self.perceptual}) < len(self.perceptual):  # raises for a name not known
            raise UserError("a perceptual distance is given twice: give each once.")
        _check_seed(self.seed)
        if len({each.family for each in self.densities}) < len(self.densities):
            raise UserError("a density is given twice: give each family once.")
        if self.iw_samples < 0:
            raise UserError(f"iw_samples must be at least 0, got {self.iw_samples}")


@dataclass(frozen=True, kw_only=True)
class Recipe:
    """One trial: data, posterior, likelihood, networks, optimisation, evaluation and seed; where there are any, a
    discriminator, further criteria, and a prior in the place of the posterior's own; and how codes are found in
    training, by default by an encoder that learns with the decoder.
    """

    data: DataRecipe = field(default_factory=DataRecipe)
    posterior: Posterior = field(default_factory=Evae)
    likelihood: Likelihood = field(default_factory=Bernoulli, metadata=LATER)
    network: Network = field(default_factory=Conv)
    adversarial: Adversarial | None = field(default=None, metadata=LATER)
    prior: Prior | None = field(default=None, metadata=LATER)
    criteria: tuple[Criterion, ...] = field(default=(), metadata=LATER)
    inference: Inference = field(default_factory=Amortised, metadata=LATER)
    importance_samples: int = field(default=0, metadata=LATER)
    latent: int = 64
    optimisation: Optimisation = field(default_factory=Optimisation)
    evaluation: Evaluation = field(default_factory=Evaluation)
    seed: int = 0

    def __post_init__(self) -> None:
        if self.latent < 1:
            raise UserError(f"the latent size must be at least 1, got {self.latent}")
        _check_seed(self.seed)
        if self.latent < (fewest := self.posterior.fewest):
            raise UserError(f"the {self.posterior.family} posterior needs at least {fewest} latents, got {self.latent}")
        if self.data.kind == "points":
            self._check_points()
        if self.data.kind == "signals":
            self._check_signals()
        if self.importance_samples:
            self._check_importance()
        if self.prior is not None and not self.posterior.has_density(own_prior=False):
            raise UserError(
                f"the {self.posterior.family} posterior has no density, so that its rate against the prior "
                f"{self.prior.family} cannot be estimated: leave prior out, or take another posterior."
            )
        if self.prior is not None and "rate" not in self.posterior.weights:
            raise UserError(f"the {self.posterior.family} posterior trains no rate: leave prior out.")
        if self.optimisation.beta_warm_up_epochs and not self.posterior.weights:
            raise UserError(
                f"the {self.posterior.family} posterior has no rate whose weight could be warmed up: "
                "leave beta_warm_up_epochs out."
            )
        if self.posterior.trains_on_expectation and not (self.network.is_linear and self.likelihood.is_squared):
            raise UserError(
                f"the {self.posterior.family} posterior is to train on the exact expectation of the distortion, which "
                f"is not known with the networks {self.network.family} and the likelihood {self.likelihood.family}: "
                "take linear and sum_of_squares, or another estimator."
            )
        if len({each.family for each in self.criteria}) < len(self.criteria):
            raise UserError("a criterion is given twice: give each once.")
        self._check_criteria()
        if self.adversarial is not None and self.adversarial.start_epoch > self.optimisation.epochs:
            raise UserError(
                f"the discriminator starts in epoch {self.adversarial.start_epoch}, but the training ends after "
                f"{self.optimisation.epochs}: start it by then, or leave adversarial out."
            )
        if self.optimisation.half_size_epochs:
            self._check_half_size()
        self.inference.check(self)

    def _check_importance(self) -> None:
        """Raise UserError where there is no importance-weighted bound to train on."""
        if self.importance_samples < 0:
            raise UserError(f"importance_samples must be at least 0, got {self.importance_samples}")
        posterior = self.posterior
        dense = posterior.has_density(own_prior=self.prior is None) and not posterior.discrete
        if not dense or set(posterior.weights) != {"rate"}:
            why = "trains on terms beside its rate" if dense else "has no density"
            raise UserError(
                f"the {posterior.family} posterior {why}, so that samples of it cannot be weighted by their "
                "importance: leave importance_samples out, or take gaussian, kernel or another with a density."
            )
        if not self.likelihood.has_elbo:
            raise UserError(
                f"the {self.likelihood.family} likelihood is no whole log likelihood, which importance_samples need: "
                "leave them out, or take bernoulli or gaussian."
            )

    def _check_half_size(self) -> None:
        """Raise UserError for parts that are built for codes of one size alone."""
        why = None
        if not self.network.of_any_size:
            having = ", ".join(sorted(name for name, family in network.items() if family.of_any_size))
            why = f"the {self.network.family} networks are built for one: take {having}"
        elif self.prior is not None:
            why = f"the prior {self.prior.family} is of codes of one: leave prior out"
        elif self.posterior.memory or self.posterior.learns_latents:
            why = f"the {self.posterior.family} posterior knows codes of one: take another posterior"
        elif self.inference.course is not Course:
            why = f"the inference {self.inference.family} keeps codes of one: take amortised"
        if why:
            raise UserError(
                f"half_size_epochs trains on images of two sizes, and {why}, or leave half_size_epochs out."
            )

    def _check_points(self) -> None:
        """Raise UserError for parts that are of images alone."""
        points = shown(self.data.source)
        if not self.network.takes_points:
            theirs = " or ".join(name for name in network if network[name].takes_points)
            family = self.network.family
            raise UserError(f"the {family} networks are for images, and {points} is points: take {theirs}.")
        if not self.likelihood.takes_points:
            theirs = " or ".join(name for name in likelihood if likelihood[name].takes_points)
            raise UserError(
                f"the {self.likelihood.family} likelihood is no density of unbounded numbers, and {points} is points: "
                f"take {theirs}."
            )
        if self.evaluation.downstream:
            raise UserError(f"accuracies are of images with labels, and {points} is points: leave downstream out.")
        if self.adversarial is not None:
            raise UserError(f"a discriminator judges images, and {points} is points: leave adversarial out.")
        if of_images := [each.family for each in self.criteria if each.of_images]:
            raise UserError(f"the criterion {of_images[0]} compares images, and {points} is points: leave it out.")
        if self.evaluation.perceptual:
            raise UserError(f"perceptual distances are of images, and {points} is points: leave perceptual out.")

    def _check_signals(self) -> None:
        """Raise UserError for a likelihood that knows images in [0, 1] alone."""
        if not (self.likelihood.is_squared or self.likelihood.takes_points):
            theirs = " or ".join(name for name, one in likelihood.items() if one.is_squared or one.takes_points)
            raise UserError(
                f"the {self.likelihood.family} likelihood is of images from 0 to 1, and {shown(self.data.source)} has "
                f"numbers of either sign: take {theirs}."
            )

    def _check_criteria(self) -> None:
        """Raise UserError for criteria and a likelihood that do not go together."""
        scaled = [each.family for each in self.criteria if each.scaled]
        if scaled and not self.likelihood.has_scale:
            having = ", ".join(sorted(name for name, family in likelihood.items() if family.has_scale))
            raise UserError(
                f"the criterion {scaled[0]} is to be divided by the likelihood's scale, and {self.likelihood.family} "
                f"has none: take one of {having}, or leave scaled out."
            )
        driving = [each for each in self.criteria if each.of_images and each.weight > 0]
        if not self.likelihood.has_distortion and not driving:
            having = ", ".join(sorted(name for name, family in criterion.items() if family.of_images))
            raise UserError(
                f"with the likelihood {self.likelihood.family} nothing trains reconstructions: give a criterion that "
                f"compares images ({having}) a weight, or take a likelihood."
            )

    def check_trainable(
        self, processes: int, image_size: ImageSize | None = None, train_images: int | None = None
    ) -> None:
        """Raise UserError where that many processes together cannot train this recipe, on that many images of that
        size (px), as far as these are known already; or where weights that it needs are not on this machine."""
        if self.optimisation.batch_size < processes:
            raise UserError(
                f"a batch of {self.optimisation.batch_size} cannot be shared by {processes} processes: "
                f"give batch_size at least {processes}, or fewer workers per trial."
            )
        self.inference.check(self, processes, train_images)
        if train_images is not None and self.posterior.memory > train_images:
            raise UserError(
                f"mixture_size is {self.posterior.memory}, but there are only {train_images} training images: "
                "give at most as many."
            )
        for name in self.evaluation.perceptual:
            DISTANCES[name].find()
        if train_images is not None and self.adversarial is not None:
            steps = -(-train_images // self.optimisation.batch_size) * self.optimisation.epochs
            if self.adversarial.start_step >= steps:
                raise UserError(
                    f"the discriminator starts after {self.adversarial.start_step:,} steps, but the training has only "
                    f"{steps:,} ({self.optimisation.epochs} epochs of {train_images:,} images in batches of "
                    f"{self.optimisation.batch_size}): give a smaller start_step, or train longer."
                )
        if image_size is not None:
            self._check_size(image_size)
            for each in self.evaluation.densities:
                each.check(self.network.code_shape(image_size, self.latent))
            if self.optimisation.half_size_epochs:
                self._check_halves(image_size)

    def _check_size(self, image_size: ImageSize) -> None:
        if not self.network.takes_rectangles:
            check_square(self.network.family, image_size)
        self.network.check(image_size, self.latent)
        numbers = self.posterior.heads * math.prod(self.network.code_shape(image_size, self.latent))
        if self.posterior.memory * numbers > MOST_REMEMBERED:
            raise UserError(
                f"a mixture of {self.posterior.memory} images with {numbers:,} numbers each would take "
                f"{self.posterior.memory * numbers * 4 / 1e9:,.1f} GB: give at most a mixture_size of "
                f"{MOST_REMEMBERED // numbers}, or fewer latents."
            )
        for each in self.criteria:
            for side in sorted({*sides(image_size)}):
                each.check(side)
        if self.adversarial is not None:
            judge = self.adversarial.discriminator
            if isinstance(image_size, tuple) and not judge.takes_rectangles:
                raise UserError(
                    f"the discriminator {judge.family} judges square images, not {in_px(image_size)}: give one number "
                    "for image_size, or take patchgan or unet."
                )
            judge.check(image_size)

    def _check_halves(self, image_size: ImageSize) -> None:
        if any(side % 2 for side in sides(image_size)):
            raise UserError(f"half_size_epochs halves images, and {in_px(image_size)} are odd: give even sides.")
        try:
            self._check_size(halved(image_size))
        except UserError as error:
            half = in_px(halved(image_size))
            raise UserError(
                f"half_size_epochs also trains on images of {half}. {error} Give images of twice such a size, or leave "
                "half_size_epochs out."
            ) from error

    def with_posterior(self, posterior: Posterior) -> "Recipe":
        """The recipe with another posterior, and where that has no rate without a warm-up of its weight."""
        optimisation = self.optimisation if posterior.weights else self.optimisation.without_beta_warm_up()
        return dataclasses.replace(self, posterior=posterior, optimisation=optimisation)

    @property
    def plugins(self) -> set[str]:
        """The names of the plug-ins from which its families and data come."""
        parts = [self.posterior, self.likelihood, self.network, self.prior, self.inference, *self.criteria]
        parts += [*self.evaluation.densities, self.adversarial and self.adversarial.discriminator]
        kinds = {type(part): kind for part in parts for kind in FAMILIES if isinstance(part, kind)}
        used = [FAMILIES[kinds[type(part)]].plugin_of(part.family) for part in parts if part is not None]
        distances = [*self.evaluation.perceptual, *(getattr(each, "distance", "") for each in self.criteria)]
        used += map(DISTANCES.plugin_of, distances)
        used += [SOURCES.plugin_of(self.data.name), features.plugin_of(self.evaluation.features)]
        return {name for name in used if name is not None}

    def to_dict(self) -> dict[str, Any]:
        """Nested plain dicts of numbers, strings and None: JSON-ready, and the input of `from_dict`. Of families that
        come from plug-ins, `plugins` holds the digests.
        """
        given, used = to_dict(self), plugins.digests(self.plugins)
        return given | {"plugins": used} if used else given

    @classmethod
    def from_dict(cls, given: Mapping[str, Any]) -> "Recipe":
        """The recipe of such dicts. Missing keys take their defaults; unknown ones raise UserError, and so do plug-ins
        that are not loaded; another version of one is taken (`plugins.changed` tells)."""
        if isinstance(given, Mapping):
            plugins.require_loaded(given.get("plugins", {}))
            given = {key: value for key, value in given.items() if key != "plugins"}
        return from_dict(cls, given, "recipe")

    def configuration(self) -> str:
        """12 hex digits that name this configuration: the recipe without its seed, and without its epochs, which say
        how far it is trained."""
        given = self.to_dict() | {"seed": None}
        given["optimisation"].pop("epochs")
        return hashlib.sha256(json.dumps(given, sort_keys=True).encode()).hexdigest()[:12]


def _check_seed(seed: int) -> None:
    # The generators of a trial are hashed from non-negative integers.
    if seed < 0:
        raise UserError(f"a seed must be 0 or more, got {seed}")
