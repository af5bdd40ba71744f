"""The contract of a layer plug-in.

The mandatory core keeps the names of TensorRT's IPlugin. Differences: shapes include the
batch, so there is no batch argument; deserialisation is a class method.
"""

from __future__ import annotations

import builtins
import inspect
from collections.abc import Mapping, Sequence
from typing import Any, ClassVar, TypeVar

from .attributes import Schema, decode_attributes, encode_attributes
from .data_types import DataType
from .dims import Shape
from .epilogue import Epilogue
from .errors import LayerAttributeError, PlanError, PluginError
from .expression import Expression
from .rewriting import LayerNode, Patch
from .stream import Stream
from .tactics import Alias, CalibratedRange, Combination, RangeRule, Tactic, TacticRequest
from .tensor import Format, TensorDesc

Layer = TypeVar("Layer", bound="LayerPlugin")

DEFAULT_TACTIC = Tactic("default")


class LayerPlugin:
    """Base class of every layer, built-in or not.

    A minimal plug-in sets `type`, declares attributes, and defines `getOutputDimensions`
    and `enqueue`. Everything else has a default that is correct, if not the fastest.

    Life: created at definition; `configure` at build; `initialize` once per engine load;
    `enqueue`; `terminate` at release. From `initialize` on the instance is immutable and
    shared by contexts: state of one context belongs to its recording (`stream.keep`).
    """

    type: ClassVar[str]
    """Unique name, the same as the entry point's. Third parties: `Vendor.Name`."""

    version: ClassVar[str] = "1"
    """Version of the layer's meaning; part of timing-cache keys and plans."""

    state_version: ClassVar[int] = 1
    """Version of what `serialize` writes."""

    input_names: ClassVar[tuple[str, ...]] = ("input",)
    """One name per input; `name?` is optional, a last `name*` takes any number."""

    recordable: ClassVar[bool] = False
    """True when `enqueue` only puts kernels on the stream, so that it can be replayed."""

    role: ClassVar[str | None] = None
    """`cast` (changes type or scale), `reformat` (changes format), `copy`, or None. The core
    finds such layers by role and never by name."""

    acceptsPadded: ClassVar[bool] = False
    """True when inputs with data-dependent sizes may arrive at their upper bound, the real
    size in `TensorView.sizes`; else the core waits for the size before this layer."""

    streamed_outputs: ClassVar[frozenset[int]] = frozenset()
    """Outputs that kernels on a GPU write once, neighbours together, and never read. Where one is
    small and wanted on the host, they write it into the host's memory, without a copy."""

    typical_floats: ClassVar[tuple[float, float]] = (0.0, 1.0)
    """Mean and standard deviation of the random floats that a build times the layer with. Say
    others where the time depends on values, as on how many of them exceed a threshold."""

    devices: ClassVar[tuple[str, ...]] = ("cpu",)
    """Devices on which `enqueue` is recordable; elsewhere it runs on the host."""

    schema: ClassVar[Schema] = Schema({})
    """The attribute declarations, collected from the class."""

    def __init_subclass__(cls, **kwargs: Any) -> None:
        super().__init_subclass__(**kwargs)
        cls.schema = Schema.of(cls)

    def __init__(self, **attributes: Any) -> None:
        self.__dict__.update(self.schema.check(self.type, attributes))
        self.tactic: Tactic = DEFAULT_TACTIC
        self.epilogue: Epilogue = Epilogue()

    # ---- mandatory core -------------------------------------------------------------------

    def getNbOutputs(self) -> int:
        """Number of outputs; may depend on attributes."""
        return 1

    def getOutputDimensions(self, index: int, inputs: Sequence[TensorDesc]) -> Shape:
        """Shape of output `index`, in plain arithmetic over possibly symbolic dims.

        Called at definition and again for each new input shape. `inputs[i].value` holds
        constant or symbolic contents. A data-dependent extent is
        `data_dependent(bound, output)`. Raise ShapeError when the inputs do not fit.
        """
        raise PluginError(f"{self.type} does not define getOutputDimensions()")

    def configure(self, inputs: Sequence[TensorDesc], outputs: Sequence[TensorDesc]) -> None:
        """Last step of the build: types, formats, scales and min/opt/max shapes are fixed.

        `self.tactic` and `self.epilogue` are set; epilogue operands follow the layer's own
        inputs. Decisions kept in attributes are serialised.
        """

    def initialize(self) -> None:
        """Acquire resources, once per engine load. Must leave nothing behind when it fails."""

    def terminate(self) -> None:
        """Release everything; called also after a failed `initialize`."""

    def enqueue(
        self, inputs: Sequence[Any], outputs: Sequence[Any], workspace: Any, stream: Stream
    ) -> None:
        """Run, or record.

        Default (`recordable = False`): called at every inference with NumPy arrays; fill
        `outputs` in place. Recordable: called once per context and shape with TensorViews;
        only launch kernels on `stream`. `workspace` is a byte array or TensorView of
        `getWorkspaceSize()` bytes, or None.
        """
        raise PluginError(f"{self.type} does not define enqueue()")

    def getSerializationSize(self) -> int:
        """Bytes that `serialize` returns."""
        return len(self.serialize())

    def serialize(self) -> bytes:
        """The instance's state; by default all attributes, encoded from the schema."""
        return encode_attributes(self.attribute_values)

    @classmethod
    def deserialize(cls: builtins.type[Layer], state: bytes, version: int) -> Layer:
        """A new instance from `serialize`'s bytes, written under state version `version`.

        Raises PlanError when the bytes are damaged or from a newer version.
        """
        if version > cls.state_version:
            raise PlanError(
                f"{cls.type} has state version {version}, newer than the installed "
                f"{cls.state_version}; install a newer version of its package"
            )
        values = decode_attributes(state)
        if version < cls.state_version:
            values = cls.migrate(values, version)
        layer = cls.__new__(cls)
        graphs = {n: a for n, a in cls.schema.items() if a.kind_name == "Graph"}
        try:
            plain = {n: v for n, v in values.items() if n not in graphs}
            rest = Schema({n: a for n, a in cls.schema.items() if n not in graphs})
            layer.__dict__.update(rest.check(cls.type, plain))
        except LayerAttributeError as error:
            raise PlanError(f"{error}; rebuild the plan") from None
        layer.tactic = DEFAULT_TACTIC
        layer.epilogue = Epilogue()
        return layer

    @classmethod
    def migrate(cls, values: dict[str, Any], version: int) -> dict[str, Any]:
        """Attribute values of an older state version in today's terms."""
        raise PlanError(
            f"{cls.type} cannot read state version {version} (it writes {cls.state_version}); "
            "rebuild the plan"
        )

    # ---- optional capabilities ------------------------------------------------------------

    def reference(self, inputs: Sequence[Any]) -> list[Any]:
        """Outputs by NumPy: the ground truth of the conformance kit, and constant folding."""
        raise PluginError(f"{self.type} has no reference()")

    def getOutputDataType(self, index: int, inputTypes: Sequence[DataType]) -> DataType:
        """Element type of output `index`; by default that of input 0."""
        return inputTypes[0]

    def getOutputValue(self, index: int, inputs: Sequence[TensorDesc]) -> Any | None:
        """Contents of an output known at definition: an array, an object array of dims, or None.

        This is how shapes flow through shape arithmetic.
        """
        return None

    def supportsFormat(self, combination: Combination) -> bool:
        """Whether this assignment of types and formats can run. Default: formats linear, and the
        types of the definition: 16-bit floats in the place of float32 are only offered to
        layers that define this method, so look at the types when you do."""
        tensors = (*combination.inputs, *combination.outputs)
        return all(
            t is None or (t.format is Format.LINEAR and t.quantization is None) for t in tensors
        )

    def getTactics(self, request: TacticRequest) -> Sequence[Tactic]:
        """Ways to run this configuration. Default: one, without epilogue."""
        return () if request.epilogue else (DEFAULT_TACTIC,)

    def getCompilations(
        self, request: TacticRequest, tactics: Sequence[Tactic]
    ) -> Sequence[object]:
        """What the device has to compile before these tactics can run, so that much of it can be
        done at once before they are timed. On "cuda": a CudaKernel, or (ConvolutionGraph, name of
        the plan)."""
        return ()

    def setTactic(self, tactic: Tactic) -> None:
        """Take the tuner's choice."""
        self.tactic = tactic

    def setEpilogue(self, epilogue: Epilogue) -> None:
        """Take over fused pointwise layers; only such as `getTactics` was asked about."""
        self.epilogue = epilogue

    def getWorkspaceSize(
        self, inputs: Sequence[TensorDesc], outputs: Sequence[TensorDesc]
    ) -> int:
        """Scratch bytes that `enqueue` needs at these shapes, on teams of the size that the
        calling thread has set (`native.cpu.get_num_threads`)."""
        return 0

    def aliases(
        self, inputs: Sequence[TensorDesc], outputs: Sequence[TensorDesc]
    ) -> Sequence[Alias]:
        """Offers to share memory between inputs and outputs, at these shapes and formats."""
        return ()

    def rewrite(self, view: LayerNode) -> Patch | None:
        """A better form of the graph around this layer, or None."""
        return None

    def alternatives(self, view: LayerNode) -> Sequence[Patch]:
        """Other forms of the graph around this layer that may be faster or slower.

        A tuned build runs each beside what it would replace, the layers that read the results
        included, and applies the fastest; one that is not tuned leaves the graph as it is.
        """
        return ()

    def pointwise(self) -> Expression | None:
        """What the layer computes, element by element, when that is all it does.

        Input(k) is the layer's input k. Others may then fuse it as an epilogue.
        """
        return None

    def permuted(self, order: Sequence[int]) -> LayerPlugin | None:
        """The layer that does the same where axes stand in another order, or None.

        Axis k of its inputs and outputs is axis `order[k]` of mine; vectors along one axis, as
        `Input(k, axis=...)`, stay as they are. Transposes then move past the layer, to where they
        meet their inverse.
        """
        return None

    def outputRange(self, index: int) -> RangeRule:
        """How the value range of output `index` follows from the inputs."""
        return CalibratedRange()

    def inputQuantization(
        self, index: int, inputs: Sequence[TensorDesc]
    ) -> Any | None:
        """Quantization to use for constant input `index` when the activations are int8.

        `inputs` are the float descriptions, constants with values. None keeps it as it is.
        """
        return None

    # ---- conveniences ---------------------------------------------------------------------

    @property
    def attribute_values(self) -> Mapping[str, Any]:
        """All attributes by name."""
        return {name: self.__dict__[name] for name in self.schema}

    def clone(self: Layer, **changes: Any) -> Layer:
        """A fresh instance with the same attributes but for `changes`."""
        return self.__class__(**{**self.attribute_values, **changes})

    def __repr__(self) -> str:
        values = ", ".join(f"{n}={v!r}" for n, v in self.attribute_values.items())
        return f"{self.type}({values})"


