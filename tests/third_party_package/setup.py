"""What pyproject.toml cannot say: the C extension."""

from setuptools import setup

setup(
    cffi_modules=["build_kernels.py:ffibuilder"],
    options={"bdist_wheel": {"py_limited_api": "cp310"}},
)
