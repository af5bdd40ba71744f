"""Numbers of oneDNN's stable binary interface (version 3), by their names there.

Source: the oneDNN 3.2 reference manual, "Types and enumerations".
"""

from __future__ import annotations

from enum import IntEnum

from ...data_types import DataType
from ...errors import DeviceError

FORWARD_INFERENCE = 96
SCRATCHPAD_MODE_USER = 1


class Argument(IntEnum):
    """What a buffer is to a primitive."""

    SRC = 1
    SRC_1 = 2
    DST = 17
    WEIGHTS = 33
    BIAS = 41
    SCRATCHPAD = 80
    MULTIPLE_SRC = 1024
    ATTR_SCALES = 4096
    ATTR_ZERO_POINTS = 8192
    ATTR_MULTIPLE_POST_OP = 32768


def source(index: int) -> int:
    """Source `index` of a primitive that takes many (concat, sum)."""
    return Argument.MULTIPLE_SRC + index


def scales_of(argument: int) -> int:
    """The scales (float32) of an argument."""
    return Argument.ATTR_SCALES | argument


def zero_points_of(argument: int) -> int:
    """The zero points (int32) of an argument."""
    return Argument.ATTR_ZERO_POINTS | argument


def post_op_operand(index: int) -> int:
    """The tensor operand of the post-op at `index`."""
    return Argument.ATTR_MULTIPLE_POST_OP * (index + 1) | Argument.SRC_1


class Algorithm(IntEnum):
    """Algorithms of primitives and post-ops. `alpha` and `beta` are an eltwise's parameters."""

    CONVOLUTION_DIRECT = 1
    CONVOLUTION_AUTO = 3
    DECONVOLUTION_DIRECT = 10
    RELU = 32  # x > 0 ? x : alpha * x
    TANH = 33
    ELU = 34  # x > 0 ? x : alpha * (exp(x) - 1)
    SQUARE = 35
    ABS = 36
    SQRT = 37
    LINEAR = 38  # alpha * x + beta
    SOFT_RELU = 39  # log(1 + exp(alpha * x)) / alpha
    HARDSIGMOID = 40  # clip(alpha * x + beta, 0, 1)
    LOGISTIC = 41
    EXP = 42
    GELU_TANH = 43
    SWISH = 44  # x * logistic(alpha * x)
    LOG = 45
    CLIP = 46
    CLIP_V2 = 47  # clip(x, alpha, beta)
    POW = 48  # alpha * x ** beta
    GELU_ERF = 49
    ROUND = 50  # half to even
    MISH = 51
    HARDSWISH = 52  # x * clip(alpha * x + beta, 0, 1)
    POOLING_MAX = 0x1FF
    POOLING_AVG_INCLUDE_PADDING = 0x2FF
    POOLING_AVG_EXCLUDE_PADDING = 0x3FF
    LRN_ACROSS_CHANNELS = 0xAFF
    LRN_WITHIN_CHANNEL = 0xBFF
    BINARY_ADD = 0x1FFF0
    BINARY_MUL = 0x1FFF1
    BINARY_MAX = 0x1FFF2
    BINARY_MIN = 0x1FFF3
    BINARY_DIV = 0x1FFF4
    BINARY_SUB = 0x1FFF5
    BINARY_GE = 0x1FFF6
    BINARY_GT = 0x1FFF7
    BINARY_LE = 0x1FFF8
    BINARY_LT = 0x1FFF9
    BINARY_EQ = 0x1FFFA
    BINARY_NE = 0x1FFFB
    RESAMPLING_NEAREST = 0x2FFF0
    RESAMPLING_LINEAR = 0x2FFF1
    REDUCTION_MAX = 0x2FFF2
    REDUCTION_MIN = 0x2FFF3
    REDUCTION_SUM = 0x2FFF4
    REDUCTION_MUL = 0x2FFF5
    REDUCTION_MEAN = 0x2FFF6
    REDUCTION_NORM_LP_MAX = 0x2FFF7
    REDUCTION_NORM_LP_SUM = 0x2FFF8
    REDUCTION_NORM_LP_POWER_P_MAX = 0x2FFF9
    REDUCTION_NORM_LP_POWER_P_SUM = 0x2FFFA
    SOFTMAX_ACCURATE = 0x30000
    SOFTMAX_LOG = 0x30001


class FpMathMode(IntEnum):
    """Types that float32 arithmetic may be carried out in."""

    STRICT = 0
    BF16 = 1
    F16 = 2
    ANY = 3
    TF32 = 4


class Query(IntEnum):
    """What can be asked of descriptors."""

    IMPLEMENTATION_NAME = 8
    SCRATCHPAD_DESC = 136
    ARGUMENT_DESC = 255
    RANK = 256
    DIMS = 257
    DATA_TYPE = 258


DATA_TYPES = {
    DataType.FLOAT16: 1,
    DataType.BFLOAT16: 2,
    DataType.FLOAT32: 3,
    DataType.INT32: 4,
    DataType.INT8: 5,
    DataType.UINT8: 6,
}


def data_type_number(dtype: DataType) -> int:
    """oneDNN's number of an element type. Raises DeviceError for one it does not have."""
    try:
        return DATA_TYPES[dtype]
    except KeyError:
        names = ", ".join(known.value for known in DATA_TYPES)
        raise DeviceError(f"oneDNN has no element type {dtype.value}; it has: {names}") from None
