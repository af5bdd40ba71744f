"""The six kinds of plug-ins, and what a class must be to count as one."""

from __future__ import annotations

import inspect
from dataclasses import dataclass

from ..plugins import (
    CalibratorPlugin,
    DevicePlugin,
    KernelPlugin,
    LayerPlugin,
    ParserPlugin,
    PassPlugin,
    PluginError,
    check_layer_class,
)

STAGES = ("simplify", "fuse")
"""When passes run."""


@dataclass(frozen=True)
class Kind:
    """One plug point: its entry-point group and the contract of its classes."""

    name: str
    noun: str
    """What one such plug-in is called in messages."""
    base: type
    name_attribute: str = "name"

    @property
    def group(self) -> str:
        """The entry-point group."""
        return f"plugrt.{self.name}"

    def name_of(self, candidate: type) -> str:
        """The name that the class gives itself. Raises PluginError when it has none."""
        name = getattr(candidate, self.name_attribute, None)
        if not isinstance(name, str) or not name:
            raise PluginError(
                f"{candidate.__name__} has no class attribute `{self.name_attribute}` "
                f"(a string that is not empty): every {self.noun} needs one"
            )
        return name

    def check(self, candidate: object) -> type:
        """`candidate` as a class of this kind. Raises PluginError naming what breaks the contract.
        """
        if self.base is LayerPlugin:
            check_layer_class(candidate)
        if not (isinstance(candidate, type) and issubclass(candidate, self.base)):
            raise PluginError(
                f"{candidate!r} is no {self.noun}; derive it from plugrt.plugins."
                f"{self.base.__name__}"
            )
        if inspect.isabstract(candidate):
            missing = ", ".join(sorted(candidate.__abstractmethods__))  # type: ignore[attr-defined]
            raise PluginError(f"{candidate.__name__} does not define {missing}")
        self.name_of(candidate)
        if issubclass(candidate, KernelPlugin) and not isinstance(
            getattr(candidate, "layer", None), str
        ):
            raise PluginError(
                f"{candidate.__name__} has no class attribute `layer`: the type of the layer "
                "that the kernel implements"
            )
        if issubclass(candidate, PassPlugin) and candidate.stage not in STAGES:
            raise PluginError(
                f"{candidate.__name__}.stage is {candidate.stage!r}; use {' or '.join(STAGES)}"
            )
        return candidate


KINDS: dict[str, Kind] = {
    kind.name: kind
    for kind in (
        Kind("layers", "layer", LayerPlugin, "type"),
        Kind("kernels", "kernel", KernelPlugin),
        Kind("parsers", "parser", ParserPlugin),
        Kind("passes", "pass", PassPlugin),
        Kind("calibrators", "calibrator", CalibratorPlugin),
        Kind("devices", "device", DevicePlugin),
    )
}
"""Kind name -> kind, in the order of the documentation."""


def kind_named(name: str) -> Kind:
    """The kind. Raises PluginError for an unknown name."""
    try:
        return KINDS[name]
    except KeyError:
        raise PluginError(
            f"{name!r} is no kind of plug-in; use one of: {', '.join(KINDS)}"
        ) from None


def kind_of(candidate: object) -> Kind:
    """The kind that a class belongs to by its base. Raises PluginError when there is none."""
    if isinstance(candidate, type):
        for kind in KINDS.values():
            if issubclass(candidate, kind.base):
                return kind
    bases = ", ".join(kind.base.__name__ for kind in KINDS.values())
    raise PluginError(
        f"{candidate!r} is no plug-in class; derive it from one of plugrt.plugins: {bases}"
    )
