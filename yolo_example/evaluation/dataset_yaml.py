"""The `.yaml` files that describe datasets to Ultralytics' trainers."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from plugrt.plugins import ModelError

from .requirements import missing_package

LARGEST_FILE = 16 << 20
SPLITS = ("train", "val", "test")


@dataclass(frozen=True)
class DatasetYaml:
    """`splits` are the folders and lists of each part, from `root` on."""

    path: Path
    root: Path
    splits: Mapping[str, tuple[str, ...]]
    names: tuple[str, ...]


def read_dataset_yaml(path: Path) -> DatasetYaml:
    """Read such a file. Raises ModelError where it is malformed, PluginError where PyYAML is not
    installed."""
    content = _load(path)
    splits = {key: _strings(path, key, content[key]) for key in SPLITS if content.get(key)}
    root = content.get("path") or "."
    if not isinstance(root, str):
        raise ModelError(f"{path}: path is {root!r}; give the folder of the dataset")
    names = _names(path, content.get("names"))
    count = content.get("nc", len(names))
    if names and count != len(names):
        raise ModelError(f"{path}: nc is {count}, but there are {len(names)} names; correct one")
    return DatasetYaml(path, path.parent / root, splits, names)


def _load(path: Path) -> Mapping[str, Any]:
    try:
        import yaml
    except ImportError:
        raise missing_package("PyYAML", f"{path} cannot be read") from None
    try:
        if path.stat().st_size > LARGEST_FILE:
            raise ModelError(f"{path}: the file is too large for a description of a dataset")
        content = yaml.safe_load(path.read_bytes())
    except OSError as error:
        raise ModelError(f"{path}: cannot be read ({error.strerror})") from None
    except (yaml.YAMLError, UnicodeDecodeError) as error:
        mark = getattr(error, "problem_mark", None)
        line = f":{mark.line + 1}" if mark else ""
        problem = getattr(error, "problem", None) or "not UTF-8 text"
        raise ModelError(f"{path}{line}: not YAML ({problem})") from None
    if not isinstance(content, dict):
        raise ModelError(f"{path}: not a description of a dataset; it has path, val and names")
    return content


def _strings(path: Path, key: str, value: object) -> tuple[str, ...]:
    entries = value if isinstance(value, list) else [value]
    if not all(isinstance(entry, str) for entry in entries):
        raise ModelError(f"{path}: {key} is {value!r}; give a folder or a list of pictures")
    return tuple(entries)


def _names(path: Path, value: object) -> tuple[str, ...]:
    if value is None:
        return ()
    if isinstance(value, dict):
        if sorted(value, key=str) != sorted(range(len(value)), key=str):
            raise ModelError(f"{path}: the numbers of names are not 0 to {len(value) - 1}")
        value = [value[index] for index in range(len(value))]
    if not isinstance(value, list):
        raise ModelError(f"{path}: names is {value!r}; give a list, or number: name")
    return tuple(str(name) for name in value)
