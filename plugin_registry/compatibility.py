"""Whether one layer class can stand in for another."""

from __future__ import annotations

from ..plugins import LayerPlugin, PlugrtError


def arity(layer: type[LayerPlugin]) -> tuple[int, int | None]:
    """(fewest, most) inputs of a layer; most is None where `name*` takes any number."""
    variadic = any(name.endswith("*") for name in layer.input_names)
    fewest = sum(not name.endswith(("?", "*")) for name in layer.input_names)
    return fewest, None if variadic else len(layer.input_names)


def why_incompatible(original: type[LayerPlugin], substitute: type[LayerPlugin]) -> str | None:
    """None when every use of `original` is a legal use of `substitute`, else why not."""
    reason = substitute.schema.accepts(original.schema)
    if reason is not None:
        return reason
    if original.role != substitute.role:
        return f"its role is {substitute.role}, not {original.role}"
    fewest, most = arity(original)
    mine_fewest, mine_most = arity(substitute)
    if mine_fewest > fewest:
        return f"it needs {mine_fewest} inputs where {original.type} needs {fewest}"
    if mine_most is not None and (most is None or most > mine_most):
        allowed = "any number of" if most is None else most
        return f"it takes at most {mine_most} inputs where {original.type} takes {allowed}"
    return _output_difference(original, substitute)


def _output_difference(
    original: type[LayerPlugin], substitute: type[LayerPlugin]
) -> str | None:
    """Compare the number of outputs with default attributes, where there are such."""
    if any(declared.required for declared in original.schema.values()):
        return None  # compared at each creation instead
    try:
        wanted = original()
        return output_count_difference(wanted, substitute(**wanted.attribute_values))
    except PlugrtError as error:
        return f"it refuses {original.type}'s default attributes ({error})"


def output_count_difference(original: LayerPlugin, substitute: LayerPlugin) -> str | None:
    """None when both instances have equally many outputs, else the difference."""
    wanted, mine = original.getNbOutputs(), substitute.getNbOutputs()
    if wanted == mine:
        return None
    return f"it has {mine} outputs where {original.type} has {wanted}"
