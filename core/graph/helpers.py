"""`network.add_leaky_relu(x, slope=0.1)`: a helper for every registered layer type."""

from __future__ import annotations

import re
from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING, Any

from .elements import Layer, Tensor

if TYPE_CHECKING:
    from .network import Network

PREFIX = "add_"

# One word in spite of its small letter, as in ReLU, PReLU and NaN.
_MIXED_ACRONYM = re.compile(r"(?<![A-Z])[A-Z]?[A-Z][a-z][A-Z]{1,2}(?![A-Za-z])")


def snake_case(type_name: str) -> str:
    """A layer type in small letters: `LeakyReLU` -> `leaky_relu`, `Acme.TopK` -> `acme_top_k`."""
    text = type_name.replace(".", "_").replace("::", "_")
    text = _MIXED_ACRONYM.sub(lambda found: found.group().capitalize(), text)
    text = re.sub(r"(?<=[a-z0-9])(?=[A-Z])", "_", text)
    return re.sub(r"(?<=[A-Z])(?=[A-Z][a-z])", "_", text).lower()


def meant_type(helper: str, types: Sequence[str]) -> str | None:
    """The one of `types` that the helper `add_...` adds; None when there is none.

    The name in snake case goes first; else underscores may stand anywhere or nowhere.
    """
    name = helper.removeprefix(PREFIX)
    letters = name.replace("_", "")
    exact = (known for known in types if snake_case(known) == name)
    loose = (known for known in types if known.lower() == letters)
    return next(exact, None) or next(loose, None)


def bind_helper(network: Network, helper: str) -> Callable[..., Layer]:
    """The helper `add_...` of a network.

    A list or tuple given for variadic inputs, or one with tensors in it, stands for its items;
    any other is an array. Raises AttributeError when no layer type has the name.
    """
    types = network.registry.names("layers")
    type_name = meant_type(helper, types)
    if type_name is None:
        known = ", ".join(sorted(map(snake_case, types)))
        raise AttributeError(f"no layer type for {helper}; there are: {known}")

    def add(*inputs: Any, name: str | None = None, **attributes: Any) -> Layer:
        names = network.registry.layer(type_name).input_names
        fixed = sum(not input_name.endswith("*") for input_name in names)
        given: list[Any] = []
        for item in inputs:
            several = isinstance(item, (list, tuple)) and (
                len(given) >= fixed or any(isinstance(part, Tensor) for part in item)
            )
            given += item if several else [item]
        return network.add_layer(type_name, given, name=name, **attributes)

    add.__name__ = helper
    return add
