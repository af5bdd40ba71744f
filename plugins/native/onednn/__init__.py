"""oneDNN as a service: primitives that become commands of a recording.

    conv = convolution(src, MemoryDesc.any_layout(weights.shape, FLOAT32), dst, strides=(1, 1),
                       padding_before=(1, 1), padding_after=(1, 1), threads=2)
    packed = pack(weights, MemoryDesc.dense(weights.shape, FLOAT32), conv.weights_desc)
    conv.record(stream, {Argument.SRC: x, Argument.WEIGHTS: packed, Argument.DST: y})

oneDNN is opened when first needed: from the path in the environment variable PLUGRT_ONEDNN,
else from the distribution onednn-cpu-gomp, else by the system's loader. `available()` and
`unavailable_reason()` tell without raising. Every function that needs it raises DeviceError
where it is missing.
"""

from .along_axes import reduction, softmax
from .attributes import Attributes, Binary, Eltwise, PostOp, Sum
from .choosing import attempt, implementations
from .constants import (
    Algorithm,
    Argument,
    FpMathMode,
    post_op_operand,
    scales_of,
    source,
    zero_points_of,
)
from .convolution import convolution, deconvolution
from .elementwise import binary, eltwise, weighted_sum
from .library import UnsupportedPrimitiveError, available, library, unavailable_reason
from .memory import MemoryDesc
from .neighbourhoods import lrn, pooling, resampling
from .packing import pack, unpack
from .post_ops import MatchedPostOps, post_ops_for
from .primitive import Binding, Command, Primitive
from .products import inner_product, matmul
from .rearranging import concat, reorder

__all__ = [
    "Algorithm",
    "Argument",
    "Attributes",
    "Binary",
    "Binding",
    "Command",
    "Eltwise",
    "FpMathMode",
    "MatchedPostOps",
    "MemoryDesc",
    "PostOp",
    "Primitive",
    "Sum",
    "UnsupportedPrimitiveError",
    "attempt",
    "available",
    "binary",
    "concat",
    "convolution",
    "deconvolution",
    "eltwise",
    "implementations",
    "inner_product",
    "library",
    "lrn",
    "matmul",
    "pack",
    "pooling",
    "post_op_operand",
    "post_ops_for",
    "reduction",
    "reorder",
    "resampling",
    "scales_of",
    "softmax",
    "source",
    "unavailable_reason",
    "unpack",
    "weighted_sum",
    "zero_points_of",
]
