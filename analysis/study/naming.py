"""Names, units and number formats for people: what a column of the store is called on a page."""

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

NARROW = "\N{NO-BREAK SPACE}"  # keeps a number with its interval or unit on one line
SIDES = {"gen": "generation", "rec": "reconstruction", "xpd": "generation", "real": "real-image"}
# Ex-post densities by what their metrics begin with after xpd_; others by that name.
DENSITIES = {
    "gaussian": "Gaussian",
    "kde": "kernel density",
    "secondstage": "second-stage VAE",
    "flowmatching": "flow-matching prior",
    "codes": "training codes",
}
# The part of a metric's name after its side: (words, unit). Distances are found by their prefix below.
QUANTITIES = {
    "fid": ("FID", "squared Inception feature units"),
    "kid": ("KID", "squared kernel units"),
    "sharpness": ("sharpness", "variance of the Laplacian, grey levels 0 to 1"),
    "sharpness_gap": ("sharpness gap", "share of real images' sharpness, 0 is best"),
    "psnr_db": ("PSNR", "dB"),
    "st_lpips_alex": ("ST-LPIPS (AlexNet)", "0 is identical"),
    "st_lpips_vgg": ("ST-LPIPS (VGG16)", "0 is identical"),
    "lpips_alex": ("LPIPS (AlexNet)", "0 is identical"),
    "lpips_vgg": ("LPIPS (VGG16)", "0 is identical"),
    "efficientnet_features": ("EfficientNet-Lite0 feature distance", "0 is identical"),
    "r2": ("R²", "share of an image's variance"),
    "ssim": ("SSIM", "1 is identical"),
    "precision": ("precision", "share of samples near real images"),
    "recall": ("recall", "share of real images near samples"),
    "density": ("density", "real images near a sample, over 5; about 1 for real images"),
    "coverage": ("coverage", "share of real images with a sample near"),
    "nearest_image_ratio": ("distance to the nearest training image", "1 is as far as new images"),
    "heldout_nats": ("held-out nats", "per number of a code, standardised; 1.42 for independent Gaussian numbers"),
    "heldout_loss": ("held-out loss", "squared velocity error; 1.57 for independent Gaussian numbers"),
    "nearest_code_ratio": ("distance to the nearest training code", "1 is as far as new images' codes"),
}
WHOLE = {
    "distortion_nats": ("distortion", "nats per image"),
    "distortion_of_mean_nats": ("distortion of the mean code", "nats per image"),
    "rate_nats": ("rate", "nats per image"),
    "elbo_nats": ("ELBO", "nats per image"),
    "nll_nats": ("negative log likelihood", "nats per image, an upper bound"),
    "bits_per_dim": ("bits per dimension", "of the negative log likelihood, an upper bound"),
    "log_likelihood_nats": ("log likelihood", "nats per point"),
    "log_likelihood_error_nats": ("error of the log likelihood", "nats per point, of the sum over codes"),
    "log_likelihood_gap_nats": ("log likelihood below the true model's", "nats per point"),
    "bound_gap_nats": ("log likelihood above the ELBO", "nats per point"),
    "code_correlation": ("correlation of codes with the true ones", "after the best monotone relabelling"),
    "index_bound_nats": ("bound of the weights over training points", "nats per image or point, of the training data"),
    "index_gap_nats": ("what that bound lacks to the empirical model", "nats, the mean divergence of the weights"),
    "index_perplexity": ("perplexity of the weights", "training points that share a row"),
    "index_width": ("width of the weights", "on the data's scale"),
    "likelihood_scale": ("scale of the likelihood", "on the data's scale"),
    "scale_ratio": ("scale over the true noise", "1 is right"),
    "decoder_passes": ("decoder passes in training", "codes"),
    "active_units": ("active units", "latents"),
    "kl_units": ("active units by KL", "latents with more than 0.01 nats"),
    "lifetime_sparseness": ("lifetime sparseness", "over images; 0 is even, 1 is sparse"),
    "population_sparseness": ("population sparseness", "over latents; 0 is even, 1 is sparse"),
    "zeros_share": ("share of zeros", "of sampled codes"),
    "parameters": ("parameters", "of the whole model"),
    "encoder_parameters": ("encoder parameters", "numbers that are learned"),
    "decoder_parameters": ("decoder parameters", "numbers that are learned"),
    "encoder_macs": ("encoder MACs", "multiply-accumulates per image"),
    "decoder_macs": ("decoder MACs", "multiply-accumulates per image"),
    "encode_images_per_s": ("encoding speed", "images per second"),
    "decode_images_per_s": ("decoding speed", "images per second"),
    "step_images_per_s": ("speed of a training step", "images per second"),
    "encode_memory_mb": ("peak memory of encoding 32 images", "MB"),
    "step_memory_mb": ("peak memory of a training step", "MB"),
    "aggregate_w1": ("aggregate posterior to prior", "prior standard deviations"),
}
# Of a code's class, with so many labels as stand behind the name.
LIKELIHOODS = ("nll_nats", "bits_per_dim")
# What is taken on the features of a trial's distances, of the same images: their identity is its own.
ON_FEATURES = ("precision", "recall", "density", "coverage", "nearest_image_ratio")
ACCURACIES = {
    "knn_accuracy": "5-nearest-neighbour accuracy",
    "linear_accuracy": "linear accuracy",
    "shattering_accuracy": "accuracy on halves of the classes",
}
PER = {"image": "image"}
# British spelling and spaces for the searched parameters; any other name is shown with spaces.
PARAMETERS = {
    "prior_width": "prior width B",
    "bandwidth": "bandwidth b",
    "latent": "latent size",
    "beta": "β",
    "learning_rate": "learning rate",
    "population_beta": "population β",
    "individual_beta": "individual β",
    "disc_weight": "discriminator weight",
    "disc_start": "discriminator's first epoch",
    "disc_loss": "discriminator loss",
    "disc_learning_rate": "discriminator learning rate",
    "clip_norm": "largest gradient norm",
    "average": "mean weights",
    "forgotten": "1 − EMA decay",
    "ema": "EMA decay",
    "warm_up": "warm-up (share of epochs)",
    "beta_warm_up": "β warm-up (share of epochs)",
    "warm_up_epochs": "warm-up epochs",
    "beta_warm_up_epochs": "β warm-up epochs",
    "beta_cycles": "β cycles",
}


