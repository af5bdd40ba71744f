"""Caffe's protocol-buffer messages: the fields that are written, declared at run time.

Names and numbers are those of caffe.proto (BVLC). `BlobProto.data` is declared as bytes: packed
floats are the same on the wire, and an array's bytes need no conversion number by number.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from functools import cache
from typing import Any, NamedTuple

from plugrt.plugins import PlugrtError

from .layers import CaffeLayer


class MissingLibraryError(PlugrtError):
    """A library that only some commands need is not installed."""


class Field(NamedTuple):
    """A field: `type` is a scalar of protocol buffers, a message below, or the names of an
    enumeration that counts from 0."""

    number: int
    type: str | tuple[str, ...]
    repeated: bool = False


MESSAGES: Mapping[str, Mapping[str, Field]] = {
    "NetParameter": {
        "name": Field(1, "string"),
        "layer": Field(100, "LayerParameter", repeated=True),
    },
    "LayerParameter": {
        "name": Field(1, "string"),
        "type": Field(2, "string"),
        "bottom": Field(3, "string", repeated=True),
        "top": Field(4, "string", repeated=True),
        "blobs": Field(7, "BlobProto", repeated=True),
        "concat_param": Field(104, "ConcatParameter"),
        "convolution_param": Field(106, "ConvolutionParameter"),
        "eltwise_param": Field(110, "EltwiseParameter"),
        "inner_product_param": Field(117, "InnerProductParameter"),
        "pooling_param": Field(121, "PoolingParameter"),
        "power_param": Field(122, "PowerParameter"),
        "relu_param": Field(123, "ReLUParameter"),
        "softmax_param": Field(125, "SoftmaxParameter"),
        "slice_param": Field(126, "SliceParameter"),
        "reshape_param": Field(133, "ReshapeParameter"),
        "batch_norm_param": Field(139, "BatchNormParameter"),
        "elu_param": Field(140, "ELUParameter"),
        "scale_param": Field(142, "ScaleParameter"),
        "input_param": Field(143, "InputParameter"),
    },
    "BlobShape": {"dim": Field(1, "int64", repeated=True)},
    "BlobProto": {"data": Field(5, "bytes"), "shape": Field(7, "BlobShape")},
    "BatchNormParameter": {"use_global_stats": Field(1, "bool"), "eps": Field(3, "float")},
    "ConcatParameter": {"axis": Field(2, "int32")},
    "ConvolutionParameter": {
        "num_output": Field(1, "uint32"),
        "bias_term": Field(2, "bool"),
        "pad": Field(3, "uint32", repeated=True),
        "kernel_size": Field(4, "uint32", repeated=True),
        "group": Field(5, "uint32"),
        "stride": Field(6, "uint32", repeated=True),
        "kernel_h": Field(11, "uint32"),
        "kernel_w": Field(12, "uint32"),
        "stride_h": Field(13, "uint32"),
        "stride_w": Field(14, "uint32"),
        "dilation": Field(18, "uint32", repeated=True),
    },
    "EltwiseParameter": {
        "operation": Field(1, ("PROD", "SUM", "MAX")),
        "coeff": Field(2, "float", repeated=True),
    },
    "ELUParameter": {"alpha": Field(1, "float")},
    "InnerProductParameter": {"num_output": Field(1, "uint32"), "bias_term": Field(2, "bool")},
    "InputParameter": {"shape": Field(1, "BlobShape", repeated=True)},
    "PoolingParameter": {
        "pool": Field(1, ("MAX", "AVE")),
        "kernel_size": Field(2, "uint32"),
        "stride": Field(3, "uint32"),
        "pad": Field(4, "uint32"),
        "kernel_h": Field(5, "uint32"),
        "kernel_w": Field(6, "uint32"),
        "stride_h": Field(7, "uint32"),
        "stride_w": Field(8, "uint32"),
        "pad_h": Field(9, "uint32"),
        "pad_w": Field(10, "uint32"),
        "global_pooling": Field(12, "bool"),
    },
    "PowerParameter": {
        "power": Field(1, "float"),
        "scale": Field(2, "float"),
        "shift": Field(3, "float"),
    },
    "ReLUParameter": {"negative_slope": Field(1, "float")},
    "ReshapeParameter": {"shape": Field(1, "BlobShape")},
    "ScaleParameter": {
        "axis": Field(1, "int32"),
        "bias_term": Field(4, "bool"),
    },
    "SliceParameter": {"slice_point": Field(2, "uint32", repeated=True), "axis": Field(3, "int32")},
    "SoftmaxParameter": {"axis": Field(2, "int32")},
}

PARAMETERS: Mapping[str, str] = {
    "BatchNorm": "batch_norm_param",
    "Concat": "concat_param",
    "Convolution": "convolution_param",
    "Deconvolution": "convolution_param",
    "ELU": "elu_param",
    "Eltwise": "eltwise_param",
    "InnerProduct": "inner_product_param",
    "Input": "input_param",
    "Pooling": "pooling_param",
    "Power": "power_param",
    "ReLU": "relu_param",
    "Reshape": "reshape_param",
    "Scale": "scale_param",
    "Slice": "slice_param",
    "Softmax": "softmax_param",
}
"""Where each type of layer has its parameters; the types not named here have none."""


def net_as_text(name: str) -> str:
    """The beginning of a prototxt file. Raises MissingLibraryError."""
    return _as_text(_net_class()(name=name))


def net_as_bytes(name: str) -> bytes:
    """The beginning of a caffemodel file. Raises MissingLibraryError."""
    return _as_bytes(_net_class()(name=name))


def layer_as_text(layer: CaffeLayer) -> str:
    """What a layer adds to a prototxt file: all but its weights."""
    return _as_text(_net_class()(layer=[_fields(layer)]))


def layer_as_bytes(layer: CaffeLayer) -> bytes:
    """What a layer adds to a caffemodel file: one message after the other is the message with
    all their layers."""
    weights = [
        {"shape": {"dim": array.shape}, "data": array.astype("<f4").tobytes()}
        for array in layer.weights
    ]
    return _as_bytes(_net_class()(layer=[{**_fields(layer), "blobs": weights}]))


def check_library() -> None:
    """Raise MissingLibraryError where protobuf is not installed."""
    _library()


def _fields(layer: CaffeLayer) -> dict[str, Any]:
    fields: dict[str, Any] = {
        "name": layer.name,
        "type": layer.type,
        "bottom": layer.bottoms,
        "top": layer.tops,
    }
    if layer.parameters:
        fields[PARAMETERS[layer.type]] = layer.parameters
    return fields


def _as_text(net: Any) -> str:
    text: str = _library().text_format.MessageToString(net)
    return text


def _as_bytes(net: Any) -> bytes:
    data: bytes = net.SerializeToString()
    return data


class _Library(NamedTuple):
    """The modules of protobuf that are in use."""

    descriptors: Any
    pools: Any
    factory: Any
    text_format: Any


@cache
def _library() -> _Library:
    try:
        from google.protobuf import (  # type: ignore[import-untyped]
            descriptor_pb2,
            descriptor_pool,
            message_factory,
            text_format,
        )
    except ImportError:
        raise MissingLibraryError(
            "Caffe's files are written by the library protobuf, which is not installed; "
            "install it with: pip install 'plugrt-yolo[caffe]'"
        ) from None
    return _Library(descriptor_pb2, descriptor_pool, message_factory, text_format)


@cache
def _net_class() -> Any:
    library = _library()
    file = library.descriptors.FileDescriptorProto(
        name="plugrt_yolo/caffe.proto", package="caffe", syntax="proto2"
    )
    for name, fields in MESSAGES.items():
        _declare(file.message_type.add(name=name), fields)
    # A pool of its own: another library may have declared Caffe's messages in the common one.
    pool = library.pools.DescriptorPool()
    pool.AddSerializedFile(file.SerializeToString())
    return library.factory.GetMessageClass(pool.FindMessageTypeByName("caffe.NetParameter"))


def _declare(message: Any, fields: Mapping[str, Field]) -> None:
    for name, (number, kind, repeated) in fields.items():
        field = message.field.add(name=name, number=number)
        field.label = field.LABEL_REPEATED if repeated else field.LABEL_OPTIONAL
        if isinstance(kind, tuple):
            _declare_enumeration(message, field, kind)
        elif kind in MESSAGES:
            field.type, field.type_name = field.TYPE_MESSAGE, f".caffe.{kind}"
        else:
            field.type = getattr(field, f"TYPE_{kind.upper()}")


def _declare_enumeration(message: Any, field: Any, values: Sequence[str]) -> None:
    enumeration = message.enum_type.add(name=f"{field.name.capitalize()}Kind")
    for number, value in enumerate(values):
        enumeration.value.add(name=value, number=number)
    field.type = field.TYPE_ENUM
    field.type_name = f".caffe.{message.name}.{enumeration.name}"
