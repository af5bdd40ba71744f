"""Files about trees of classes: the tree itself, and maps of class numbers into it."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

from plugrt.plugins import ModelError

from ..layers.class_tree import tree_fault
from .class_names import read_text_lines
from .option_reader import WHOLE_NUMBER, OptionReader


@dataclass(frozen=True)
class TreeFile:
    """The names of all classes, in YOLO9000 those of WordNet, and their parents."""

    names: tuple[str, ...]
    parents: tuple[int, ...]


def read_tree(path: Path) -> TreeFile:
    """A file of lines `name parent`, the parent being an earlier line counted from 0, or -1.

    Raises ModelError naming file and line.
    """
    names, parents = [], []
    wanted = "a name and the number of the parent, or -1, per line"
    for number, line in enumerate(read_text_lines(path, "tree of classes", wanted), start=1):
        name, *rest = line.split() or [""]
        if len(rest) != 1 or not WHOLE_NUMBER.fullmatch(rest[0]):
            raise ModelError(f"{path}:{number}: {line[:40]!r} is not understood; write {wanted}")
        names.append(name)
        parents.append(int(rest[0]))
    fault = tree_fault(parents)
    if fault is not None:
        index, why = fault
        raise ModelError(f"{path}:{index + 1}: class {names[index]} is misplaced: {why}")
    return TreeFile(tuple(names), tuple(parents))


def read_map(path: Path, classes: int) -> tuple[int, ...]:
    """A file of class numbers below `classes`, one per line. Raises ModelError naming the line."""
    wanted = f"a class from 0 to {classes - 1} per line"
    found = []
    for number, line in enumerate(read_text_lines(path, "map of classes", wanted), start=1):
        if not WHOLE_NUMBER.fullmatch(line) or not 0 <= int(line) < classes:
            raise ModelError(f"{path}:{number}: {line[:40]!r} is no class; write {wanted}")
        found.append(int(line))
    return tuple(found)


def find_tree(options: OptionReader) -> Path:
    """The file that tree= names. Darknet looks from its working directory, which is not known:
    so from the definition's folder, from every folder above it and from ours, then beside the
    definition.

    Raises ModelError when it is in none of these.
    """
    named = Path(options.text("tree"))
    folder = options.section.path.resolve().parent
    places = [base / named for base in (folder, *folder.parents)]
    for candidate in (*places, named, folder / named.name):
        if candidate.is_file():
            return candidate
    raise options.error(
        "tree",
        f"tree={named} is found neither from {folder} or a folder above it, nor from the working "
        f"directory, nor beside the definition; give the file with --tree FILE",
    )
