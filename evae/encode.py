"""The codes of a data set under a trained model, for whoever trains a diffusion model, or another, of them.

    python -m evae.encode results/kernel-sweep/weights/TRIAL.safetensors --to codes
    python -m evae.encode exported/faces --data folder:~/faces --to codes --format webdataset

Writes shards of codes, as vectors or as maps (channels, height, width), and codes.json: the digests of model and data,
and scale and shift of each channel over the training split. Stopped, the same command goes on.
"""

from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import tyro

from evae.commands import run
from evae.data.base import DataRecipe
from evae.errors import UserError
from evae.home import expanded
from evae.plugins import load
from evae.sizes import sides

if TYPE_CHECKING:
    from evae.checkpoints import Kept


def main(
    model: Annotated[
        str, tyro.conf.Positional, tyro.conf.arg(metavar="WEIGHTS|FOLDER", help="a weights file, or an exported model")
    ],
    to: Annotated[Path, tyro.conf.arg(metavar="FOLDER", help="where the codes go")],
    data: Annotated[str | None, tyro.conf.arg(help="folder:PATH or another source; default: the model's own")] = None,
    data_root: Annotated[str | None, tyro.conf.arg(help="folder that holds the data (default: ./data)")] = None,
    format: Annotated[str, tyro.conf.arg(help="safetensors, or webdataset (tar)")] = "safetensors",
    code: Annotated[str, tyro.conf.arg(help="the posterior's mean, or one sample of it for each image")] = "mean",
    seed: Annotated[int, tyro.conf.arg(help="of samples")] = 0,
    shard_size: Annotated[int, tyro.conf.arg(help="images in a file")] = 1000,
    device: Annotated[str | None, tyro.conf.arg(help="default: a GPU where there is one")] = None,
    plugin: Annotated[
        tuple[str, ...], tyro.conf.UseAppendAction, tyro.conf.arg(help="a plug-in of the model or data; repeatable")
    ] = (),
) -> None:
    """Write the codes of a data set."""
    load(plugin)
    given = None if data is None else DataRecipe(source=data)
    # Imported when needed: --help and wrong options need not wait for torch.
    from evae.data import load as images_of
    from evae.encoding.job import Job, check_asked, check_folder, encode
    from evae.hardware import find_device
    from evae.pretrained import open_model

    check_asked(code, format, shard_size)
    check_folder(folder := Path(expanded(to)))
    chosen, kept = find_device(device), open_model(model)
    # Which may take long, and so comes after all that can be wrong.
    images = images_of(_same_shape(kept, given), data_root)
    theirs, ours = ((one.channels, *sides(one.image_size)) for one in (images, kept))
    if theirs != ours:
        had, takes = (" x ".join(map(str, shape)) for shape in (theirs, ours))
        raise UserError(f"{images.name} has {images.kind} of {had}, and the model takes {takes}: give it such.")
    about = encode(Job(kept, images, code, seed, format, shard_size), folder, chosen)
    counts = " / ".join(str(about["splits"][split]["n"]) for split in ("train", "validation", "test"))
    print(f"{to}: {counts} codes of {' x '.join(map(str, about['shape']))}, of train / validation / test {images.kind}")


def _same_shape(kept: "Kept", given: DataRecipe | None) -> DataRecipe:
    """The data, as the model takes them: its own as it was trained on them, or all of others in the shape of these.
    Raises UserError for points where it takes images, or images where it takes points."""
    own = kept.recipe.data
    if given is None:
        return own
    if given.kind != own.kind:
        raise UserError(f"this is a model of {own.kind}, and {given.source} is {given.kind}: give it {own.kind}.")
    if own.kind == "points":
        return given
    # Other channels are no colours: images have these or cannot be given to the model.
    channels = kept.channels if kept.channels in (1, 3) else None
    return replace(given, image_size=kept.image_size, channels=channels, fit=own.fit)


if __name__ == "__main__":
    run(main)
