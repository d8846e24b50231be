"""The options that every study has, as one dataclass: the command line is made from it."""

from dataclasses import dataclass, field
from typing import Annotated

from tyro.conf import UseAppendAction

from evae.backbones.names import DISTANCES
from evae.cluster.demand import Demand
from evae.data.base import DataRecipe
from evae.data.room import fits
from evae.errors import UserError, unknown
from evae.identity import CONDITIONS
from evae.metrics.cost import is_cost
from evae.metrics.names import DEFAULT_FEATURES, features_column
from evae.networks import network as networks
from evae.plugins import Plugin, load
from evae.recipe import Recipe
from evae.results import places
from evae.search.constraints import Constraint
from evae.search.constraints import parse as parse_constraints
from evae.search.job import FIRST_FRESH
from evae.search.objectives import DEFAULTS, check_kind, labels_of, resolve_objectives
from evae.search.samplers import sampler as samplers
from evae.search.space import Space
from evae.sizes import ImageSize
from evae.study.base import recipe_of
from evae.trackers import require

REPLICATES = ("all", "race")
KEEP = ("weights", "states", "none")
RESUME = ("must", "auto", "never")
EARLY_STOPPING = ("none", "median", "halving")
UNTIL = ("decided",)
NETWORKS = {"images": "conv", "signals": "linear", "points": "dense"}
LIKELIHOODS = {"images": "bernoulli", "signals": "sum_of_squares", "points": "gaussian"}
"""What is taken for each kind of data where nothing is said."""


