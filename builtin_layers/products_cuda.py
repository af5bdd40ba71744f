"""The ways to compute MatMul and FullyConnected on a GPU: cuBLASLt and our own CUDA kernel."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Iterator, Sequence
from math import prod

from ..plugins import (
    DataType,
    DeviceError,
    Epilogue,
    Format,
    Stream,
    Tactic,
    TensorDesc,
    TensorView,
)
from ..plugins.native.cuda.cublaslt import MatrixProduct
from . import matmul_cuda
from .convolution import tiles_cuda
from .convolution.problem import ConvolutionProblem
from .convolution.tiles_cuda import TileConvolution
from .cublaslt_product import PREFIX, TYPES, FusedSum, LibraryProduct, fused_sum, products
from .sliding_window import POINT

FEW_ROWS = 32
"""So many rows our tiles for convolutions multiply faster than cuBLASLt."""

TILES = Tactic(matmul_cuda.TACTIC_NAME, priority=-1)


class ProductWays(ABC):
    """Base: one product with everything concrete. `inputs` are all of the layer's, the
    epilogue's operands last."""

    def __init__(
        self, inputs: Sequence[TensorDesc | None], output: TensorDesc, epilogue: Epilogue,
        tf32: bool = False,
    ) -> None:  # fmt: skip
        self.inputs = inputs
        self.output = output
        self.epilogue = epilogue
        self.rounds = tf32 and output.dtype is DataType.FLOAT32

    @abstractmethod
    def described(self) -> tuple[MatrixProduct, FusedSum] | None:
        """The product as cuBLASLt takes it; None where it does not."""

    @property
    @abstractmethod
    def fits_tiles(self) -> bool:
        """Whether our own kernel computes it."""

    @abstractmethod
    def record_tiles(
        self, inputs: Sequence[TensorView], output: TensorView, stream: Stream
    ) -> None:
        """Put our own kernel on the stream."""

    def right(self, inputs: Sequence[TensorView], stream: Stream) -> TensorView:
        """The right factor in the order that `described` tells of."""
        return inputs[1]

    def as_points(self) -> ConvolutionProblem | None:
        """The product as a convolution of images of one point; None where it is none."""
        return None

    def tactics(self, name: str | None) -> list[Tactic]:
        """All ways, or only the one of this name; a good guess first."""
        own = [TILES] if self.fits_tiles and name in (None, TILES.name) else []
        library = [product.tactic for product in self._from_library(name)]
        points = [Tactic(found.tactic.name) for found in self._on_tensor_cores(name)]
        if points and self.output.sizes[0] <= FEW_ROWS:
            return [*points, *library, *own]
        return [*library, *points, *own]

    def compilations(self, tactics: Sequence[Tactic]) -> list[object]:
        """The kernels of ours on tensor cores among these tactics."""
        problem = self.as_points()
        names = [tactic.name for tactic in tactics]
        return [] if problem is None else tiles_cuda.compilations(problem, names)

    def workspace_size(self, tactic: Tactic) -> int:
        """Scratch bytes of the way that `record` will take."""
        chosen = self._chosen(tactic)
        return 0 if chosen is None else chosen.workspace_bytes

    def record(
        self, tactic: Tactic, inputs: Sequence[TensorView], output: TensorView,
        workspace: TensorView | None, stream: Stream,
    ) -> None:  # fmt: skip
        """Put the product on the stream. Raises DeviceError for what `tactics` would have
        refused."""
        if tactic.name.startswith(tiles_cuda.PREFIX):
            for found in self._on_tensor_cores(tactic.name):
                views = [view and as_point(view) for view in inputs]  # a bias may be absent
                found.record(stream, views, as_point(output), None)
                return
        chosen = self._chosen(tactic)
        if chosen is not None and chosen.accepts(inputs, output, workspace):
            right = self.right(inputs, stream)
            chosen.record(stream, inputs[0], right, inputs, output, workspace)
        elif self.fits_tiles:
            self.record_tiles(inputs, output, stream)
        else:
            raise DeviceError(f"no kernel computes {self.output} here; build the plan again")

    def _on_tensor_cores(self, name: str | None) -> Iterator[TileConvolution]:
        problem = self.as_points()
        if problem is not None:
            yield from tiles_cuda.candidates(problem, name)

    def _from_library(self, name: str | None) -> Iterator[LibraryProduct]:
        found = None if name == TILES.name else self.described()
        if found is not None:
            yield from products(*found, name)

    def _chosen(self, tactic: Tactic) -> LibraryProduct | None:
        """The library's algorithm that was tuned for; where it does not exist at these shapes
        another one; None for our own kernel."""
        if not tactic.name.startswith(PREFIX):
            return None
        for name in (tactic.name, None):
            for product in self._from_library(name):
                if product.prepare():
                    return product
        return None


