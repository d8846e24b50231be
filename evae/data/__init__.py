"""Images for training: one file a source, all of them through `load`.

images = load(DataRecipe(source="fashion-mnist", image_size=32))
images.train                        # uint8 (n, c, h, w), read-only: one copy serves all trials of a machine
batch(images.train, slice(100), "cpu")  # float32 in [0, 1]
"""

# They register themselves.
from evae.data import arrays, celeba, cifar, folder, hugging_face, mnist, mnist_5k, patches, photos, points, shards  # noqa: F401
from evae.data.base import DataRecipe, ImageSet, Raw, data_source
from evae.data.loading import load
from evae.data.pixels import batch, tensor

__all__ = ["DataRecipe", "ImageSet", "Raw", "batch", "data_source", "load", "tensor"]
