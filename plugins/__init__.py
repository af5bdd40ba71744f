"""What a plug-in author imports.

Everything here is public and stable. Plug-ins themselves live elsewhere: built-ins in
`plugrt.builtin_layers`, others in distributions that register entry points.
"""

from .attributes import Schema, attribute, decode_attributes, encode_attributes
from .data_types import DataType
from .dims import (
    Dim,
    DimLike,
    Shape,
    ceil_div,
    data_dependent,
    dim_max,
    dim_min,
    floor_div,
    format_shape,
    product,
    symbol,
)
from .epilogue import Epilogue, EpilogueStep
from .errors import (
    CalibrationError,
    DeviceError,
    LayerAttributeError,
    ModelError,
    PlanError,
    PluginError,
    PlugrtError,
    ShapeError,
)
from .expression import Expression, Input
from .graph import Graph
from .layer import LayerPlugin, check_layer_class
from .plug_points import (
    CalibratorPlugin,
    DevicePlugin,
    DeviceSession,
    KernelPlugin,
    ParsedModel,
    ParserPlugin,
    PassPlugin,
    Recording,
    Slots,
)
from .pointwise_layer import PointwiseLayer, UnaryPointwise, broadcast_shapes
from .rewriting import AnyTensor, LayerNode, NewLayer, NewTensor, Patch, TensorNode
from .stream import CommandList, Kernel, Stream, WeightStore
from .tactics import (
    Alias,
    CalibratedRange,
    Combination,
    FixedRange,
    RangeRule,
    SameRange,
    SliceOf,
    Tactic,
    TacticRequest,
    ViewOf,
)
from .tensor import ALIGNMENT, BLOCK, Array, Format, Quantization, TensorDesc, TensorView

API_VERSION = 1
"""Version of the contract; raised when a plug-in written for it would no longer run."""

__all__ = [
    "ALIGNMENT", "API_VERSION", "BLOCK", "Alias", "AnyTensor", "Array", "CalibratedRange",
    "CalibrationError", "CalibratorPlugin", "Combination", "CommandList", "DataType",
    "DeviceError", "DevicePlugin", "DeviceSession", "Dim", "DimLike", "Epilogue", "EpilogueStep",
    "Expression", "FixedRange", "Format", "Graph", "Input", "Kernel", "KernelPlugin",
    "LayerAttributeError", "LayerNode", "LayerPlugin", "ModelError", "NewLayer", "NewTensor",
    "ParsedModel", "ParserPlugin", "PassPlugin", "Patch", "PlanError", "PluginError", "PlugrtError",
    "PointwiseLayer", "Quantization", "RangeRule", "Recording", "SameRange", "Schema", "Shape",
    "ShapeError", "SliceOf", "Slots", "Stream", "Tactic", "TacticRequest", "TensorDesc",
    "TensorNode", "TensorView", "UnaryPointwise", "ViewOf", "WeightStore", "attribute",
    "broadcast_shapes", "ceil_div", "check_layer_class", "data_dependent",
    "decode_attributes", "dim_max", "dim_min", "encode_attributes", "floor_div",
    "format_shape", "product", "symbol",
]  # fmt: skip
