"""Epilogues as a header that kernels include, so that anything pointwise fuses into them.

A kernel that takes an epilogue includes "epilogue.cuh", ends its parameters with
EPILOGUE_PARAMETERS (it brings its own comma), and before storing calls

    const plugrt::Epilogue epilogue = EPILOGUE_VALUES;
    epilogue.apply(values, count, n, c, z, y, x);

for `values`, floats of the elements at (n, c, z, y, x) and behind it along the channels or
along x, as the header was made for; the first `count` of them exist. Axes that the output
lacks are 0. What is left in `values` is to be narrowed to the output's type and stored.

A kernel that has other things to wait for asks for the operands early: `apply` is

    plugrt::Epilogue::Operands operands;
    epilogue.fetch(operands, count, n, c, z, y, x);
    epilogue.finish(values, operands);
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from math import prod
from typing import Any

from ...data_types import DataType
from ...epilogue import Epilogue
from ...expression import Expression, Input, inputs_of, rename
from ...pointwise_layer import as_stored
from ...tensor import Format, TensorDesc, TensorView
from .expression_source import NARROW, STORED_TYPES, lower
from .pointwise import ACCESS_BYTES

AXES = 5
"""N, C and three spatial axes, missing ones before the others."""


@dataclass(frozen=True)
class EpilogueOperand:
    """One tensor that the expression reads: the layer's input `position`."""

    leaf: Input
    position: int
    dtype: DataType
    strides: tuple[int, ...]
    packed: bool

    @property
    def ctype(self) -> str:
        """The type of its elements in storage.cuh."""
        return STORED_TYPES[self.dtype]


@dataclass(frozen=True)
class EpilogueSource:
    """An epilogue in CUDA C++: the header, and what its parameters are."""

    header: str
    operands: tuple[EpilogueOperand, ...] = ()

    @property
    def layout(self) -> str:
        """What EPILOGUE_PARAMETERS add to the kernel's layout."""
        return f"T{AXES}q" * len(self.operands)

    def arguments(self, inputs: Sequence[TensorView | None]) -> list[Any]:
        """Their values; `inputs` are all of the layer's."""
        return [
            value
            for operand in self.operands
            for value in (inputs[operand.position], operand.strides)
        ]


def epilogue_source(
    epilogue: Epilogue,
    inputs: Sequence[TensorDesc | None],
    output: TensorDesc,
    width: int,
    *,
    along_channels: bool,
    bias: int | None = None,
    offsets: Sequence[int] | None = None,
) -> EpilogueSource | None:
    """The header for a kernel that stores `width` elements at a time; None where there is none.

    `inputs` are all inputs of the layer, the epilogue's operands last; `bias` is the position of
    a vector along the channels that is added first. `offsets` are the bytes by which inputs lie
    off a multiple of 16, by default none. Outputs of rank 1 to 5.
    """
    first = len(inputs) - epilogue.operands
    shift: dict[Input, Expression] = {}
    whole = epilogue.composed()
    for leaf in inputs_of(whole):
        shift[leaf] = RESULT if leaf.index == 0 else Input(first + leaf.index, leaf.axis)
    if bias is not None:
        shift[RESULT] = RESULT + Input(bias + 1, 1)
    expression = _through_storage(rename(whole, shift), inputs, output)
    operands = []
    for leaf in inputs_of(expression):
        if leaf.index == 0:
            continue
        desc = inputs[leaf.index - 1]
        if desc is None or desc.dtype not in STORED_TYPES:
            return None
        strides = _strides(desc, leaf.axis, output)
        if strides is None:
            return None
        offset = 0 if offsets is None else offsets[leaf.index - 1] % ACCESS_BYTES
        packed = _is_packed(desc, strides, width, offset, along_channels)
        operands.append(EpilogueOperand(leaf, leaf.index - 1, desc.dtype, strides, packed))
    header = _header(expression, operands, width, along_channels, output.dtype in NARROW)
    return EpilogueSource(header, tuple(operands))


RESULT = Input(0)
"""What the kernel computed; Input(k) is the layer's input k - 1."""


def _through_storage(
    expression: Expression, inputs: Sequence[TensorDesc | None], output: TensorDesc
) -> Expression:
    """The expression with what is quantised as the real values it stands for, the result as it
    is to be stored."""
    real: dict[Input, Expression] = {}
    for leaf in inputs_of(expression):
        desc = inputs[leaf.index - 1] if leaf.index else None
        if desc is not None and desc.quantization is not None:
            scale, zero = desc.quantization.scale[0], desc.quantization.zero_point[0]
            real[leaf] = (leaf - zero) * scale
    return as_stored(rename(expression, real) if real else expression, output)


