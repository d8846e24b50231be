"""From which density should new images be drawn, for which model, and is the EVAE's gain its own?

    python studies/two_stage.py --results RESULTS --name mnist-5k --seeds 3
    python studies/two_stage.py --results RESULTS --name fashion-mnist --seeds 3 --data fashion-mnist \\
        --train-images 4000 --validation-images 500 --test-images 500
    python studies/two_stage.py --results RESULTS --name photos --seeds 3 --data photos --image-size 32 --epochs 12
    python benchmarks/densities.py RESULTS/mnist-5k RESULTS/fashion-mnist RESULTS/photos

Reads these studies, of seven models each. Reported are means over seeds on test images, with standard deviations, of
samples from the prior and from every density: their Fréchet distance on the study's features, precision and recall, and
how near sampled codes are to training codes as a share of how near the codes of new images are (a copy is at 0); the
EVAE's distance over the autoencoder's, seed by seed; and the CPU seconds, on one thread, of fitting each density to the
codes of a trained VAE and drawing 500.
"""

import argparse
import json
import time
from collections.abc import Callable
from statistics import fmean, median, stdev

import pandas as pd
import torch
from _record import table, write_result

from analysis.study.load import StudyData, load
from evae.checkpoints import load_model
from evae.densities import Density
from evae.metrics.names import density_side
from evae.recipe import Recipe

EVAE, CONTROL, TIMED = "EVAE B=0.1", "autoencoder", "VAE"
SHOWN = {
    "Fréchet distance": "fd_{features}",
    "Precision": "precision",
    "Recall": "recall",
    "Distance to the nearest training code, 1 is as far as a new image's": "nearest_code_ratio",
}


def families(study: StudyData) -> list[Density]:
    return list(Recipe.from_dict(json.loads(study.trials["recipe"].iloc[0])).evaluation.densities)


def sides(study: StudyData) -> dict[str, str]:
    """What samples are drawn from, and how their columns begin."""
    return {"prior": "gen"} | {each.family: density_side(each.family) for each in families(study)}


def cell(values: pd.Series) -> str:
    found = list(values.dropna())
    if not found:
        return "-"
    digits = 0 if abs(fmean(found)) >= 10 else 2
    return f"{fmean(found):.{digits}f}" + (f" ({stdev(found):.{digits}f})" if len(found) > 1 else "")


def by_model(study: StudyData, metric: str) -> str:
    return rows(study, lambda trials, side: cell(trials.get(f"{side}_{metric}", pd.Series(dtype=float))))


def rows(study: StudyData, of: Callable[[pd.DataFrame, str], str]) -> str:
    done = study.trials[study.trials["state"] == "finished"]
    models = done.sort_values("number").groupby("label", sort=False)
    return table(
        [{"model": name} | {title: of(trials, side) for title, side in sides(study).items()} for name, trials in models]
    )


def ratios(study: StudyData, metric: str) -> str:
    """Of the EVAE to the autoencoder with the same seed."""
    done = study.trials[study.trials["state"] == "finished"].set_index(["label", "seed"])
    found = {}
    for title, side in sides(study).items():
        each = done.loc[EVAE][f"{side}_{metric}"] / done.loc[CONTROL][f"{side}_{metric}"]
        found[title] = f"{each.mean():.2f} ({each.min():.2f} to {each.max():.2f})"
    return table([found])


def seconds(study: StudyData) -> str:
    """Of fits to the codes that are kept with the weights of the first VAE."""
    trial = study.trials[study.trials["label"] == TIMED].iloc[0]
    model = load_model(study.store.path("weights", f"{trial['trial']}.safetensors"))
    known = model.densities["codes"]
    codes = known.scaling.back(known.estimate.codes).float()
    found = {}
    for one in families(study):
        taken = []
        for _ in range(3):
            clock = time.process_time()
            one.fit(codes, torch.Generator()).sample(500, torch.Generator())
            taken.append(time.process_time() - clock)
        found[one.family] = f"{median(taken):.2f}"
    return f"{len(codes)} codes of {codes.shape[1]} latents:\n\n" + table([found])


def setting(study: StudyData, features: str) -> str:
    data, options = study.manifest["data"], study.manifest["options"]
    images = " / ".join(f"{data[f'n_{split}']:.0f}" for split in ("train", "validation", "test"))
    return (
        f"{images} training / validation / test images of {data['image_size']:.0f} px, {options['epochs']} epochs, "
        f"{options['latent']} latents, features {features.replace('_', '-')}, trained at commit "
        f"{study.manifest['git_commit'][:10]}."
    )


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("studies", nargs="+", help="results of studies/two_stage.py")
    torch.set_num_threads(1)
    text = ""
    for place in parser.parse_args().studies:
        study = load(place)
        features = next(c for c in study.trials if c.startswith("gen_fd_")).removeprefix("gen_fd_")
        text += f"## {study.name}\n\n{setting(study, features)}\n\n"
        for title, metric in SHOWN.items():
            text += f"### {title}\n\n{by_model(study, metric.format(features=features))}\n"
        distance = ratios(study, f"fd_{features}")
        text += (
            f"### The EVAE's distance over the autoencoder's, seed by seed: mean (least to greatest)\n\n{distance}\n"
        )
        text += f"### CPU seconds of a fit and 500 samples\n\n{seconds(study)}\n"
    write_result("densities", "Ex-post densities: models and densities", text)


if __name__ == "__main__":
    main()
