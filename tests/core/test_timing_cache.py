"""The timing cache: what it keeps, merges, trusts and refuses."""

from __future__ import annotations

import json
import os
import stat
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from plugrt import Engine, Network, PlugrtError, TimingCache
from plugrt.core.atomic_file import write_atomically
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


GOOD = {"format": 1, "device": HERE, "seconds": {"a": 1.0}}


@pytest.mark.parametrize(
    "content",
    [
        b"", b"{", b"[]", b"null", b"\xff\xfe\x00", b"[" * 100_000, json.dumps("text").encode(),
        *(json.dumps({**GOOD, **change}).encode() for change in (
            {"format": 2}, {"device": {"device": "elsewhere"}}, {"device": None},
            {"seconds": [1]}, {"seconds": {"a": "soon"}}, {"seconds": {"a": None}},
            {"seconds": {"a": 0}}, {"seconds": {"a": -1}}, {"seconds": {"a": float("nan")}},
            {"seconds": {"a": float("inf")}}, {"seconds": {"a": [1]}},
        )),
    ],
)  # fmt: skip
def test_damaged_and_foreign_files_count_as_empty(tmp_path: Path, content: bytes) -> None:
    path = tmp_path / "times.json"
    path.write_bytes(content)
    assert TimingCache.load(path, HERE).seconds == {}


def test_what_is_loaded_at_all(tmp_path: Path) -> None:
    path = tmp_path / "times.json"
    path.write_text(json.dumps(GOOD))
    assert TimingCache.load(path, HERE).seconds == {"a": 1.0}
    assert TimingCache.load(tmp_path / "absent", HERE).seconds == {}


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


def test_two_builds_from_one_cache_are_equal(network: Network, quick_build: Build) -> None:
    shared = TimingCache(CpuDevice().fingerprint())
    plans = [
        quick_build(network, tune="fast", timing_cache=shared).to_bytes()
        for network in (small(network), network, network)
    ]
    assert shared.seconds
    assert plans[0] == plans[1] == plans[2]


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
    quick_build(small(network), tune="fast", timing_cache=path)
    assert TimingCache.load(path, CpuDevice().fingerprint()).seconds


def test_a_folder_is_no_cache(tmp_path: Path, network: Network, quick_build: Build) -> None:
    with pytest.raises(PlugrtError, match="is a folder; give a file name"):
        quick_build(small(network), tune="fast", timing_cache=tmp_path)
