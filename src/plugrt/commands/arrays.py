"""Tensors in `.npy` files: read for inputs, written for outputs."""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping, Sequence
from functools import partial
from pathlib import Path
from typing import BinaryIO

import numpy as np

from plugrt import ModelError
from plugrt.plugins import Array, TensorDesc

from .command_parser import UsageError
from .files import write_together

MAXIMUM_STEM = 200
_UNSAFE = re.compile(r"[^A-Za-z0-9._-]+")


def read_inputs(given: Sequence[str], inputs: Mapping[str, TensorDesc]) -> dict[str, Array]:
    """Arrays of `NAME=FILE.npy` words, memory-mapped. Both sides may contain `=`.

    Raises UsageError for words that name no input, or one twice or never; OSError and
    ModelError for files that are no arrays.
    """
    arrays: dict[str, Array] = {}
    for word in given:
        name = max((n for n in inputs if word.startswith(f"{n}=")), key=len, default=None)
        if name is None:
            raise UsageError(
                f"--input {word!r} names no input; write NAME=FILE.npy, NAME being one of: "
                f"{', '.join(inputs) or 'none'}"
            )
        if name in arrays:
            raise UsageError(f"input {name!r} is given twice; give one file for each")
        arrays[name] = read_array(Path(word[len(name) + 1 :]), inputs[name])
    missing = [f"--input {name}=FILE.npy" for name in inputs if name not in arrays]
    if missing:
        raise UsageError(f"the plan's inputs are not complete; add {' '.join(missing)}")
    return arrays


def read_array(path: Path, desc: TensorDesc) -> Array:
    """The array in a `.npy` file; see `read_inputs`.

    NumPy keeps types that it does not know, such as bfloat16, as raw bytes: these become
    the type that the input has.
    """
    with path.open("rb"):
        pass  # an OSError names the file; numpy's errors do not
    try:
        array = np.load(path, mmap_mode="r", allow_pickle=False)
    except (ValueError, EOFError, SyntaxError, TypeError, OverflowError) as error:
        raise ModelError(f"{path}: no array of numbers in .npy format ({error})") from None
    if not isinstance(array, np.ndarray):
        raise ModelError(f"{path}: an archive of arrays; give a single array in .npy format")
    wanted = desc.dtype.numpy
    if array.dtype == np.dtype((np.void, wanted.itemsize)):
        array = array.view(wanted)
    return array


def write_outputs(folder: Path, arrays: Mapping[str, Array]) -> dict[str, Path]:
    """Write every array; the file of each. Raises OSError; then nothing was written."""
    names = file_names(arrays)
    write_together(
        folder, {names[name]: partial(_write, array) for name, array in arrays.items()}
    )
    return {name: folder / names[name] for name in arrays}


def file_names(outputs: Iterable[str]) -> dict[str, str]:
    """A safe and unique file name for every output; plain names keep theirs."""
    found: dict[str, str] = {}
    taken: set[str] = set()
    for output in outputs:
        stem = _UNSAFE.sub("_", output)[:MAXIMUM_STEM]
        if stem.startswith("."):
            stem = "_" + stem[1:]
        stem = stem or "output"
        name, number = f"{stem}.npy", 2
        while name.lower() in taken:
            name, number = f"{stem}_{number}.npy", number + 1
        taken.add(name.lower())
        found[output] = name
    return found


def _write(array: Array, file: BinaryIO) -> None:
    np.save(file, array, allow_pickle=False)