@dataclass(frozen=True)
class Objective:
    """A metric of the test split with its direction ("min" or "max")."""

    metric: str
    direction: str

    @property
    def sign(self) -> float:
        """+1 when smaller is better, -1 when larger is: `sign * value` is always to be minimised."""
        return -1.0 if self.direction == "max" else 1.0

    @property
    def label(self) -> str:
        return label(self.metric)

    @property
    def axis(self) -> str:
        """Axis title of two short lines: name and better direction, then unit."""
        first = f"{self.label}, {'higher' if self.direction == 'max' else 'lower'} is better"
        return f"{first}<br>({unit(self.metric)})" if unit(self.metric) else first


def split_metric(metric: str) -> tuple[str, str]:
    """("gen", "fd_efficientnet_lite0_b4") of "gen_fd_efficientnet_lite0_b4", on whichever split, and ("xpd", "recall")
    of "xpd_mixture_recall"; side "" where there is none."""
    side, _, rest = metric.removeprefix("val_").partition("_")
    if side == "xpd":
        rest = rest.partition("_")[2]
    return (side, rest) if side in SIDES and rest else ("", metric)


def source(metric: str) -> str:
    """What the samples of such a metric are drawn from: "gen" for the prior, "xpd_mixture" for that density on codes;
    "" for a metric that is not of samples."""
    side, rest = split_metric(metric)
    return metric.removeprefix("val_").removesuffix(f"_{rest}") if side in ("gen", "xpd") else ""


def source_words(source: str) -> str:
    """In words: "the prior", or "the mixture on codes"."""
    if source == "gen":
        return "the prior"
    density = source.removeprefix("xpd_")
    words = DENSITIES.get(density, density)
    return f"the {words}" if density == "codes" else f"the {words} on codes"


def is_distance(metric: str) -> bool:
    """Whether the metric is a Fréchet or kernel distance, which has an identity and a floor."""
    rest = split_metric(metric)[1]
    return rest in ("fid", "kid") or rest.startswith(("fd_", "kd_"))


def is_accuracy(metric: str) -> bool:
    """Whether the metric says how often the class of an image is told from its code."""
    stem, _, count = metric.removeprefix("val_").rpartition("_")
    return stem in ACCURACIES and count.isdecimal()


def is_likelihood(metric: str) -> bool:
    """Whether the metric is a bound of the images' log likelihood."""
    return metric.removeprefix("val_") in LIKELIHOODS


def is_gap(metric: str) -> bool:
    """Whether the metric is a sharpness gap, |sharpness / real images' sharpness - 1|."""
    return metric.endswith("_sharpness_gap")


