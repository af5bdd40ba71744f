"""Weights in a narrower type, made once however many candidates read them."""

from __future__ import annotations

from dataclasses import replace
from weakref import WeakKeyDictionary

from ...plugins import Array, DataType, TensorDesc
from ..graph import Network, Tensor

LEAST_RANK = 2
"""Vectors (biases, scales) stay exact: they are small, and kernels take them so."""


class NarrowConstants:
    """Narrow copies of the float32 constants of a network."""

    def __init__(self) -> None:
        self._arrays: WeakKeyDictionary[Tensor, dict[DataType, Array]] = WeakKeyDictionary()
        self._tensors: WeakKeyDictionary[Tensor, dict[DataType, Tensor]] = WeakKeyDictionary()

    def described(self, tensor: Tensor, desc: TensorDesc, dtype: DataType) -> TensorDesc:
        """`desc` with contents in `dtype`, where it is one of a matrix or more in float32."""
        is_wide = tensor.is_constant and desc.dtype is DataType.FLOAT32 and dtype is not desc.dtype
        if not is_wide or desc.rank < LEAST_RANK or desc.value is None:
            return desc
        made = self._arrays.setdefault(tensor, {})
        if dtype not in made:
            made[dtype] = desc.value.astype(dtype.numpy)
        return replace(desc, dtype=dtype, value=made[dtype])

    def tensor(self, network: Network, wide: Tensor, desc: TensorDesc) -> Tensor:
        """The constant that holds what `desc`, made by `described`, shows."""
        made = self._tensors.setdefault(wide, {})
        if desc.dtype not in made:
            name = network.unique_name(f"{wide.name}.{desc.dtype.value}")
            made[desc.dtype] = network.add_constant(name, desc.value)  # type: ignore[arg-type]
        return made[desc.dtype]
