"""The timing cache: what it keeps, merges, trusts and refuses."""

from __future__ import annotations

import json
import os
import stat
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from benchmarks.nets import NETS
from benchmarks.nets.to_plugrt import to_plugrt
from plugrt import BuilderConfig, Engine, Network, PlugrtError, TimingCache, build
from plugrt.core.atomic_file import write_atomically
from plugrt.core.builder.config import PRECISIONS
from plugrt.core.devices.cpu import CpuDevice

Build = Callable[..., Engine]

HERE = {"device": "here"}


def cache(**seconds: float) -> TimingCache:
    made = TimingCache(HERE)
    made.seconds = seconds
    return made


def small(network: Network) -> Network:
    x = network.add_input("x", "float32", [1, 16, 6, 6])
    weights = np.random.default_rng(0).standard_normal((16, 16, 3, 3)).astype(np.float32)
    y = network.add_convolution(x, weights, padding=(1,) * 4, name="conv").output
    network.mark_output(network.add_relu(y, name="y").output)
    return network


def test_round_trip(tmp_path: Path) -> None:
    path = tmp_path / "new" / "folder" / "times.json"
    cache(a=1e-6, b=0.25).save(path)
    assert TimingCache.load(path, HERE).seconds == {"a": 1e-6, "b": 0.25}
    assert [item.name for item in path.parent.iterdir()] == ["times.json"]


def test_merging_keeps_our_own_times() -> None:
    mine = cache(a=1.0, b=2.0)
    mine.merge(cache(b=3.0, c=4.0))
    assert mine.seconds == {"a": 1.0, "b": 2.0, "c": 4.0}
    foreign = TimingCache({"device": "elsewhere"})
    foreign.seconds = {"d": 5.0}
    mine.merge(foreign)
    assert "d" not in mine.seconds


def file_of(seconds: Any, fingerprint: Any = HERE, version: Any = 2) -> bytes:
    devices = [{"fingerprint": fingerprint, "seconds": seconds}]
    return json.dumps({"format": version, "devices": devices}).encode()


@pytest.mark.parametrize(
    ("content", "told"),
    [
        *((content, "cannot be used") for content in (
            b"{", b"[]", b"null", b"\xff\xfe\x00", b"[" * 100_000, b'"text"', b'{"format": 2}',
            b'{"format": 2, "devices": 3}', file_of([1]), file_of({"a": 1.0}, None),
        )),
        *((file_of({"a": value}), "impossible") for value in (
            "soon", None, 0, -1, float("nan"), float("inf"), [1],
        )),
        (file_of({"a": 1.0}, version=1), "has format 1, not 2"),
        (file_of({"a": 1.0}, version="x"), "has format 'x'"),
        (file_of({"a": 1.0}, {"device": "elsewhere"}), ""),
        (b"", ""),
    ],
)  # fmt: skip
def test_damaged_and_foreign_files_count_as_empty(
    tmp_path: Path, content: bytes, told: str
) -> None:
    path = tmp_path / "times.json"
    path.write_bytes(content)
    lines: list[str] = []
    assert TimingCache.load(path, HERE, lines.append).seconds == {}
    assert len(lines) == bool(told)
    assert all(told in line and str(path) in line for line in lines)
    cache(b=2.0).save(path)  # and they are replaced
    assert TimingCache.load(path, HERE).seconds == {"b": 2.0}


def test_what_is_loaded_at_all(tmp_path: Path) -> None:
    path = tmp_path / "times.json"
    path.write_bytes(file_of({"a": 1.0, "b": 0}))
    assert TimingCache.load(path, HERE).seconds == {"a": 1.0}
    assert TimingCache.load(tmp_path / "absent", HERE).seconds == {}
    assert TimingCache().fingerprint == dict(CpuDevice().fingerprint())