class MatMulWays(ProductWays):
    """numpy.matmul of inputs 0 and 1."""

    def described(self) -> tuple[MatrixProduct, FusedSum] | None:
        from .matmul import as_matrices

        left, right, output = self.inputs[0], self.inputs[1], self.output
        if left is None or right is None or not _is_product(left, right, output):
            return None
        if right.rank > 1:
            fused = fused_sum(self.epilogue, self.inputs, output, columns_axis=-1)
        else:  # a column, which the output lacks
            fused = None if self.epilogue else FusedSum()
        a, b, c = as_matrices(left.sizes, right.sizes)
        count = prod(c[:-2])
        steps = [_batch_step(factor, count) for factor in (a, b)]
        if fused is None or steps[0] is None or steps[1] is None:
            return None
        rows, columns = c[-2:]
        product = MatrixProduct(
            rows, columns, a[-1], output.dtype, bias=fused.bias is not None,
            activation=fused.activation, residual=fused.residual is not None, b_is_plain=True,
            batch=count, a_batch_stride=steps[0], b_batch_stride=steps[1],
            d_batch_stride=rows * columns if count > 1 else 0, tf32=self.rounds,
        )  # fmt: skip
        return product, fused

    @property
    def fits_tiles(self) -> bool:
        return matmul_cuda.supports(self.inputs, self.output, self.epilogue)

    def record_tiles(
        self, inputs: Sequence[TensorView], output: TensorView, stream: Stream
    ) -> None:
        matmul_cuda.record_product(inputs, output, self.epilogue, stream)


class FullyConnectedWays(ProductWays):
    """Images [N, K] times weights [M, K] transposed, plus a bias [M] or None."""

    def described(self) -> tuple[MatrixProduct, FusedSum] | None:
        source, weights, output = self.inputs[0], self.inputs[1], self.output
        if source is None or weights is None or not _is_product(source, weights, output):
            return None
        bias = None if self._bias is None else self.inputs[self._bias]
        if bias is not None and not bias.is_constant and bias.dtype is not output.dtype:
            return None
        fused = fused_sum(self.epilogue, self.inputs, output, columns_axis=1, bias=self._bias)
        if fused is None or (self._is_reordered and not weights.is_constant):
            return None
        columns, depth = weights.sizes
        product = MatrixProduct(
            source.sizes[0], columns, depth, output.dtype, bias=fused.bias is not None,
            activation=fused.activation, residual=fused.residual is not None, tf32=self.rounds,
        )  # fmt: skip
        return product, fused

    @property
    def fits_tiles(self) -> bool:
        source, weights = self.inputs[0], self.inputs[1]
        if source is None or weights is None or not source.is_dense:
            return False
        if self._is_reordered and not weights.is_constant:
            return False
        plain = source.format in (Format.LINEAR, Format.CHANNELS_LAST)
        return plain and matmul_cuda.supports(
            self.inputs, self.output, self.epilogue, bias=self._bias
        )

    def record_tiles(
        self, inputs: Sequence[TensorView], output: TensorView, stream: Stream
    ) -> None:
        matmul_cuda.record_fully_connected(inputs, output, self.epilogue, stream)

    def right(self, inputs: Sequence[TensorView], stream: Stream) -> TensorView:
        weights, sizes = inputs[1], inputs[0].shape[1:]
        value = weights.desc.value
        if not self._is_reordered or value is None:
            return weights
        return stream.store.pack(
            ("cuda fully connected", weights.digest, sizes),
            lambda: matmul_cuda.channels_last(value, sizes),
        )

    def as_points(self) -> ConvolutionProblem | None:
        source, weights = self.inputs[0], self.inputs[1]
        if source is None or weights is None or self.epilogue.operands or self._is_reordered:
            return None
        plain = source.format in (Format.LINEAR, Format.CHANNELS_LAST)
        if not plain or not all(d.is_dense for d in (source, weights, self.output)):
            return None
        inputs = tuple(None if desc is None else point_desc(desc) for desc in self.inputs)
        return ConvolutionProblem(
            inputs, point_desc(source), point_desc(weights),
            None if self._bias is None else inputs[self._bias], point_desc(self.output), POINT, 1,
            self.epilogue, 1, "cuda",
        )  # fmt: skip

    @property
    def _bias(self) -> int | None:
        has_bias = len(self.inputs) - self.epilogue.operands > 2 and self.inputs[2] is not None
        return 2 if has_bias else None

    @property
    def _is_reordered(self) -> bool:
        """Whether the points of an image lie in another order than the weights'."""
        source = self.inputs[0]
        return (
            source is not None
            and source.format is Format.CHANNELS_LAST
            and prod(source.sizes[2:]) > 1
        )


def point_desc(desc: TensorDesc) -> TensorDesc:
    """Dense images, or rows of a matrix, as channels-last images of one point; weights as those of
    a window of one, a vector as it is."""
    if desc.rank < 2:
        return desc
    shape = (desc.sizes[0], prod(desc.sizes[1:]), 1, 1)
    if desc.value is not None:
        return TensorDesc(desc.dtype, shape, value=desc.value.reshape(shape))
    return TensorDesc(desc.dtype, shape, Format.CHANNELS_LAST, quantization=desc.quantization)


def as_point(view: TensorView) -> TensorView:
    """The same memory, described by `point_desc`."""
    return TensorView(point_desc(view.desc), view.slot, view.offset, view.digest)


def _is_product(left: TensorDesc, right: TensorDesc, output: TensorDesc) -> bool:
    """Whether cuBLASLt takes these types, and the tensors have neither gaps nor no elements."""
    own = (left, right, output)
    return (
        output.dtype in TYPES
        and all(desc.dtype is output.dtype and desc.is_dense for desc in own)
        and not any(desc.quantization is not None or 0 in desc.sizes for desc in own)
        and left.format in (Format.LINEAR, Format.CHANNELS_LAST)
        and right.format is Format.LINEAR
    )


def _batch_step(sizes: Sequence[int], count: int) -> int | None:
    """Elements from one matrix to the next, 0 where all products share one; None where they do
    not lie evenly spaced."""
    own = prod(sizes[:-2])
    if own == count:
        return sizes[-2] * sizes[-1] if count > 1 else 0
    return 0 if own == 1 else None
