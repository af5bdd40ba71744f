"""cuBLASLt for every plug-in author: matrix products, algorithm by algorithm.

Use as `plugrt.plugins.native.cuda.cudnn`: names as tactics, `build` in `initialize`,
`workspace_bytes`, `execute` with `stream.handle`.
"""

from .library import CublasLtError, available, unavailable_reason, version
from .matrix_product import MatrixProduct, ProductPlan

__all__ = [
    "CublasLtError", "MatrixProduct", "ProductPlan", "available", "unavailable_reason", "version",
]  # fmt: skip