def _strides(desc: TensorDesc, axis: int | None, output: TensorDesc) -> tuple[int, ...] | None:
    """Strides in elements along AXES, 0 where the operand is broadcast; None where it is not
    broadcast to the output as NumPy does."""
    rank = output.rank
    if rank > AXES or Format.CHANNELS_BLOCKED_16 in (desc.format, output.format):
        return None
    steps = [0] * rank
    if axis is None:
        sizes, own = desc.sizes, desc.element_strides
        if len(sizes) > rank:
            return None
        places = range(rank - len(sizes), rank)
    else:
        sizes, own = (prod(desc.sizes),), (max(desc.element_strides, default=0),)
        long = [k for k, size in enumerate(desc.sizes) if size != 1]
        own = (desc.element_strides[long[0]],) if long else (0,)
        places = range(axis % rank, axis % rank + 1)
    for place, size, step in zip(places, sizes, own, strict=True):
        if size not in (1, output.sizes[place]):
            return None
        steps[place] = step if size != 1 else 0
    return in_five_axes(steps, 0)


def in_five_axes(values: Sequence[int], filler: int) -> tuple[int, ...]:
    """Values along N, C and spatial axes along AXES, `filler` along those that are missing."""
    front = [*values[:2], *[filler] * (2 - len(values[:2]))]
    spatial = list(values[2:])
    return (*front, *[filler] * (AXES - 2 - len(spatial)), *spatial)


def _is_packed(
    desc: TensorDesc, strides: tuple[int, ...], width: int, offset: int, along_channels: bool
) -> bool:
    along = 1 if along_channels else AXES - 1
    reach = min(width * desc.dtype.itemsize, ACCESS_BYTES)
    rest = [step for axis, step in enumerate(strides) if axis != along]
    return (
        strides[along] == 1
        and offset % reach == 0
        and all(step * desc.dtype.itemsize % reach == 0 for step in rest)
    )


def _header(
    expression: Expression, operands: Sequence[EpilogueOperand], width: int,
    along_channels: bool, quick: bool,
) -> str:
    names = {operand.leaf: f"operands.v{k}[k]" for k, operand in enumerate(operands)}
    lowered = lower(expression, {**names, RESULT: "values[k]"}, quick=quick)
    along = 1 if along_channels else AXES - 1
    members = "".join(
        f"    const {operand.ctype} *p{k};\n    EpilogueStrides s{k};\n"
        for k, operand in enumerate(operands)
    )
    parameters = "".join(
        f", const {operand.ctype} *epilogue_p{k}, plugrt::EpilogueStrides epilogue_s{k}"
        for k, operand in enumerate(operands)
    )
    given = ", ".join(f"epilogue_p{k}, epilogue_s{k}" for k in range(len(operands)))
    loads = "\n".join(_load(operand, k, along, width) for k, operand in enumerate(operands))
    fields = "".join(f" float v{k}[{width}];" for k in range(len(operands)))
    return f"""#pragma once
#include "storage.cuh"
#include "expression.cuh"
namespace plugrt {{
struct EpilogueStrides {{
    long long of[{AXES}];
}};
struct Epilogue {{
{members}    struct Operands {{{fields} }};
    __device__ __forceinline__ void fetch(
        Operands &operands, int count, int n, int c, int z, int y, int x) const
    {{
{loads}
    }}
    __device__ __forceinline__ void finish(
        float (&values)[{width}], const Operands &operands) const
    {{
#pragma unroll
        for (int k = 0; k < {width}; k++) {{
{lowered.indented(12)}
            values[k] = {lowered.result};
        }}
    }}
    __device__ __forceinline__ void apply(
        float (&values)[{width}], int count, int n, int c, int z, int y, int x) const
    {{
        Operands operands;
        fetch(operands, count, n, c, z, y, x);
        finish(values, operands);
    }}
}};
}}
#define EPILOGUE_PARAMETERS {parameters}
#define EPILOGUE_VALUES {{{given}}}
"""


def _load(operand: EpilogueOperand, k: int, along: int, width: int) -> str:
    head = f"        const {operand.ctype} *a{k} = p{k}{_offset(operand, k)};\n"
    if operand.strides[along] == 0:
        return f"{head}        load_some<float>(a{k}, 0, {width}, operands.v{k});"
    single = f"load_some<float>(a{k}, s{k}.of[{along}], count, operands.v{k});"
    if not operand.packed:
        return f"{head}        {single}"
    packed = f"load<float, {operand.ctype}, {width}>(a{k}, operands.v{k});"
    return f"{head}        if (count == {width}) {packed}\n        else {single}"


def _offset(operand: EpilogueOperand, k: int) -> str:
    """Where the first element lies, without the axes along which the operand is broadcast."""
    places = zip("nczyx", operand.strides, strict=True)
    return "".join(
        f" + {place} * s{k}.of[{axis}]" for axis, (place, step) in enumerate(places) if step
    )
