"""DLPack's table of C functions, with PyTorch's tensors on the CPU and with tables of our own."""

from __future__ import annotations

import ctypes
from types import SimpleNamespace
from typing import Any

import pytest

from plugrt.core.devices.cuda import dlpack
from plugrt.core.devices.cuda.dlpack_exchange import Exchange, exchange_of
from plugrt.core.devices.cuda.interchange import ForeignArray
from plugrt.plugins import DataType, ShapeError

NAME = ctypes.create_string_buffer(b"dlpack_exchange_api")
SOMEWHERE = 4096


@pytest.fixture
def torch() -> Any:
    found: Any = pytest.importorskip("torch")
    if not hasattr(found.Tensor, "__dlpack_c_exchange_api__"):
        pytest.skip("this torch has no such table")
    return found


@pytest.fixture
def exchange(torch: Any) -> Exchange:
    found = exchange_of(torch.Tensor)
    assert found is not None
    return found


@pytest.mark.parametrize("name", ["float32", "float16", "bfloat16", "uint8", "int64", "bool"])
def test_what_it_says_of_a_tensor(torch: Any, exchange: Exchange, name: str) -> None:
    tensor = torch.zeros((2, 3, 4), dtype=getattr(torch, name))[1:].transpose(1, 2)
    found = exchange.tensor_of(tensor)
    assert found.device.kind == dlpack.CPU
    assert dlpack.read(found) == (tensor.data_ptr(), (1, 4, 3), (12, 1, 4), DataType(name))


def test_unknown_types_are_refused(torch: Any, exchange: Exchange) -> None:
    with pytest.raises(ShapeError, match="type code 5 of 64 bits"):
        dlpack.read(exchange.tensor_of(torch.zeros(3, dtype=torch.complex64)))
    with pytest.raises(RuntimeError):
        exchange.tensor_of(torch.zeros(3).to_sparse())


def test_tensors_on_the_cpu_are_no_foreign_arrays(torch: Any) -> None:
    stream: Any = SimpleNamespace(ordinal=0)
    assert ForeignArray.of(torch.zeros(3), stream) is None
    assert ForeignArray.of(torch.nn.Parameter(torch.zeros(3)), stream) is None


class Table(ctypes.Structure):
    """DLPackExchangeAPI, as the standard has it."""

    _fields_ = [
        ("major", ctypes.c_uint32), ("minor", ctypes.c_uint32), ("former", ctypes.c_void_p),
        *((f"function{k}", ctypes.c_void_p) for k in range(5)),
    ]  # fmt: skip


def type_with(table: Any) -> type:
    """A type whose attribute is this; a table is put into a capsule."""
    if isinstance(table, Table):
        make: Any = ctypes.PYFUNCTYPE(ctypes.py_object, *[ctypes.c_void_p] * 3)(
            ("PyCapsule_New", ctypes.pythonapi)
        )
        table = make(ctypes.addressof(table), ctypes.addressof(NAME), None)
    return type("Library", (), {"__dlpack_c_exchange_api__": table})


def test_tables_of_other_versions() -> None:
    functions = (SOMEWHERE,) * 5
    known = Table(1, 3, None, *functions)
    assert exchange_of(type_with(known)) is not None
    newer = Table(2, 0, ctypes.addressof(known), *functions)
    assert exchange_of(type_with(newer)) is not None  # by its former table
    for other in (Table(2, 0, None, *functions), Table(1, 3, None, None), 12345, None):
        assert exchange_of(type_with(other)) is None
    assert exchange_of(int) is None
