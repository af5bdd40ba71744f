"""The inputs and outputs of a body (an attribute of type Graph), for the sizes at hand."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from ..plugins import DimLike, Graph, Shape, ShapeError, TensorDesc
from ..plugins.dims import Dim, substitute, symbols


def bind_inputs(
    owner: str, body: Graph, inputs: Sequence[TensorDesc]
) -> Mapping[str, DimLike]:
    """The sizes of the body's symbols when it is given `inputs`.

    Raises ShapeError, naming `owner`, when number, types or shapes do not fit.
    """
    wanted = body.input_descs
    if len(wanted) != len(inputs):
        raise ShapeError(
            f"{owner}: the body takes {len(wanted)} inputs ({', '.join(body.input_names)}) and "
            f"would get {len(inputs)}"
        )
    sizes: dict[str, DimLike] = {}
    for name, inner, outer in zip(body.input_names, wanted, inputs, strict=True):
        same_rank = inner.rank == outer.rank and inner.dtype is outer.dtype
        if not same_rank or not all(
            _bind(mine, given, sizes) for mine, given in zip(inner.shape, outer.shape, strict=True)
        ):
            raise ShapeError(
                f"{owner}: input {name!r} of the body is {inner}, but would get {outer}"
            )
    return sizes


def output_shape(body: Graph, index: int, sizes: Mapping[str, DimLike]) -> Shape:
    """The shape of an output of the body, its symbols replaced."""
    return tuple(substitute(dim, sizes) for dim in body.output_descs[index].shape)


def require_equal(owner: str, what: str, first: TensorDesc, second: TensorDesc) -> None:
    """Raise ShapeError when type or shape of two tensors differ, as far as they are known."""
    if first.dtype is not second.dtype or not _may_be_equal(first.shape, second.shape):
        raise ShapeError(f"{owner}: {what}: {first} and {second} must have one type and shape")


def _may_be_equal(first: Shape, second: Shape) -> bool:
    return len(first) == len(second) and all(
        a == b or isinstance(a, Dim) or isinstance(b, Dim)
        for a, b in zip(first, second, strict=True)
    )


def _bind(inner: DimLike, outer: DimLike, sizes: dict[str, DimLike]) -> bool:
    """Match a size of the body with the one given; a lone symbol takes its value."""
    if not isinstance(inner, Dim):
        return inner == outer or isinstance(outer, Dim)
    found = symbols(inner)
    if len(found) == 1:
        (name, symbol), = found.items()
        if inner == Dim({((symbol, 1),): 1}):
            known = sizes.setdefault(name, outer)
            return known == outer or isinstance(known, Dim) or isinstance(outer, Dim)
    # A composed size is checked where it is computed.
    return True

