"""The class itself."""

from __future__ import annotations

from plugrt.plugins import LayerPlugin, PluginError, check_layer_class

from ..configurations import configurations
from ..outcome import CheckFailure
from ..subject import Subject

ROLES = (None, "cast", "reformat", "copy")


def class_keeps_contract(subject: Subject) -> None:
    """Signatures, input names, role, and distinct names of the tactics."""
    layer = subject.layer_class
    try:
        check_layer_class(layer)
    except PluginError as error:
        raise CheckFailure(str(error)) from None
    if layer.role not in ROLES:
        raise CheckFailure(f"role is {layer.role!r}; use one of {', '.join(map(repr, ROLES))}")
    _check_input_names(layer)
    for case in subject.cases:
        count = case.layer().getNbOutputs()
        if not isinstance(count, int) or count < 0:
            raise CheckFailure(f"{case}: getNbOutputs() is {count!r}, not a count")
        seen: set[object] = set()
        for found in configurations(case, subject.registry):
            formats = tuple(desc.format for desc in (*found.inputs, *found.outputs))
            key = (formats, found.kernel, found.tactic.name)
            if key in seen:
                raise CheckFailure(f"{case}: two tactics are called {found.tactic.name!r}")
            seen.add(key)


def _check_input_names(layer: type[LayerPlugin]) -> None:
    names = layer.input_names
    bare = [name.rstrip("?*") for name in names]
    if len(set(bare)) != len(bare) or not all(name.isidentifier() for name in bare):
        raise CheckFailure(f"input_names are {names}; give distinct identifiers")
    if any(name.endswith("*") for name in names[:-1]):
        raise CheckFailure(f"input_names are {names}; only the last may end in `*`")
    optional = [name.endswith(("?", "*")) for name in names]
    if optional != sorted(optional):
        raise CheckFailure(f"input_names are {names}; optional ones come last")