@dataclass(frozen=True, kw_only=True)
class StudyOptions:
    """Data, model, training, search and machine of a study."""

    config: str | None = None
    """A TOML file with any of these options by name, which those of the command line override (docs/config.md)."""
    name: str = "study"
    """Name of the study: its folder below --results. The same command continues the study of that name."""
    resume: str = "auto"
    """Whether to continue the study of that name: must (refuse to begin one), auto, or never (refuse to continue)."""
    extend: bool = False
    """Continue it under other questions: more trials, seeds, fresh seeds or epochs; another space, other ranges or
    objectives, what is measured, early stopping. What was trained is taken over (docs/trained-once.md). Trials
    that were trained for fewer epochs are trained anew; those that were stopped stay so."""
    results: str = field(default="results", repr=False)  # which may hold a key
    """Where results go: a folder, or a URI of a file system that pyarrow knows (s3://..., gs://...)."""

    pool: tuple[str, ...] = field(default=(), repr=False)  # which may hold a key
    """Results, or folders of results, whose finished trials are taken instead of being trained again, beside those
    below --results; none: train all."""
    pool_same: tuple[str, ...] = ()
    """What must be as here for that: device, processor, threads, workers."""
    pool_first: bool = False
    """Let the pool's configurations that fit the space be this study's first; else the sampler learns from them."""

    plugin: Annotated[tuple[str, ...], UseAppendAction] = ()
    """A Python file or module of yours that adds families, metrics, data or callbacks (docs/plugins.md); repeatable."""
    accept_changed_plugins: bool = False
    """Continue a study although a plug-in has changed since."""

    data: str = "mnist-5k"
    """Data source: mnist-5k, mnist, fashion-mnist, cifar10, celeba, photos, folder:PATH, shards:PATTERN, npz:FILE,
    npy:FILE, pt:FILE (arrays), hf:NAME (docs/images.md), patches (grey ones of sample photos; patches:whitened;
    patches:FOLDER,whitened,log,count=80000), points:NAME (arc, abs, moon, circle, figure-8, spiral, clusters, helix),
    points:FILE.npy or .csv, or one of a plug-in's."""
    data_root: str | None = None
    """Folder that holds the data, or into which it is downloaded (default: ./data)."""
    image_size: ImageSize | None = None
    """Side of square images in pixels, or height and width, as in 48 64 (default: the source's)."""
    channels: int | None = None
    """1 for grey, 3 for colour (default: the source's)."""
    fit: str = "resize"
    """How pictures come to the image size: "resize" (bilinear, as the EVAE paper), "pad" (zeros around) or "tiles"
    (pictures of files cut into pieces of that size with their own pixels)."""
    train_images: int | None = None
    """At most this many training images (default: all)."""
    validation_images: int | None = None
    """Images taken from the training images for validation, what the search optimises (default: 500, or an eighth of
    the training images where that is fewer)."""
    test_images: int | None = None
    """At most this many test images: what is reported (default: all)."""
    horizontal_flip: bool = False
    """Mirror training images at random."""
    stream: str = "auto"
    """Whether training reads images from their files again and again: auto (where they would take more than a quarter
    of the free memory), always or never. The numbers are the same."""

    network: str | None = None
    """Networks: conv (Qin & Huang, EVAE), resnet_v2 (Rivera, MoG-VAE), linear, mlp, cells (convolutional, for 28 and 16
    px), cells_linear (with a linear decoder; all Vafaii et al., Poisson VAE), dense (for points), sd_vae (Rombach et
    al., Stable Diffusion), lite_vae (Sadat et al.), or one of a plug-in's. The codes of sd_vae and lite_vae are
    maps. Default: conv, of whitened patches linear, and of points dense."""
    size: str = "paper"
    """Width of the networks: tiny (1/4 of the paper's channels), small (1/2), paper, large (2). Linear has one. Those
    with code maps have micro too, for a few CPU cores, and lite_vae the encoders S, B, M and L."""
    likelihood: str | None = None
    """What a wrong pixel costs: bernoulli, gaussian, laplace, logistic (of 256 levels), scaled_laplace (its scale
    learned), sum_of_squares, none (criteria of images alone), or one of a plug-in's. Default: bernoulli, of
    whitened patches sum_of_squares, and of points gaussian with a learned scale."""
    prior: str | None = None
    """A prior in the place of the posterior's own: mixture (learned), or one of a plug-in's."""
    criteria: tuple[str, ...] = ()
    """Further terms of the loss, NAME or NAME=WEIGHT (by default mostly 1): l1, l2, charbonnier, wavelet,
    high_frequency, perceptual, mmd, or one of a plug-in's."""
    discriminator: str | None = None
    """Train against a discriminator of reconstructions, NAME or NAME=WEIGHT (by default 100, as MoG-VAE's code does):
    patchgan, unet, or one of a plug-in's. Not in studies that search for one."""
    inference: str = "amortised"
    """How codes are found in training: amortised (an encoder that learns with the decoder), inner_loop (He et al.: the
    encoder catches up before each step), mapa (MAPA-inspired: the decoder alone, by weights that the data give), em
    (its upper control), or one of a plug-in's."""
    importance_samples: int = 0
    """Train on the importance-weighted bound of so many codes an image (IWAE, Burda et al.); 0: on the ELBO."""
    latent: int = 64
    """Number of latent dimensions; of code maps, the channels."""
    epochs: int = 50
    """Epochs that a trial trains."""
    batch_size: int = 100
    """Images per optimiser step."""
    learning_rate: float = 3e-4
    """The optimiser's learning rate."""
    optimiser: str = "adam"
    """adam, adamw (whose weight decay is a step of its own) or adamax."""
    weight_decay: float = 0.0
    """How much the weights are drawn towards 0."""
    clip_norm: float | None = None
    """Scale gradients of a greater norm down to this one (default: leave them)."""
    schedule: str = "constant"
    """The learning rate after its warm-up: constant, or cosine (falls until the last epoch ends)."""
    warm_up_epochs: float = 0.0
    """Over so many epochs the learning rate rises from 0."""
    cosine_floor: float = 0.0
    """Share of the learning rate at which the schedule cosine ends."""
    cosine_restarts: int = 0
    """How often the schedule cosine rises again on the way."""
    ema: float | None = None
    """Measure and keep a moving average of the weights with this decay per step, such as 0.999 (default: the weights
    of the last step)."""
    beta_warm_up_epochs: float = 0.0
    """Over so many epochs the weight of the rate in the loss (beta) rises from 0."""
    beta_cycles: int = 1
    """In how many equal parts of the training it does so anew."""
    half_size_epochs: int = 0
    """Train so many epochs first on images of half the size, in a quarter of the time (lite_vae, sd_vae)."""
    compiled: bool = False
    """Let torch compile encoder and decoder for training: half a minute a process first, which long trainings on a GPU
    may gain back."""
    precision: str = "auto"
    """Arithmetic of the networks: fp32, bf16, or auto (bf16 where the hardware has it, on a GPU for large networks)."""

    objectives: tuple[str, ...] | None = None
    """What is searched for, one metric or more; fd is the Fréchet distance on --features (default: gen_fd
    rec_sharpness_gap, of points log_likelihood_nats bound_gap_nats)."""
    features: str = DEFAULT_FEATURES
    """Network and tap of the Fréchet distance; "inception" is the standard FID (needs its weights)."""
    densities: tuple[str, ...] = ("mixture",)
    """Ex-post densities: fitted to each trained model's codes, with their default settings, and sampled from beside its
    prior: gaussian, mixture, kde, flow, second_stage, flow_matching (a small prior on code maps), codes, or one of a
    plug-in's. Objectives xpd_... are of the first."""
    downstream: tuple[int, ...] = ()
    """Numbers of training labels for which knn_accuracy_N, linear_accuracy_N and shattering_accuracy_N (halves of the
    classes told apart) of the codes are measured, such as 200 1000 (default: those of objectives and claims). Needs
    data with labels."""
    iw_samples: int = 0
    """Importance samples of the log likelihood of each image, nll_nats: 0 leaves it out, 100 cost about as much as
    decoding the validation and test images as often."""
    cost: bool = False
    """Measure what each trained model costs: images per second and peak memory of encoding, decoding and a training
    step. Some tenths of a second a trial; without this, where an objective or constraint is of one."""
    perceptual: tuple[str, ...] = ()
    """Perceptual distances of reconstructions, rec_NAME: st_lpips_alex, st_lpips_vgg (pip install 'evae[perceptual]'),
    lpips_alex, lpips_vgg (weights to be given), efficientnet_features, or one of a plug-in's (default: those of
    objectives, constraints and claims)."""
    trials: int = 24
    """Configurations in all, the controls included; each is trained once for every seed."""
    seeds: int = 1
    """Replicates of a configuration; an objective is their mean."""
    replicates: str = "all"
    """Which configurations get all --seeds: "all", or "race": one each, and more for those near the front."""
    confirm: int = 2
    """Fresh seeds, at the end, for what the search has chosen: the front, the controls, and the best of each method and
    kernel. The report's values and differences are of these, which no choice has flattered; with --replicates race,
    more than two are for those that may still be on the front. 0: none, and the best is flattered by its luck."""
    claim: Annotated[tuple[str, ...], UseAppendAction] = ()
    """A comparison to be decided by fresh seeds, of configurations by their labels, "EVAE, paper < VAE in rec_fd", of
    the best of methods or kernels, "best evae < 0.9 * best kernel cosine in gen_fd", or a parameter's share of what
    the search sees, "kernel explains < 0.1 of gen_fd"; repeatable. The report begins with the verdicts. What was once
    stated stays."""
    constraint: Annotated[tuple[str, ...], UseAppendAction] = ()
    """What every configuration must keep to, "encoder_parameters <= 8e6" or "encode_images_per_s >= 400"; repeatable.
    Of numbers of parameters and MACs, what cannot keep to it is never trained; what has to be measured is trained, but
    not ranked."""
    until: str | None = None
    """"decided": fresh seeds go, one by one, where a claim or a place on the front is undecided. What the search has
    chosen gets two at least, whatever --confirm says."""
    budget: float | None = None
    """With --until decided: begin no more of them once all trials of the study together have taken this many hours
    (default: until a configuration has 20)."""
    sampler: str = "tpe"
    """How new configurations are drawn: tpe (the parameters of a branch of the space together), nsga2, gp, qmc or
    random."""
    sampler_seed: int = 0
    """Seed of the sampler."""
    early_stopping: str = "none"
    """Stop trials that fall behind after a ninth or a third of their epochs: none, median (worse than half of the
    others in every objective), or halving (not among the best third of those that came so far). For objectives that
    tell early: the sharpness gap of networks that are hardly trained says nothing of their end."""

    address: str | None = None
    """A running Ray cluster ("auto", "HOST:6379"); default: this machine alone."""
    workers_per_trial: int = 1
    """Processes that train one trial together, each on its share of every batch (distributed data parallel)."""
    cpus_per_worker: float = 1
    """CPU cores, and so threads, of one such process."""
    gpus_per_worker: float | None = None
    """GPUs of one such process, fractions allowed (default: 1 where there are GPUs that torch can use, else 0)."""
    lanes: int | str = "auto"
    """Trials that one process trains beside each other, with the numbers that each has alone: auto (as many as a GPU's
    memory and speed have room for; on CPUs one), or a number."""
    trials_at_once: int | None = None
    """At most this many trials at a time (default: as many as the machines have room for). On a cluster, trials then
    also wait for machines that are not there yet, which makes an autoscaler start them."""
    recompute: bool = False
    """Save memory: compute anew for gradients what blocks of a network find (resnet_v2, sd_vae, lite_vae). Slower."""
    max_failures: int = 2
    """How often a trial's process may die (killed, out of memory) before it is given up. A lost machine is none."""
    time_limit: float | None = None
    """Stop after this many minutes; the same command continues."""
    keep: str = "weights"
    """What to keep of every finished trial beside its rows: weights, states (those, and the state of its training, from
    which more --epochs with --extend go on where the schedule allows it; three times the weights or more), or none."""
    track: Annotated[tuple[str, ...], UseAppendAction] = ()
    """Show the study in tensorboard, wandb or mlflow, or in a plug-in's tracker, as it goes on (docs/trackers.md);
    repeatable."""
    dry_run: bool = False
    """Say what the study will cost on this machine, by training for a moment, and stop there: nothing is written."""

    def __post_init__(self) -> None:
        load(self.plugin)  # what they register is known below
        self._set_defaults()
        places.check_name(self.name, "study")
        places.check(self.results)
        if self.data_root is not None and not self.data_root.strip():
            raise UserError("--data-root is empty: give a folder, or leave it out for ./data")
        samplers[self.sampler], networks[self.network]  # raise for names that are not known
        require(self.track)
        if self.resume not in RESUME:
            raise unknown("way to resume", self.resume, RESUME)
        if self.replicates not in REPLICATES:
            raise unknown("way to replicate", self.replicates, REPLICATES)
        if self.early_stopping not in EARLY_STOPPING:
            raise unknown("early stopping", self.early_stopping, EARLY_STOPPING)
        if self.keep not in KEEP:
            raise unknown("thing to keep", self.keep, KEEP)
        for place in self.pool:
            places.check(place)
        for name in self.pool_same:
            if name not in CONDITIONS:
                raise unknown("condition of a trial", name, CONDITIONS)
        fits(self.stream)  # raises for what is not known
        if self.until not in (None, *UNTIL):
            raise unknown("end of a study", self.until, UNTIL)
        if self.budget is not None and self.until is None:
            raise UserError("--budget is what --until decided may cost: add that, or use --time-limit to stop a study")
        for option in (
            "trials",
            "seeds",
            "workers_per_trial",
            "cpus_per_worker",
            "trials_at_once",
            "time_limit",
            "budget",
        ):
            value = getattr(self, option)
            if value is not None and not value > 0:
                raise UserError(f"--{option.replace('_', '-')} must be above 0, got {value}")
        if self.seeds > FIRST_FRESH:
            raise UserError(
                f"--seeds must be at most {FIRST_FRESH}, got {self.seeds}: fresh seeds have greater numbers"
            )
        for option in ("confirm", "gpus_per_worker", "max_failures"):
            value = getattr(self, option)
            if value is not None and value < 0:
                raise UserError(f"--{option.replace('_', '-')} must not be negative, got {value}")
        if self.workers_per_trial > 1 and (self.gpus_per_worker or 1) % 1:
            raise UserError(
                "the workers of one trial need whole GPUs each: NCCL does not share one; raise --gpus-per-worker"
            )
        self.base_recipe()  # says what else cannot be, and so does what follows
        self.demand()
        self.resolved_objectives()
        self.constraints()
        check_kind([text.split()[-1] for text in self.claim if text.split()], self.kind)

    def _set_defaults(self) -> None:
        """Put in what the kind of data decides."""
        kind = self.kind
        defaults = {"network": NETWORKS[kind], "likelihood": LIKELIHOODS[kind], "objectives": DEFAULTS[kind]}
        for name, value in defaults.items():
            if getattr(self, name) is None:
                object.__setattr__(self, name, value)

    @property
    def kind(self) -> str:
        """Of the data: "images", "signals" or "points"."""
        return DataRecipe(source=self.data).kind

    @property
    def space(self) -> Space:
        """The search space; every study names its own."""
        raise NotImplementedError

    @property
    def total(self) -> int:
        """Configurations in all."""
        return len(self.space.controls) if self.space.is_grid else self.trials

    @property
    def location(self) -> str:
        """The study's results: a folder or URI."""
        return places.join(self.results, self.name)

    def resolved_objectives(self) -> list[tuple[str, str]]:
        """(metric column, "min" or "max") of each objective."""
        return resolve_objectives(self.objectives, features_column(self.features), self.first_density, self.kind)

    def constraints(self) -> list[Constraint]:
        """What every configuration must keep to."""
        return parse_constraints(self.constraint, features_column(self.features), self.first_density)

    @property
    def measures_cost(self) -> bool:
        """Whether what models cost is measured: as asked, or as objectives, constraints and claims need it."""
        return self.cost or any(map(is_cost, self._metrics))

    @property
    def first_density(self) -> str | None:
        """The ex-post density that `xpd_` stands for in short names."""
        return self.densities[0] if self.densities else None

    @property
    def label_counts(self) -> tuple[int, ...]:
        """For how many training labels accuracies are measured: those that are asked for, and those of objectives and
        claims."""
        return tuple(sorted({*self.downstream, *map(labels_of, self.accuracies)}))

    @property
    def accuracies(self) -> list[str]:
        """The accuracies among objectives and metrics of claims and constraints."""
        return list(filter(labels_of, self._metrics))

    @property
    def perceptual_distances(self) -> tuple[str, ...]:
        """Those that are measured of reconstructions: as asked, or as objectives, constraints and claims need it."""
        wanted = [name.removeprefix("rec_") for name in self._metrics if name.removeprefix("rec_") in DISTANCES]
        return tuple(dict.fromkeys([*self.perceptual, *wanted]))

    @property
    def _metrics(self) -> list[str]:
        """Objectives, metrics of claims, which are their last words, and of constraints."""
        named = [*self.objectives, *(text.split()[-1] for text in self.claim if text.split())]
        return named + [each.metric for each in self.constraints()]

    @property
    def plugins(self) -> list[Plugin]:
        """The plug-ins, imported."""
        return load(self.plugin)

    def demand(self) -> Demand:
        """What the study asks of the machines."""
        return Demand(
            address=self.address,
            workers=self.workers_per_trial,
            cpus=self.cpus_per_worker,
            gpus=self.gpus_per_worker,
            trials_at_once=self.trials_at_once,
            lanes=self.lanes,
            measures_cost=self.measures_cost,
        )

    def base_recipe(self) -> Recipe:
        """The recipe that these options define; a search space varies it."""
        return recipe_of(self)
