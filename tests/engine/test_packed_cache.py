"""Packed weights on disk: later loads need no packing, and nothing in the folder can do harm."""

from __future__ import annotations

import errno
import os
import shutil
import subprocess
import sys
import threading
from pathlib import Path
from zlib import crc32

import numpy as np
import pytest

import plugrt
from plugrt.core.devices.cpu.checksum import checksums
from plugrt.core.engine import loading
from plugrt.core.engine.engine import Engine
from plugrt.core.runtime import cache_folder, packed_cache
from plugrt.core.runtime.packed_cache import key_text
from plugrt.plugin_registry import Registry
from plugrt.plugins import Format, LayerPlugin, PlanError, Shape, TensorDesc

SIZE = 10
CHANNELS = 376
"""Enough for a plan of more than `loading.LEAST_BYTES`."""


@pytest.fixture(scope="module")
def plan_bytes() -> bytes:
    """One convolution, which packs."""
    return build_plan(0)


def build_plan(seed: int) -> bytes:
    random = np.random.default_rng(seed)
    network = plugrt.Network("cached")
    x = network.add_input("x", "float32", [1, CHANNELS, SIZE, SIZE])
    weights = random.standard_normal((CHANNELS, CHANNELS, 3, 3), np.float32)
    network.mark_output(network.add_layer("Convolution", [x, weights]).output, "y")
    config = plugrt.BuilderConfig(tune="off", threads=1)
    with plugrt.build(network, config) as engine:
        return engine.to_bytes()


@pytest.fixture
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """The cache of this test, not there yet."""
    place = tmp_path / "cache" / "packed"
    monkeypatch.setenv(cache_folder.VARIABLE, str(place))
    return place


@pytest.fixture
def plan(tmp_path: Path, plan_bytes: bytes) -> Path:
    path = tmp_path / "model.plan"
    path.write_bytes(plan_bytes)
    return path


def run(plan: Path | bytes) -> tuple[np.ndarray, bool]:
    """The result of a load, and whether all packed weights came from the cache."""
    x = np.random.default_rng(7).standard_normal((1, CHANNELS, SIZE, SIZE), np.float32)
    load = Engine.from_bytes if isinstance(plan, bytes) else Engine.load
    with load(plan) as engine, engine.create_context(1) as context:  # type: ignore[arg-type]
        found = context.execute({"x": x})["y"]
        plain = {id(t.value) for t in engine.planned.network.tensors.values()}
        packed = [a for a in engine.weights if id(a) not in plain]
        assert packed, "this test needs a layer that packs"
        cached = all(not a.flags.writeable for a in packed)
    finish_writing()
    return found, cached


def finish_writing() -> None:
    for thread in threading.enumerate():
        if thread.name.startswith("plugrt-packed"):
            thread.join()


def files(folder: Path, suffix: str = ".packed") -> list[Path]:
    return sorted(folder.glob(f"*{suffix}"))


def test_a_second_load_packs_nothing(folder: Path, plan: Path) -> None:
    first, was_cached = run(plan)
    assert not was_cached
    second, is_cached = run(plan)
    assert is_cached
    np.testing.assert_array_equal(first, second)
    assert folder.stat().st_mode & 0o777 == 0o700
    assert [path.stat().st_mode & 0o777 for path in files(folder)] == [0o600]
    assert cache_folder.used_bytes() == sum(path.stat().st_size for path in folder.iterdir())


def test_a_copy_of_a_plan_shares_what_is_packed(folder: Path, plan: Path, tmp_path: Path) -> None:
    first, _ = run(plan)
    copy = tmp_path / "copy.plan"
    shutil.copy(plan, copy)
    np.testing.assert_array_equal(run(copy)[0], first)
    assert len(files(folder)) == 1
    assert run(copy)[1]


def test_bytes_are_known_by_their_digest(folder: Path, plan: Path, plan_bytes: bytes) -> None:
    first, _ = run(plan)
    found, is_cached = run(plan_bytes)
    assert is_cached
    np.testing.assert_array_equal(found, first)


def test_another_plan_in_the_same_file_is_packed_anew(folder: Path, plan: Path) -> None:
    run(plan)
    other = build_plan(1)
    assert len(other) == plan.stat().st_size
    with open(plan, "r+b") as file:  # in place: the file keeps its number and its size
        file.write(other)
    found, is_cached = run(plan)
    assert not is_cached
    np.testing.assert_array_equal(found, run(other)[0])


@pytest.mark.parametrize("place", [3, 12, 18, 28, 60, 1_000_000, 3_000_000, -100])
def test_damage_means_packing_again(folder: Path, plan: Path, place: int) -> None:
    expected, _ = run(plan)
    (path,) = files(folder)
    content = bytearray(path.read_bytes())
    content[place] ^= 0x10
    path.write_bytes(content)
    found, is_cached = run(plan)
    assert not is_cached
    np.testing.assert_array_equal(found, expected)
    assert run(plan)[1], "the damaged file has been replaced"


