"""The network API: the core's, with the helper of every built-in layer typed."""

from typing import TYPE_CHECKING

from plugrt.core import graph

if TYPE_CHECKING:
    from plugrt.layer_helpers import LayerHelpers

    class Network(graph.Network, LayerHelpers):
        """A graph of plug-in layers under construction.

        Layers are added in execution order. `registry` decides which plug-in a type name
        means; by default the process-wide one. Also used as the body of If and Loop.

        Layers of other distributions have untyped helpers; `plugrt plugins stubs` types them.
        """

else:
    # One class at run time, so that copies and bodies made by the core are networks too.
    Network = graph.Network
