"""Networks: layers, tensors, and the symbolic shapes between them."""

from .elements import Layer, Tensor
from .network import Network

__all__ = ["Layer", "Network", "Tensor"]
