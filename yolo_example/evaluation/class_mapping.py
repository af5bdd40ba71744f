"""Which class of a plan is which class of a dataset."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from plugrt.plugins import ModelError

from ..text_files import read_text


@dataclass(frozen=True)
class ClassMapping:
    """`to_dataset` has, for a class of the plan, that of the dataset; `names` are those of the
    dataset's classes that count. What is left over on either side is not evaluated."""

    to_dataset: Mapping[int, int]
    names: Mapping[int, str]
    renamed: tuple[tuple[str, str], ...] = ()
    """Pairs of different names, the plan's first, that were mapped by request."""
    only_in_plan: tuple[str, ...] = ()
    only_in_dataset: tuple[str, ...] = ()

    @property
    def is_partial(self) -> bool:
        """Whether classes are left over."""
        return bool(self.only_in_plan or self.only_in_dataset)


def same_classes(names: Sequence[str]) -> ClassMapping:
    """Class numbers mean the same on both sides."""
    numbers = range(len(names))
    return ClassMapping({n: n for n in numbers}, dict(enumerate(names)))


def map_by_name(
    plan: Sequence[str], dataset: Sequence[str], renaming: Mapping[str, str] | None = None
) -> ClassMapping:
    """Classes of equal names, small and capital letters and blanks aside.

    `renaming` maps names of the plan onto names of the dataset and goes before; an empty name
    leaves the plan's class out. Raises ModelError for a name in it that does not exist, and
    where no class is common.
    """
    wanted = {_key(name): index for index, name in enumerate(dataset)}
    known = {_key(name) for name in plan}
    changes = {}
    for old, new in (renaming or {}).items():
        if _key(old) not in known:
            raise ModelError(f"{old!r} is mapped, but the plan's classes are {_listed(plan)}")
        if new and _key(new) not in wanted:
            raise ModelError(
                f"{old!r} is mapped to {new!r}, but the dataset's classes are {_listed(dataset)}"
            )
        changes[_key(old)] = new
    to_dataset, renamed, unused = {}, [], []
    for index, name in enumerate(plan):
        target = wanted.get(_key(changes.get(_key(name), name)))
        if target is None:
            unused.append(name)
            continue
        to_dataset[index] = target
        if _key(name) in changes:
            renamed.append((name, dataset[target]))
    if not to_dataset:
        raise ModelError(
            f"no class is common: the plan's are {_listed(plan)}, the dataset's "
            f"{_listed(dataset)}; map them with --map, or count on their numbers with --by-number"
        )
    used = set(to_dataset.values())
    return ClassMapping(
        to_dataset,
        {index: dataset[index] for index in sorted(used)},
        tuple(renamed),
        tuple(unused),
        tuple(name for index, name in enumerate(dataset) if index not in used),
    )


def read_renaming(path: Path) -> dict[str, str]:
    """Lines `name in the plan = name in the dataset`; `#` begins a comment.

    Raises ModelError naming file and line.
    """
    text = read_text(path, "names", "a file with lines NAME = NAME")
    found: dict[str, str] = {}
    for number, raw in enumerate(text.splitlines(), start=1):
        line = raw.partition("#")[0].strip()
        if not line:
            continue
        old, equals, new = (part.strip() for part in line.partition("="))
        if not (old and equals):
            raise ModelError(
                f"{path}:{number}: {line[:40]!r} is not NAME = NAME, the plan's and the dataset's"
            )
        if old in found:
            raise ModelError(f"{path}:{number}: {old!r} is mapped twice; delete one")
        found[old] = new
    return found


def _key(name: str) -> str:
    return " ".join(name.split()).casefold()


def _listed(names: Sequence[str]) -> str:
    shown = ", ".join(names[:6])
    return shown if len(names) <= 6 else f"{shown}, ... ({len(names)})"
