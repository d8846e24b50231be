"""How large images are: the side of squares in pixels, or the (height, width) of others.

Recipes, options, weights files and networks have it in this one form, in JSON and TOML as a number or a list of two.
"""

ImageSize = int | tuple[int, int]
"""A pair never stands for a square: `size_of` makes the one form of two sides."""


def sides(size: ImageSize) -> tuple[int, int]:
    """(height, width) in px."""
    return (size, size) if isinstance(size, int) else size


def size_of(height: int, width: int) -> ImageSize:
    """The size of images of these sides in px."""
    return height if height == width else (height, width)


def halved(size: ImageSize) -> ImageSize:
    """Half of it, rounded down."""
    height, width = sides(size)
    return size_of(height // 2, width // 2)


def in_px(size: ImageSize) -> str:
    """To be read: "32 px", or "48 x 64 px" (height x width)."""
    return f"{size} px" if isinstance(size, int) else f"{size[0]} x {size[1]} px"
