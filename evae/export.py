"""A trained model as a folder that stands alone: weights, config.json, a model card, pictures.

    python -m evae.export results/kernel-sweep --best rec_fd --to exported/digits
    python -m evae.export results/kernel-sweep/weights/TRIAL.safetensors --to exported/digits

The best is the configuration with the best mean over the search's seeds on the validation split, and of it the best
seed. `evae.pretrained.from_pretrained("exported/digits")` loads it, without the web and without unpickling anything;
and so does diffusers' `AutoencoderKL.from_pretrained`, where the model has that architecture.
"""

import os
import sys
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import tyro

from evae.commands import run
from evae.errors import UserError
from evae.home import expanded
from evae.plugins import load

if TYPE_CHECKING:
    from evae.checkpoints import Kept
    from evae.release.best import Chosen
    from evae.results.store import Store


def main(
    what: Annotated[
        str, tyro.conf.Positional, tyro.conf.arg(metavar="STUDY|WEIGHTS", help="a study's results, or a weights file")
    ],
    to: Annotated[Path, tyro.conf.arg(metavar="FOLDER", help="a folder that is not there yet, or empty")],
    best: Annotated[str | None, tyro.conf.arg(help="of a study: the metric that says which model is best")] = None,
    trial: Annotated[str | None, tyro.conf.arg(help="of a study: the trial of this name")] = None,
    codes: Annotated[
        Path | None,
        tyro.conf.arg(
            metavar="FOLDER", help="codes that evae.encode wrote with this model: scale and shift are theirs"
        ),
    ] = None,
    licence: Annotated[str, tyro.conf.arg(help="of the weights, for the card: mit, cc-by-4.0, ...")] = "unknown",
    plugin: Annotated[
        tuple[str, ...], tyro.conf.UseAppendAction, tyro.conf.arg(help="a plug-in of the model; repeatable")
    ] = (),
) -> None:
    """Write a trained model as a folder that stands alone."""
    load(plugin)
    # Imported when needed: --help and wrong options need not wait for torch.
    from evae.encoding.scaling import read_scaling
    from evae.release.folder import check_free, write_folder

    check_free(Path(expanded(to)))
    weights, kept, chosen, store = _found(what, best, trial)
    scaling = None if codes is None else read_scaling(Path(expanded(codes)), kept.digest)
    more = {"overall": scaling.overall, "shift": scaling.shift, "scale": scaling.scale} if scaling else None
    folder = write_folder(to, kept, weights, chosen=chosen, store=store, licence=licence, scaling=more)
    if chosen is not None:
        print(f"{chosen.row['trial']} ({chosen.row['label'] or chosen.row['number']}): {chosen.why}", file=sys.stderr)
    print(folder)


def _found(what: str, best: str | None, trial: str | None) -> "tuple[bytes, Kept, Chosen | None, Store | None]":
    """The weights that are meant, and what is known of them."""
    from evae.checkpoints import read_kept
    from evae.release import best as choices
    from evae.results.store import Store

    if best and trial:
        raise UserError("--best and --trial each say which model is meant: give one of them.")
    path = Path(expanded(what)) if "://" not in what else None
    if path is not None and (path.is_file() or path.suffix == ".safetensors"):
        if best or trial:
            raise UserError(f"{what} is one model: leave --best and --trial out.")
        try:
            weights = path.read_bytes()
        except OSError as error:
            raise UserError(f"cannot read the weights: {error}") from None
        kept = read_kept(weights, os.fspath(path))
        study = path.absolute().parent.parent
        if path.parent.name != "weights" or not (study / "trials" / f"{path.stem}.parquet").is_file():
            return weights, kept, None, None
        store = Store(study)
        return weights, kept, choices.named(store, path.stem), store
    if not (best or trial):
        raise UserError("say which model of the study: --best METRIC, such as --best rec_fd, or --trial NAME.")
    store = Store(what)
    chosen = choices.best(store, best) if best else choices.named(store, trial)
    name = f"{chosen.row['trial']}.safetensors"
    weights = store.read_bytes("weights", name) or b""
    return weights, read_kept(weights, f"{store.location}/weights/{name}"), chosen, store


if __name__ == "__main__":
    run(main)
