"""Machine code in plans: kept and given back byte by byte, refused where its table is forged, and
handed to the device of trusted plans alone."""

from __future__ import annotations

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import pytest

from plugrt.core.builder import BuilderConfig, build
from plugrt.core.devices.cpu import CpuDevice
from plugrt.core.engine import Engine
from plugrt.core.engine.plan import read_code, read_plan, write_plan
from plugrt.core.runtime.cpu_session import CpuSession
from plugrt.plugin_registry import Registry

CODE = {"ab" * 32: b"\x7fELF one", "cd" * 32: b"two", "0" * 64: bytes(100)}


@pytest.fixture(scope="module")
def coded_plan(small_plan: bytes, registry: Registry) -> bytes:
    """The small plan with code beside it."""
    return write_plan(*read_plan(small_plan, registry), CODE)


def test_code_comes_back_as_it_was(
    coded_plan: bytes, small_plan: bytes, registry: Registry
) -> None:
    read_plan(coded_plan, registry)
    assert {key: bytes(code) for key, code in read_code(coded_plan).items()} == CODE
    assert read_code(small_plan) == {}
    assert write_plan(*read_plan(coded_plan, registry)) == small_plan


@pytest.mark.parametrize(
    "table",
    [
        [["ab" * 32, 1]],
        [["ab" * 32, 1 << 60], ["cd" * 32, 1]],
        [["ab" * 32, 0], ["cd" * 32, 111]],
        [["ab" * 32, -1], ["cd" * 32, 112]],
        [["ab" * 32, 11], ["ab" * 32, 100]],
        [["../../etc/passwd", 111]],
        [["AB" * 32, 111]],
        [["ab" * 32]],
        [["ab" * 32, 111, 1]],
        [[7, 111]],
        {"ab" * 32: 111},
        None,
    ],
)
def test_forged_tables_are_refused(
    table: Any, coded_plan: bytes, registry: Registry, kit: Any
) -> None:
    forged = kit.forge(coded_plan, lambda s: s.__setitem__("compiled", json.dumps(table).encode()))
    assert "compiled" in kit.refusal(forged, registry)


def test_a_table_without_code_is_refused(
    coded_plan: bytes, registry: Registry, kit: Any
) -> None:
    forged = kit.forge(coded_plan, lambda s: s.pop("code"))
    assert "list of sections" in kit.refusal(forged, registry)


def test_damaged_code_is_found_before_anybody_gets_it(
    coded_plan: bytes, registry: Registry, kit: Any
) -> None:
    at = coded_plan.index(b"\x7fELF one")
    damaged = bytearray(coded_plan)
    damaged[at] ^= 1
    assert "checksum" in kit.refusal(bytes(damaged), registry)


class Session(CpuSession):
    """Keeps what it is lent."""

    lent: Mapping[str, bytes] | None = None

    def compiled_code(self, planned: Any, threads: int, sizes: Any) -> Mapping[str, bytes]:
        assert sizes == {"N": 4}
        return CODE

    def lend_code(self, code: Mapping[str, bytes]) -> None:
        self.lent = code


def test_only_trusted_plans_hand_code_over(
    kit: Any, registry: Registry, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(CpuDevice, "open", lambda self, *options: Session(*options))
    engine = build(kit.small_network(), BuilderConfig(tune="off", max_batch_size=4))
    path = tmp_path / "small.plan"
    engine.save(path)
    engine.close()
    for trusted in (True, False):
        for loaded in (
            Engine.load(path, registry, trusted=trusted),
            Engine.from_bytes(path.read_bytes(), registry, trusted=trusted),
        ):
            assert loaded._session.lent == (CODE if trusted else None)
    monkeypatch.setattr(CpuDevice, "fingerprint", lambda self: {"device": "cpu", "other": "1"})
    with pytest.warns(RuntimeWarning, match="another machine"):
        loaded = Engine.load(path, registry, trusted=True)
    assert loaded._session.lent is None