def is_kernel_distance(metric: str) -> bool:
    """Whether the metric is a kernel distance, which real images have about 0 of, unlike a Fréchet distance."""
    rest = split_metric(metric)[1]
    return rest == "kid" or rest.startswith("kd_")


def label(metric: str) -> str:
    """The metric in words, without its unit: "generation Fréchet distance"."""
    if metric in WHOLE:
        return WHOLE[metric][0]
    if is_accuracy(metric):
        stem, _, count = metric.removeprefix("val_").rpartition("_")
        return f"{ACCURACIES[stem]}, {count} labels"
    side, rest = split_metric(metric)
    words = QUANTITIES.get(rest, (rest.replace("_", " "), ""))[0]
    if rest.startswith("fd_"):
        words = "Fréchet distance"
    if rest.startswith("kd_"):
        words = "kernel distance"
    if side == "xpd":
        density = source(metric).removeprefix("xpd_")
        return f"{SIDES[side]} ({DENSITIES.get(density, density)}) {words}"
    return f"{SIDES[side]} {words}" if side else words


def unit(metric: str) -> str:
    """The metric's unit or scale in words; empty when not known."""
    if metric in WHOLE:
        return WHOLE[metric][1].replace("per image", f"per {PER['image']}")
    if is_accuracy(metric):
        return "share of images"
    rest = split_metric(metric)[1]
    if rest.startswith(("fd_", "kd_")):
        return f"on {rest[3:].replace('_', '-')} features"
    return QUANTITIES.get(rest, ("", ""))[1]


def know(metrics: Mapping[str, Sequence[str]]) -> None:
    """Take note of the words and units of metrics that only a study's manifest names: those of its plug-ins."""
    for name, about in metrics.items():
        if name not in QUANTITIES and len(about) == 2:
            QUANTITIES[name] = str(about[0]), str(about[1])


def of_kind(data: str) -> None:
    """Take note of what a study's data are: "images", of which units speak, or "points"."""
    PER["image"] = "point" if data == "points" else "image"


def parameter(name: str) -> str:
    return PARAMETERS.get(name, name.replace("_", " "))


def number(value: object, digits: int = 3) -> str:
    """A number with `digits` significant digits and no needless exponent; a dash where there is none."""
    if value is None or isinstance(value, bool) or not isinstance(value, (int, float)):
        return "–" if value is None else str(value)
    if not math.isfinite(value):
        return "–" if math.isnan(value) else ("∞" if value > 0 else "−∞")
    if value == 0:
        return "0"
    size = math.floor(math.log10(abs(value)))
    if isinstance(value, int) or (float(value).is_integer() and abs(value) < 1e6):
        return f"{int(value):,}"
    if size < -4 or size >= 7:
        return f"{value:.{digits - 1}e}"
    return f"{value:,.{max(0, digits - 1 - size)}f}"


def times(ratio: float) -> str:
    """A ratio in words that stand before what it is of: "0.34 of", "4.5 times"."""
    return f"{number(ratio, 2)} of" if ratio < 1 else f"{number(ratio, 3 if ratio < 2 else 2)} times"


def interval(mean: float, half: float) -> str:
    """A mean and half its interval, "12.3 ± 0.4", with the decimals of the interval's two leading digits; without it
    where it would show in the sixth digit only."""
    if not math.isfinite(mean) or not math.isfinite(half) or half <= 1e-5 * abs(mean):
        return number(mean)
    decimals = max(0, 1 - math.floor(math.log10(half)))
    return f"{mean:,.{decimals}f}{NARROW}±{NARROW}{half:,.{decimals}f}"


def duration(seconds: float) -> str:
    """Seconds as "42 s", "3 min 20 s" or "2 h 5 min"; a dash where they are not known."""
    if seconds is None or not math.isfinite(seconds):
        return "–"
    if seconds < 60:
        return f"{seconds:.0f} s" if seconds >= 10 else f"{seconds:.1f} s"
    minutes, rest = divmod(round(seconds), 60)
    if minutes < 60:
        return f"{minutes} min {rest} s" if rest else f"{minutes} min"
    hours, minutes = divmod(minutes, 60)
    return f"{hours} h {minutes} min" if minutes else f"{hours} h"


def count(n: int, noun: str, several: str | None = None) -> str:
    """A number with its noun, or with what it has to be of `several`: "1 trial", "3 trials"."""
    return f"{n:,} {noun if n == 1 else several or f'{noun}s'}"
