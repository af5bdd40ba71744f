"""The built-in layers, written with the same means as any third-party layer."""
