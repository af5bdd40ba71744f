"""What a patch did to the graph, in words and as data."""

from __future__ import annotations

from collections.abc import Sequence

from ...plugins import Patch
from ..explanation import Note
from ..graph import Layer


def rewrite_notes(author: Layer, gone: Sequence[Layer], patch: Patch) -> list[Note]:
    """One note for each layer that a patch of `author` has taken away or changed.

    `gone` are the layers that nobody read any more once the patch was applied.
    """
    by = author.plugin.type
    made = {new.name: new.plugin.type for new in patch.layers}
    changed = [layer for layer in gone if made.get(layer.name) != layer.plugin.type]
    if not changed:
        others = [layer.name for layer in gone if layer is not author]
        text = f"changed places with {', '.join(others)}" if others else "in another form"
        return [Note(author.name, "rewritten", text, by=by, layers=[x.name for x in gone])]
    return [_note(layer, made, patch, by) for layer in changed]


def _note(layer: Layer, made: dict[str, str], patch: Patch, by: str) -> Note:
    if layer.name in made:
        text = f"{layer.plugin.type}, turned into {made[layer.name]}"
        return Note(layer.name, "rewritten", text, by=by, layer=layer.name)
    if made:
        text = f"{layer.plugin.type}, taken over by {' and '.join(made)}"
        return Note(layer.name, "absorbed", text, by=by, layers=list(made))
    read = [new.name for old, new in patch.replacements if old.name in _outputs(layer)]
    text = f"{layer.plugin.type}, not needed" + (f": the same as {read[0]}" if read else "")
    return Note(layer.name, "removed", text, by=by)


def _first(names: Sequence[str]) -> str:
    """The first name, and how many others there are: the data have all."""
    if not names:
        return "nothing"
    return names[0] if len(names) == 1 else f"{names[0]} and {len(names) - 1} more"


def _outputs(layer: Layer) -> set[str]:
    return {tensor.name for tensor in layer.outputs}


def alternative_note(
    author: Layer, gone: Sequence[Layer], patch: Patch, before: float, after: float, taken: bool
) -> Note:
    """What was found on running `patch`, proposed by `author`, beside the layers `gone`."""
    old = [layer.name for layer in gone]
    new = [layer.name for layer in patch.layers]
    text = (
        f"{_first(new)} tried in place of {_first(old)}, with their readers: "
        f"{after * 1e6:.1f} us against {before * 1e6:.1f} us, {'taken' if taken else 'left'}"
    )
    return Note(
        author.name, "alternative", text, taken=taken, seconds=[before, after], layers=[*old, *new]
    )
