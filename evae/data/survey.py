"""What the headers of a data set's pictures say, before any of them is decoded."""

import os

from PIL import Image

from evae.data.account import Account, Header
from evae.data.base import DataRecipe
from evae.data.files import Files, Form
from evae.data.pictures import BrokenPicture, NotAPicture, has_several, is_grey, look_at, many, upright
from evae.data.walk import Found
from evae.errors import UserError

DEFAULT_SIZE_PX = 64
NATIVE_SIZES_PX = (32, 64)  # kept when all pictures have it


def survey(files: Files, found: Found, place: str, recipe: DataRecipe) -> Account:
    """All pictures by their headers; `files` are those that were found. Raises UserError where there is none in the
    place, which is what users call it."""
    account = Account(found)
    # How many tiles a picture has then hangs on how it is turned; to find that out may take long.
    turned = recipe.fit == "tiles" and isinstance(recipe.image_size, tuple)

    def header(picture: Image.Image) -> Header:
        size = upright(picture) if turned else picture.size
        return Header(size, is_grey(picture), has_several(picture))

    def probe(number: int) -> Header | BrokenPicture:
        try:
            return look_at(files.file(number), header)
        except BrokenPicture as error:
            return error

    for name, seen in zip(files.names, many(probe, range(len(files.names))), strict=True):
        if isinstance(seen, Header):
            account.headers[name] = seen
        elif isinstance(seen, NotAPicture) and not os.path.splitext(name)[1]:
            found.endings[""] += 1  # nothing ever said that it was one
        else:
            account.broken[name] = str(seen)
    if account.headers:
        return account
    if not account.broken:
        nothing = f"{place} has no pictures in it, at any depth, of a kind that Pillow reads"
        raise UserError("; ".join([nothing, *found.passed_over()]))
    nothing = f"none of the {len(account.broken)} files in {place} can be used: {account.unused()}"
    raise UserError("; ".join([nothing, *found.passed_over()]))


def form_of(recipe: DataRecipe, account: Account) -> Form:
    """What the recipe asks for, and where it says nothing, what the pictures propose."""
    headers = account.headers.values()
    size = recipe.image_size
    if size is None:
        (width, height), *others = {header.size for header in headers}
        native = not others and width == height and width in NATIVE_SIZES_PX
        size = width if native else DEFAULT_SIZE_PX
    channels = recipe.channels or (1 if all(header.grey for header in headers) else 3)
    return Form(size, channels, recipe.fit)