def test_files_are_readable(tmp_path: Path) -> None:
    path = tmp_path / "times.json"
    cache(b=2e-6, a=1e-6).save(path)
    lines = [line.strip().rstrip(",") for line in path.read_text().splitlines()]
    assert lines.index('"a": 1e-06') + 1 == lines.index('"b": 2e-06')


def test_one_file_serves_several_devices(tmp_path: Path) -> None:
    path = tmp_path / "times.json"
    cache(a=1.0).save(path)
    there = TimingCache.load(path, {"device": "there"})
    assert there.seconds == {}
    there.seconds = {"a": 3.0, "b": 4.0}
    there.save(path)
    assert TimingCache.load(path, HERE).seconds == {"a": 1.0}
    found = TimingCache.load(path, {"device": "there"})
    assert found.seconds == {"a": 3.0, "b": 4.0}
    assert found.devices == [(HERE, 1), ({"device": "there"}, 2)]
    joined = cache(c=5.0)
    joined.merge(found)
    assert joined.seconds == {"a": 1.0, "c": 5.0}
    joined.save(tmp_path / "joined")
    assert TimingCache.load(tmp_path / "joined", {"device": "there"}).seconds == found.seconds


def test_a_file_of_a_newer_plugrt_is_left_alone(tmp_path: Path) -> None:
    path = tmp_path / "times.json"
    path.write_bytes(file_of({"a": 1.0}, version=3))
    before = path.read_bytes()
    with pytest.raises(PlugrtError, match="newer plugrt and is left as it is; give another"):
        cache(b=2.0).save(path)
    assert path.read_bytes() == before


SAVER = """
import sys
from pathlib import Path
from plugrt import TimingCache
number = int(sys.argv[2])
for k in range(25):
    mine = TimingCache({"device": "here"})
    mine.seconds = {f"{number} {k}": 1.0}
    mine.save(Path(sys.argv[1]))
"""


def test_builds_that_save_at_the_same_time_lose_nothing(tmp_path: Path) -> None:
    path = tmp_path / "times.json"
    savers = [
        subprocess.Popen([sys.executable, "-c", SAVER, str(path), str(number)])
        for number in range(3)
    ]
    while any(saver.poll() is None for saver in savers):
        lines: list[str] = []
        TimingCache.load(path, HERE, lines.append)
        assert not lines  # never half a file
    assert [saver.returncode for saver in savers] == [0] * 3
    known = TimingCache.load(path, HERE).seconds
    assert set(known) == {f"{number} {k}" for number in range(3) for k in range(25)}
    assert [item.name for item in tmp_path.iterdir()] == ["times.json"]


def test_files_have_ordinary_permissions(tmp_path: Path, network: Network,
                                         quick_build: Build) -> None:  # fmt: skip
    before = os.umask(0o027)
    try:
        cache(a=1.0).save(tmp_path / "times")
        quick_build(small(network)).save(tmp_path / "plan")
    finally:
        os.umask(before)
    for name in ("times", "plan"):
        assert stat.S_IMODE((tmp_path / name).stat().st_mode) == 0o640


