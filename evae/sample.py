"""New images of a trained model as one picture.

python -m evae.sample results/kernel-sweep/weights/TRIAL.safetensors -n 64 --to samples.png
python -m evae.sample exported/digits --density mixture --to samples.png
"""

from pathlib import Path
from typing import Annotated

import tyro

from evae.commands import run
from evae.errors import UserError
from evae.home import expanded
from evae.plugins import load


def main(
    model: Annotated[
        str, tyro.conf.Positional, tyro.conf.arg(metavar="WEIGHTS|FOLDER", help="a weights file, or an exported model")
    ],
    to: Annotated[Path, tyro.conf.arg(metavar="PNG", help="where to write the picture")] = Path("samples.png"),
    n: Annotated[int, tyro.conf.arg(aliases=["-n"], help="how many images")] = 64,
    density: Annotated[str | None, tyro.conf.arg(help="a density that was fitted to its codes; default: prior")] = None,
    columns: Annotated[int, tyro.conf.arg(help="images in a row")] = 8,
    seed: Annotated[int, tyro.conf.arg(help="of the draws")] = 0,
    plugin: Annotated[
        tuple[str, ...], tyro.conf.UseAppendAction, tyro.conf.arg(help="a plug-in of the model; repeatable")
    ] = (),
) -> None:
    """Draw new images from a trained model."""
    if n < 1 or columns < 1:
        raise UserError(f"-n and --columns must be at least 1, got {n} and {columns}")
    load(plugin)
    # Imported when needed: --help and wrong options need not wait for torch.
    from evae.pretrained import open_model
    from evae.release.folder import samples

    png = samples(open_model(model), n, density, seed, columns)
    try:
        Path(expanded(to)).write_bytes(png)
    except OSError as error:
        raise UserError(f"cannot write {to}: {error}. Give another --to.") from None
    print(to)


if __name__ == "__main__":
    run(main)
