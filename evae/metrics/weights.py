"""Where the Inception weights come from: no package holds them."""

import os
import tempfile
import urllib.request
from pathlib import Path

import torch

from evae.backbones.files import sha256
from evae.errors import UserError

FILE = "pt_inception-2015-12-05-6726825d.pth"
URL = f"https://github.com/mseitzer/pytorch-fid/releases/download/fid_weights/{FILE}"
SHA256_PREFIX = "6726825d"
TIMEOUT_S = 10.0


def find_weights() -> Path:
    """The weights' file: in the folder $EVAE_WEIGHTS, in torch.hub's checkpoints, or fetched there.

    Raises UserError where it is nowhere to be had, or is not the file it should be.
    """
    hub = Path(torch.hub.get_dir()) / "checkpoints" / FILE
    folder = os.environ.get("EVAE_WEIGHTS")
    for path in (*([Path(folder) / FILE] if folder else []), hub):
        if path.is_file():
            return _verified(path)
    try:
        return _download(hub)
    except OSError as error:
        raise UserError(
            f"the features 'inception' need {FILE} (91 MB, sha256 beginning {SHA256_PREFIX}), which is not "
            f"on this machine and cannot be downloaded from {URL} ({error}). Fetch it where you have the "
            f"web and put it at {hub}, or into a folder that $EVAE_WEIGHTS names; or choose "
            "efficientnet-lite0 features, which need no download."
        ) from error


def _verified(path: Path) -> Path:
    found = sha256(path)
    if not found.startswith(SHA256_PREFIX):
        raise UserError(
            f"{path} is damaged or another file: its sha256 begins {found[:8]} and should begin "
            f"{SHA256_PREFIX}. Remove it, and fetch it again from {URL}."
        )
    return path


def _download(path: Path) -> Path:
    """Fetch the file beside its place and rename it: half a download must not look whole."""
    path.parent.mkdir(parents=True, exist_ok=True)
    with (
        urllib.request.urlopen(URL, timeout=TIMEOUT_S) as source,
        tempfile.TemporaryDirectory(dir=path.parent) as beside,
    ):
        part = Path(beside) / FILE
        with part.open("wb") as target:
            while block := source.read(1 << 20):
                target.write(block)
        if not sha256(part).startswith(SHA256_PREFIX):
            raise OSError("the download arrived incomplete")
        return part.replace(path)
