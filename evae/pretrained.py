"""An exported model loaded again: a folder, or a name on Hugging Face's hub (extra `hub`); nothing is unpickled.

from evae.pretrained import from_pretrained

model = from_pretrained("exported/faces")
model.reconstruct(images)
"""

import json
import os
import re
from pathlib import Path

from evae import autoencoder_kl
from evae.checkpoints import Kept, load_kept, read_kept
from evae.errors import UserError
from evae.home import expanded
from evae.models import VAE

CONFIG, WEIGHTS = "config.json", "model.safetensors"
HUB_NAME = re.compile(r"[\w.-]+/[\w.-]+")


def from_pretrained(place: str | os.PathLike[str]) -> VAE:
    """The model of an exported folder, in evaluation mode on the CPU: its weights, and the densities fitted to its
    codes. A name like "owner/model" that is no folder here is fetched from the hub.

    Raises UserError where there is none, where it is damaged, and where it needs a plug-in that is not loaded.
    """
    return open_model(place).model


def open_model(place: str | os.PathLike[str]) -> Kept:
    """The model of an exported folder, of a hub's name, or of a weights file of a study. Raises UserError as
    `from_pretrained` does."""
    path = Path(expanded(place))
    if path.is_dir():
        return _of_folder(path)
    if path.exists() or path.suffix == ".safetensors":
        return load_kept(path)
    if HUB_NAME.fullmatch(os.fspath(place)):
        return _of_folder(_fetched(os.fspath(place)))
    raise UserError(f"there is no {path}: give a weights file of a study, or a folder that evae.export wrote.")


def _of_folder(folder: Path) -> Kept:
    if (folder / "trials").is_dir():
        raise UserError(
            f"{folder} is a study: give one of its weights, such as {folder}/weights/TRIAL.safetensors, or export its "
            f"best model: python -m evae.export {folder} --best METRIC --to FOLDER"
        )
    is_kl = (folder / autoencoder_kl.OURS).is_file()
    name = autoencoder_kl.OURS if is_kl else CONFIG
    try:
        config = json.loads((folder / name).read_text(encoding="utf-8"))
    except FileNotFoundError:
        raise UserError(f"{folder} has no {CONFIG}: give a folder that evae.export wrote.") from None
    except (OSError, ValueError) as error:
        raise UserError(f"{folder / name} cannot be read ({error}): export the model again.") from None
    kept = read_kept(autoencoder_kl.from_files(folder), str(folder)) if is_kl else load_kept(folder / WEIGHTS)
    wanted = {"recipe": kept.recipe.to_dict(), "image_size": kept.image_size, "channels": kept.channels}
    wanted = json.loads(json.dumps(wanted))  # pairs are lists there
    if not isinstance(config, dict) or any(config.get(name) != value for name, value in wanted.items()):
        raise UserError(
            f"{name} and the weights of {folder} do not belong together: bring back what evae.export wrote."
        )
    return kept


def _fetched(name: str) -> Path:
    try:
        from huggingface_hub import snapshot_download
    except ImportError:
        raise UserError(
            f"{name} is no folder here, and to fetch it from Hugging Face's hub needs the extra: pip install evae[hub]"
        ) from None
    try:
        return Path(snapshot_download(name, allow_patterns=["*.json", "*.safetensors"]))
    except Exception as error:  # of many kinds: no such name, no web, no permission
        why = next(iter(str(error).splitlines()), type(error).__name__)
        raise UserError(f"{name} is no folder here, and cannot be fetched from the hub: {why}") from None