def test_a_failed_write_leaves_the_old_file(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = tmp_path / "file"
    path.write_bytes(b"old")

    def fail(*arguments: Any) -> None:
        raise OSError("the disk is full")

    monkeypatch.setattr(os, "replace", fail)
    with pytest.raises(OSError, match="full"):
        write_atomically(path, b"new")
    assert [item.name for item in tmp_path.iterdir()] == ["file"]
    assert path.read_bytes() == b"old"


def test_builds_read_and_update_a_file(tmp_path: Path, network: Network,
                                       quick_build: Build) -> None:  # fmt: skip
    path = tmp_path / "times.json"
    first = quick_build(small(network), tune="fast", timing_cache=path)
    times = path.read_bytes()
    known = TimingCache.load(path, CpuDevice().fingerprint()).seconds
    assert any("Convolution/" in key and "threads=2" in key for key in known)
    second = quick_build(network, tune="fast", timing_cache=str(path))
    assert path.read_bytes() == times  # nothing was timed again
    assert second.to_bytes() == first.to_bytes()


def quantised(network: Network) -> Network:
    """With a scale on every activation, so that `int8` and `best` have something to do."""
    small(network)
    for tensor in network.tensors.values():
        if not tensor.is_constant:
            tensor.set_quantization(0.05)
    return network


def siblings(network: Network) -> Network:
    """And two convolutions of one input, which might be one; they are without scales."""
    quantised(network)
    random = np.random.default_rng(1)
    found = [
        network.add_convolution(
            network.inputs[0], random.standard_normal((16, 16, 1, 1)).astype(np.float32),
            name=f"branch{k}",
        ).output
        for k in range(2)
    ]  # fmt: skip
    network.mark_output(network.add_concatenation(*found, axis=1, name="joined").output, "z")
    return network


@pytest.mark.parametrize("tune", ["fast", pytest.param("full", marks=pytest.mark.slow)])
@pytest.mark.parametrize("precision", PRECISIONS)
def test_two_builds_from_one_cache_are_equal(
    network: Network, quick_build: Build, tmp_path: Path, precision: str, tune: str
) -> None:
    siblings(network)
    shared = TimingCache()
    options = {"tune": tune, "precision": precision}
    plans = [
        quick_build(network, timing_cache=shared, **options).to_bytes() for _ in range(3)
    ]
    assert any(key.startswith("network ") for key in shared.seconds)
    assert plans[0] == plans[1] == plans[2]
    file = tmp_path / "times.json"
    for _ in range(2):
        shared.save(file)
        assert quick_build(network, timing_cache=file, **options).to_bytes() == plans[0]


@pytest.mark.slow
@pytest.mark.parametrize("net", ["yolo-fastest", "googlenet"])
def test_the_build_that_measures_equals_later_ones(net: str) -> None:
    """In large networks early decisions know fewer times than a later build will."""
    shared = TimingCache()
    first, second = (
        build(to_plugrt(NETS[net](), 1), BuilderConfig(timing_cache=shared)).to_bytes()
        for _ in range(2)
    )
    assert first == second


def test_a_cache_decides_without_tuning_too(network: Network, quick_build: Build) -> None:
    """`tune="off"` measures nothing, but believes what is known."""
    shared = TimingCache(CpuDevice().fingerprint())
    tuned = quick_build(small(network), tune="fast", timing_cache=shared)
    known = dict(shared.seconds)
    again = quick_build(network, tune="off", timing_cache=shared)
    assert shared.seconds == known
    assert again.to_bytes() == tuned.to_bytes()


def test_damaged_files_mean_timing_again(tmp_path: Path, network: Network,
                                         quick_build: Build) -> None:  # fmt: skip
    path = tmp_path / "times.json"
    path.write_bytes(b"rubbish")
    with pytest.warns(RuntimeWarning, match=r"times.json cannot be used \(JSONDecodeError"):
        engine = quick_build(small(network), tune="fast", timing_cache=path)
    assert any("times.json cannot be used" in line for line in engine.report)
    assert TimingCache.load(path, CpuDevice().fingerprint()).seconds


def test_an_engine_is_not_lost_with_the_cache(tmp_path: Path, network: Network,
                                              quick_build: Build) -> None:  # fmt: skip
    path = tmp_path / "times.json"
    path.write_bytes(file_of({}, version=3))
    with pytest.warns(RuntimeWarning) as found:
        quick_build(small(network), tune="fast", timing_cache=path)
    told = "\n".join(str(warning.message) for warning in found)
    assert "could not be kept in timing cache" in told


def test_a_folder_is_no_cache(tmp_path: Path, network: Network, quick_build: Build) -> None:
    with pytest.raises(PlugrtError, match="is a folder; give a file name"):
        quick_build(small(network), tune="fast", timing_cache=tmp_path)
