"""Picture files."""

from __future__ import annotations

import struct
from contextlib import suppress
from pathlib import Path

import numpy as np
from PIL import Image, ImageOps, UnidentifiedImageError

from plugrt.plugins import ShapeError

from ..replacing import FileError
from .pixels import size_of

BROKEN_EXIF = (SyntaxError, ValueError, KeyError, TypeError, EOFError, struct.error)


def open_picture(path: Path) -> Image.Image:
    """The decoded picture in RGB, the way up that its EXIF data say.

    Transparency is dropped, and of 16 bits the lower eight are. Raises FileError when it cannot
    be read, is no picture, or has sides that are too long.
    """
    try:
        with Image.open(path) as picture:
            size_of(picture)
            picture.load()
            _turn_up(picture)
            return _to_rgb(picture)
    except UnidentifiedImageError:
        raise FileError(
            f"{path}: not a picture in a known format; give a JPEG, PNG or the like"
        ) from None
    except ShapeError as error:
        raise FileError(f"{path}: {error}") from None
    except (OSError, SyntaxError, ValueError, Image.DecompressionBombError) as error:
        reason = getattr(error, "strerror", None) or str(error).partition("\n")[0]
        raise FileError(f"{path}: the picture cannot be read ({reason})") from None


def _turn_up(picture: Image.Image) -> None:
    with suppress(*BROKEN_EXIF):  # the pixels are none the worse for them
        ImageOps.exif_transpose(picture, in_place=True)


def _to_rgb(picture: Image.Image) -> Image.Image:
    if picture.mode == "RGB":
        return picture
    if picture.mode.startswith("I;16"):  # Pillow would cut values above 255
        return Image.fromarray((np.asarray(picture) >> 8).astype(np.uint8)).convert("RGB")
    if picture.mode in ("I", "F"):
        raise ValueError(f"pixels of mode {picture.mode} have no known range; convert to 8 bits")
    return picture.convert("RGB")
