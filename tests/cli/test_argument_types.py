"""Values of options."""

from argparse import ArgumentTypeError

import pytest

from plugrt import ShapeProfile
from plugrt.commands import argument_types


@pytest.mark.parametrize(
    ("text", "count"),
    [("0", 0), ("65536", 65536), ("64K", 2**16), ("512M", 2**29), ("2g", 2**31), ("1KiB", 1024)],
)
def test_byte_counts(text, count):
    assert argument_types.byte_count(text) == count


@pytest.mark.parametrize("text", ["", "-1", "1.5M", "M", "1T", "0x10", "9" * 40])
def test_wrong_byte_counts(text):
    with pytest.raises(ArgumentTypeError, match="64K"):
        argument_types.byte_count(text)


def test_shapes():
    assert argument_types.shape("1x3x416x416") == (1, 3, 416, 416)
    assert argument_types.shape("0") == (0,)
    assert argument_types.shape("scalar") == ()


@pytest.mark.parametrize("text", ["", "x", "1x", "1X2", "-1x2", "1,2", "1.0", "²", "1x9999999999"])
def test_wrong_shapes(text):
    with pytest.raises(ArgumentTypeError):
        argument_types.shape(text)


def test_names_may_hold_the_separators():
    assert argument_types.input_shape("a=b:c=2x3") == ("a=b:c", (2, 3))
    profile = argument_types.input_profile("a:0=1x4:2x4:8x4")
    assert profile == ("a:0", ShapeProfile((1, 4), (2, 4), (8, 4)))


@pytest.mark.parametrize("text", ["x", "x=", "=1x4:2x4:8x4", "x=1x4:2x4", "x=1:2:3:4", "x=a:b:c"])
def test_wrong_profiles(text):
    with pytest.raises(ArgumentTypeError):
        argument_types.input_profile(text)


@pytest.mark.parametrize("text", ["nan", "inf", "0", "-1", "soon"])
def test_wrong_seconds(text):
    with pytest.raises(ArgumentTypeError, match="seconds above zero"):
        argument_types.seconds(text)
