"""What a GPU gives: one trial and lanes of trials, their steps captured in CUDA graphs, against bare programs.

    python benchmarks/gpu.py
    python benchmarks/gpu.py --sizes small --study 0       # two minutes: without studies
    python benchmarks/gpu.py --precision                   # half an hour: another table, and only that

EVAE of grey digits of 32 px (3,968 of mnist-5k) in batches of 64, in fp32; images per second of training. The
statistics that BatchNorm finds after an epoch, to be measured with, are left out of one trial's time, as of `train_s`:
bare programs do without. Of lanes they are not.

- before: our loop as it was until steps were captured, which looks at every step before the next one begins;
- as it comes, captured: our loop, not captured, and captured as it is by default;
- bare, bare captured: the same model and optimiser alone, of which the loss is the only thing that is noted;
- two ranks: our loop in two processes with a GPU each, which share its batches, where there are two GPUs;
- K lanes: so many trials in threads of one process, as `--lanes` trains them;
- K replicas: so many bare models stacked into one program by `torch.vmap`, captured, for comparison, with cuDNN's
  convolutions;
- pythae: its trainer with the same networks, where it is installed (`pip install pythae`).

Then evaluations, captured and as they come: the seconds of one alone, of four at once, and of four beside 16 lanes that
train, and what share of a trial that would be which trains for half a second.

Then a study of 24 trials, which ten processes share the GPU for, and one with lanes; and a study whose trials take
about 5 s in their lane, eight for each of 16 lanes, so that a lane which is free finds another trial. The wall of a
study is from the call of `run_study` to its return, and its search from the call of `Tuner.fit` to its return.

The last table compares with what is aimed at. Less than ten minutes on a GPU. What fails says why, on the page too, and
ends nothing else; the page is written anew with every number, and says if it was ended before the last. On a CPU, where
nothing is captured, it runs with one lane and the smallest networks, in a minute, and writes nothing: its figures say
nothing about a GPU.

`--precision` is for the rule by which `--precision auto` of a study decides (docs/gpus.md): one trial in fp32 and bf16,
with channels last and first, its networks compiled or not; of this EVAE at the small and the paper's size in batches of
64 and 512, and of the official MoG-VAE with its discriminator at 256 px in batches of 10, on noise. It writes a page of
its own.
"""

import argparse
import subprocess

import torch
from _evaluating import evaluating
from _page import Page
from _precision import OFFICIAL, networks, precision
from _rates import Setting, rates
from _studies import full_pack, studies

from evae.cluster.pack import threads_that_train
from evae.networks import SIZES


def driver() -> str:
    """The card and its driver, as nvidia-smi names them."""
    query = ["nvidia-smi", "--query-gpu=name,driver_version", "--format=csv,noheader"]
    return subprocess.run(query, capture_output=True, text=True, check=True).stdout.splitlines()[0]


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--sizes", nargs="+", choices=SIZES, help="of the networks (default: all three on a GPU)")
    parser.add_argument("--study", type=int, default=24, help="trials of the studies; 0 leaves all studies out")
    parser.add_argument(
        "--precision",
        nargs="*",
        choices=(*SIZES, OFFICIAL),
        metavar="NETWORKS",
        help=f"instead, arithmetic and layout, of these sizes or {OFFICIAL} (default: small, paper and {OFFICIAL})",
    )
    given = parser.parse_args()
    threads_that_train()
    setting = Setting.here(given)
    torch.set_num_threads(1)
    machine = f"{driver()}.\n" if setting.gpu else ""
    if given.precision is None:
        page = Page("gpu" if setting.gpu else None, "One GPU, many trials", machine)
        rates(page, setting)
        evaluating(page, setting)
        if setting.trials:
            studies(page, setting)
            full_pack(page, setting)
    else:
        page = Page("precision" if setting.gpu else None, "Arithmetic and layout on a GPU", machine)
        precision(page, setting, given.precision or networks(setting.gpu))
    page.end()


if __name__ == "__main__":
    main()