def test_damage_to_every_byte_of_the_table_is_seen(folder: Path, plan: Path) -> None:
    run(plan)
    (path,) = files(folder)
    content = path.read_bytes()
    table = packed_cache.PackedFile.open(path)
    assert table is not None
    (name,) = table.entries
    end = content.index(b"}", content.index(name.encode())) + 1
    for position in range(0, end, 3):
        damaged = bytearray(content[: end + 8192])
        damaged[position] ^= 1
        path.write_bytes(damaged)
        found = packed_cache.PackedFile.open(path)
        assert found is None or not found.verify()


@pytest.mark.parametrize("length", [0, 5, 31, 32, 100, 5000, 3_000_000])
def test_a_truncated_file_is_not_used(folder: Path, plan: Path, length: int) -> None:
    expected, _ = run(plan)
    (path,) = files(folder)
    os.truncate(path, length)
    found, is_cached = run(plan)
    assert not is_cached
    np.testing.assert_array_equal(found, expected)


def test_a_damaged_plan_is_refused_all_the_same(folder: Path, plan: Path) -> None:
    run(plan)
    content = bytearray(plan.read_bytes())
    content[len(content) // 2] ^= 1
    plan.write_bytes(content)
    with pytest.raises(PlanError, match=r"constants.*damaged"):
        Engine.load(plan)


def test_files_of_others_are_not_read(
    folder: Path, plan: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    run(plan)
    (path,) = files(folder)
    path.chmod(0o622)
    assert not run(plan)[1]
    path.unlink(missing_ok=True)
    run(plan)
    monkeypatch.setattr(os, "geteuid", lambda: 12345)
    assert not run(plan)[1]


def test_a_folder_that_others_may_write_is_not_used(folder: Path, plan: Path) -> None:
    folder.mkdir(parents=True)
    folder.chmod(0o777)
    run(plan)
    assert list(folder.iterdir()) == []


def test_links_are_not_followed(folder: Path, plan: Path, tmp_path: Path) -> None:
    run(plan)
    (path,) = files(folder)
    path.rename(tmp_path / "elsewhere")
    path.symlink_to(tmp_path / "elsewhere")
    assert not run(plan)[1]


def test_other_code_packs_again(
    folder: Path, plan: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    run(plan)
    monkeypatch.setattr(loading, "code_identity", lambda *_: "another")
    assert not run(plan)[1]
    assert len(files(folder)) == 2
    assert run(plan)[1]


def test_the_identity_changes_with_code_and_settings(
    plan: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    from plugrt.core.runtime import code_identity as module

    registry = Registry.default()
    with Engine.load(plan) as engine:
        first = module.code_identity(engine.planned, registry)
        assert first == module.code_identity(engine.planned, registry)
        with monkeypatch.context() as patch:
            patch.setenv("ONEDNN_MAX_CPU_ISA", "AVX2")
            assert module.code_identity(engine.planned, registry) != first
        monkeypatch.setattr(module, "_digest_of_folder", lambda folder: f"changed {folder}")
        module._files_of.cache_clear()
        try:
            assert module.code_identity(engine.planned, registry) != first
        finally:
            module._files_of.cache_clear()


def test_a_changed_file_changes_the_digest_of_its_folder(tmp_path: Path) -> None:
    from plugrt.core.runtime.code_identity import _digest_of_folder as digest

    (tmp_path / "inner").mkdir()
    source = tmp_path / "inner" / "kernel.py"
    source.write_text("a = 1\n")
    first = digest(str(tmp_path))
    digest.cache_clear()
    assert digest(str(tmp_path)) == first
    source.write_text("a = 2\n")
    os.utime(source, ns=(1, 1))
    digest.cache_clear()
    assert digest(str(tmp_path)) != first


class Doubled(LayerPlugin):
    """Registered by hand."""

    type = "Test.Doubled"
    recordable = False

    def getOutputDimensions(self, index: int, inputs: list[TensorDesc]) -> Shape:  # type: ignore[override]
        return inputs[0].shape

    def enqueue(self, inputs, outputs, workspace, stream) -> None:  # type: ignore[no-untyped-def]
        outputs[0][...] = 2 * inputs[0]


def test_classes_registered_by_hand_are_never_cached(plan: Path) -> None:
    from plugrt.core.runtime.code_identity import code_identity

    registry = Registry.of([Doubled])
    network = plugrt.Network("by hand", registry)
    x = network.add_input("x", "float32", [3])
    network.mark_output(network.add_layer("Test.Doubled", [x]).output, "y")
    with plugrt.build(network, plugrt.BuilderConfig(tune="off")) as engine:
        assert code_identity(engine.planned, registry) is None


def test_off_writes_nothing(
    folder: Path, plan: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv(cache_folder.VARIABLE, "off")
    run(plan)
    assert not run(plan)[1]
    assert not folder.exists()


def test_the_oldest_files_go_first(
    folder: Path, plan: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    run(plan)
    (old,) = files(folder)
    os.utime(old, (1, 1))
    monkeypatch.setattr(cache_folder, "LIMIT_BYTES", int(1.5 * old.stat().st_size))
    other = tmp_path / "other.plan"
    other.write_bytes(build_plan(2))
    run(other)
    assert not old.exists()
    assert len(files(folder)) == 1
    assert run(other)[1]


def test_what_exceeds_the_limit_is_not_written(
    folder: Path, plan: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(cache_folder, "LIMIT_BYTES", 1000)
    run(plan)
    assert not files(folder)
    assert not run(plan)[1]


def test_a_folder_that_cannot_be_is_no_error(
    plan: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "file").write_text("")
    monkeypatch.setenv(cache_folder.VARIABLE, str(tmp_path / "file" / "below"))
    assert not run(plan)[1]
    assert not run(plan)[1]


def test_a_full_disk_is_no_error(
    folder: Path, plan: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def full(*_: object, **__: object) -> None:
        raise OSError(errno.ENOSPC, "no space left")

    with monkeypatch.context() as patch:
        patch.setattr(os, "replace", full)
        run(plan)
    assert list(folder.iterdir()) == []
    with monkeypatch.context() as patch:
        little = os.statvfs_result((4096, 4096, 1000, 1, 1, 1000, 1, 1, 0, 255))
        patch.setattr(os, "statvfs", lambda _: little)
        run(plan)
    assert list(folder.iterdir()) == []


SCRIPT = """
import sys
import numpy as np
from plugrt.core.engine.engine import Engine
x = np.ones((1, {channels}, {size}, {size}), np.float32)
with Engine.load(sys.argv[1]) as engine, engine.create_context(1) as context:
    print(context.execute({{"x": x}})["y"].tobytes().hex()[:4000])
"""


def test_two_processes_at_once(folder: Path, plan: Path) -> None:
    script = [sys.executable, "-c", SCRIPT.format(channels=CHANNELS, size=SIZE), str(plan)]
    for _ in range(2):
        started = [subprocess.Popen(script, stdout=subprocess.PIPE, text=True) for _ in range(2)]
        told = {process.communicate(timeout=100)[0] for process in started}
        assert [process.returncode for process in started] == [0, 0]
        assert len(told) == 1
    assert len(files(folder)) == 1, "a process ends when its file is written"
    assert run(plan)[1]


@pytest.fixture
def asked(monkeypatch: pytest.MonkeyPatch) -> list[object]:
    """The plans whose tactics were compared with what their plug-ins offer."""
    calls: list[object] = []
    real = loading.revalidate_tactics

    def revalidate(*arguments: object) -> list[str]:
        calls.append(arguments[0])
        return real(*arguments)  # type: ignore[arg-type]

    monkeypatch.setattr(loading, "revalidate_tactics", revalidate)
    return calls


def test_tactics_are_asked_for_once_per_plan_and_code(
    folder: Path, plan: Path, asked: list[object], monkeypatch: pytest.MonkeyPatch
) -> None:
    run(plan)
    assert len(asked) == 1
    run(plan)
    assert len(asked) == 1
    monkeypatch.setattr(loading, "code_identity", lambda *_: "another")
    run(plan)
    assert len(asked) == 2


def test_keys_mean_the_same_in_every_process() -> None:
    assert key_text(("a", 1, b"x", None, 1.5, (Format.LINEAR, np.int64(3)))) is not None
    texts = [key_text(k) for k in (("1",), (1,), (1.0,), (True,), (b"1",), ((1,),), (1, 1))]
    assert len(set(texts)) == len(texts)
    assert key_text((object(),)) is None
    assert key_text((repr(object()),)) is None
    assert key_text((np.zeros(2),)) is None


def test_checksums_are_those_of_zlib() -> None:
    random = np.random.default_rng(3)
    memory = random.integers(0, 256, 1 << 15, np.uint8)
    lengths = np.concatenate([np.arange(200), random.integers(0, 5000, 200)]).astype(np.uint64)
    starts = random.integers(0, memory.size - 5000, lengths.size).astype(np.uint64)
    found = checksums(memory, starts, lengths)
    for start, length, checksum in zip(starts, lengths, found, strict=True):
        assert checksum == crc32(memory[int(start) : int(start) + int(length)].tobytes())


@pytest.mark.parametrize(("start", "length"), [(11, 0), (0, 11), (10, 1), (1, 2**64 - 1)])
def test_checksums_stay_inside(start: int, length: int) -> None:
    with pytest.raises(ValueError, match="leave the memory"):
        checksums(
            np.zeros(10, np.uint8), np.array([start], np.uint64), np.array([length], np.uint64)
        )
