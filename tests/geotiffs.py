"""GeoTIFFs and world files for tests, written tag by tag."""

from PIL import Image, TiffImagePlugin


def write_geotiff(path, pixels, *, scale=(0.5, 0.5, 0), tiepoint=(0, 0, 0, 400000, 5800000, 0), keys=(), more=()):
    """Write pixels as a GeoTIFF; `keys` are of its directory, beside the model and raster types."""
    tags = TiffImagePlugin.ImageFileDirectory_v2()
    for tag, kind, values in ((33550, 12, scale), (33922, 12, tiepoint), *more):
        if values:
            tags.tagtype[tag] = kind
            tags[tag] = values
    tags.tagtype[34735] = 3
    tags[34735] = (1, 1, 0, len(keys), *(number for key, value in keys for number in (key, 0, 1, value)))
    Image.fromarray(pixels).save(path, tiffinfo=tags)


UTM = ((1024, 1), (1025, 1), (3072, 32633))
DEGREES = ((1024, 2), (1025, 1), (2048, 4326))
