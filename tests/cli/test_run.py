"""`plugrt run`: arrays in, arrays out."""

import os

import ml_dtypes
import numpy as np
import pytest

import plugrt
from plugrt.commands.arrays import file_names, read_array
from plugrt.plugins import DataType, TensorDesc


@pytest.fixture
def image(tmp_path):
    path = tmp_path / "image.npy"
    data = np.random.default_rng(0).standard_normal((2, 16, 8, 8)).astype(np.float32)
    np.save(path, data)
    return path


def test_outputs_equal_those_of_the_api(small_plan, image, tmp_path, succeeds):
    printed = succeeds(
        "run", small_plan, "--input", f"image={image}", "--output-dir", tmp_path / "a/b"
    )
    with plugrt.Engine.load(small_plan) as engine, engine.create_context() as context:
        expected = context.execute({"image": np.load(image)})
    files = {"features": "features.npy", "gate/ü": "gate_.npy"}
    assert {path.name for path in (tmp_path / "a/b").iterdir()} == set(files.values())
    for name, file in files.items():
        np.testing.assert_array_equal(np.load(tmp_path / "a/b" / file), expected[name])
        assert any(
            line.startswith(name) and "2x16x8x8" in line and file in line
            for line in printed.splitlines()
        )


def test_profile_times_every_layer(small_plan, image, tmp_path, succeeds):
    printed = succeeds(
        "run", small_plan, "--input", f"image={image}", "--output-dir", tmp_path, "--profile",
        "--threads", 1,
    )  # fmt: skip
    with plugrt.Engine.load(small_plan) as engine:
        for name in engine.layers:
            assert name in printed


def save(path, array):
    np.save(path, array)
    return path


def hostile_header(path):
    """Announces far more numbers than the file holds."""
    header = b"{'descr': '<f4', 'fortran_order': False, 'shape': (1000000000, 1000), }"
    header = header.ljust(117) + b"\n"
    path.write_bytes(b"\x93NUMPY\x01\x00" + len(header).to_bytes(2, "little") + header)
    return path


def pickled(path):
    np.save(path, np.array([{"a": 1}], dtype=object), allow_pickle=True)
    return path


def archive(path):
    with path.open("wb") as file:
        np.savez(file, a=np.zeros(3))
    return path


def written(content):
    def write(path):
        path.write_bytes(content)
        return path

    return write


@pytest.mark.parametrize(
    ("make", "message"),
    [
        (lambda path: path, "No such file"),
        (lambda path: path.mkdir() or path, "Is a directory"),
        (written(b""), "no array of numbers"),
        (written(b"hello"), "no array of numbers"),
        (written(b"\x93NUMPY\x01\x00\xff\xff{"), "no array of numbers"),
        (hostile_header, "no array of numbers"),
        (pickled, "no array of numbers"),
        (archive, "an archive of arrays"),
        (lambda path: save(path, np.zeros((2, 16, 8, 8))), "float64"),
        (lambda path: save(path, np.zeros((2, 16, 8, 8), ">f4")), ">f4"),
        (lambda path: save(path, np.zeros((2, 16, 8, 9), "f4")), "2x16x8x9"),
        (lambda path: save(path, np.zeros((5, 16, 8, 8), "f4")), "1 to 4"),
        (lambda path: save(path, np.zeros((16, 8, 8), "f4")), "16x8x8"),
    ],
)
def test_wrong_arrays(make, message, small_plan, tmp_path, refused):
    path = make(tmp_path / "wrong.npy")
    results = tmp_path / "results"
    assert message in refused(
        "run", small_plan, "--input", f"image={path}", "--output-dir", results
    )
    assert not results.exists()


@pytest.mark.parametrize(
    ("words", "message"),
    [
        ([], "add --input image=FILE.npy"),
        (["picture={}"], "'picture="),
        (["image"], "NAME=FILE.npy"),
        (["image={}", "image={}"], "given twice"),
    ],
)
def test_wrong_inputs(words, message, small_plan, image, tmp_path, refused):
    given = [word.format(image) for word in words]
    options = ["--input", *given] if given else []
    assert message in refused("run", small_plan, *options, "--output-dir", tmp_path / "results")
    assert not (tmp_path / "results").exists()


def test_folders_that_cannot_be(small_plan, image, refused):
    for folder in (image, image / "below"):
        options = ("--input", f"image={image}", "--output-dir", folder)
        assert "is a file" in refused("run", small_plan, *options)


def test_nothing_is_left_when_writing_fails(small_plan, image, tmp_path, refused, monkeypatch):
    def fail(source, target):
        raise OSError(28, "No space left on device", str(target))

    monkeypatch.setattr(os, "replace", fail)
    folder = tmp_path / "new/results"
    options = ("--input", f"image={image}", "--output-dir", folder)
    assert "No space left" in refused("run", small_plan, *options)
    assert not (tmp_path / "new").exists()


def test_file_names_are_safe_and_unique():
    names = ["plain-1.0", "a/b", "a b", "A_B", "../../etc/passwd", "..", "", "ü", "x" * 500]
    found = file_names(names)
    assert found["plain-1.0"] == "plain-1.0.npy"
    assert len({file.lower() for file in found.values()}) == len(names)
    for file in found.values():
        assert "/" not in file
        assert not file.startswith(".")
        assert len(file) < 255


def test_types_that_numpy_does_not_know(tmp_path):
    values = np.array([1.5, -2.0], ml_dtypes.bfloat16)
    path = save(tmp_path / "half.npy", values)
    found = read_array(path, TensorDesc(DataType.of("bfloat16"), (2,)))
    assert found.dtype == ml_dtypes.bfloat16
    np.testing.assert_array_equal(found, values)