def check_layer_class(candidate: object) -> type[LayerPlugin]:
    """`candidate` as a layer class. Raises PluginError naming what breaks the contract."""
    if not (isinstance(candidate, type) and issubclass(candidate, LayerPlugin)):
        raise PluginError(f"{candidate!r} is not a subclass of plugrt.plugins.LayerPlugin")
    if not isinstance(candidate.__dict__.get("type", getattr(candidate, "type", None)), str):
        raise PluginError(f"{candidate.__name__} has no class attribute `type` (a string)")
    for name in _CONTRACT:
        if getattr(candidate, name) is getattr(LayerPlugin, name):
            continue  # inherited; looking at signatures is slow
        mine = inspect.signature(getattr(candidate, name)).parameters
        base = inspect.signature(getattr(LayerPlugin, name)).parameters
        required = [
            p for p in mine.values()
            if p.default is p.empty and p.kind in (p.POSITIONAL_ONLY, p.POSITIONAL_OR_KEYWORD)
        ]
        variadic = any(p.kind is p.VAR_POSITIONAL for p in mine.values())
        if len(required) > len(base) or (len(mine) < len(base) and not variadic):
            wanted = ", ".join(base)
            raise PluginError(
                f"{candidate.__name__}.{name}({', '.join(mine)}) has the wrong signature; "
                f"the contract is {name}({wanted})"
            )
    return candidate


_CONTRACT = (
    "getNbOutputs", "getOutputDimensions", "configure", "initialize", "terminate", "enqueue",
    "getSerializationSize", "serialize", "deserialize", "reference", "getOutputDataType",
    "supportsFormat", "getTactics", "setTactic", "getWorkspaceSize", "aliases", "rewrite",
    "alternatives", "pointwise", "permuted", "outputRange",
)  # fmt: skip
