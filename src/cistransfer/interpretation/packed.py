"""Matrix products with weights that are used many times, laid out as the processor likes them."""

from __future__ import annotations

import torch
from torch import Tensor, nn

__all__ = ["PackedMatrix"]


class PackedMatrix:
    """The map x → x · weightᵀ (+ bias).

    On CPUs for which PyTorch has oneDNN the weights are brought into oneDNN's own order, which is
    about twice as fast as the general product; elsewhere it is the general product.

    Parameters
    ----------
    weight : Tensor of float32, shape (outputs, inputs)
    rows : int
        About how many rows will be multiplied at a time.
    bias : Tensor of float32, shape (outputs,), optional
    """

    def __init__(self, weight: Tensor, rows: int, bias: Tensor | None = None) -> None:
        self.weight, self.bias = weight.detach(), bias
        self._packed: Tensor | None = None
        if weight.device.type == "cpu" and _packs():
            self._packed = torch.ops.mkldnn._reorder_linear_weight(self.weight, rows)

    def __call__(self, x: Tensor) -> Tensor:
        if self._packed is None:
            return nn.functional.linear(x, self.weight, self.bias)
        return torch.ops.mkldnn._linear_pointwise(x, self._packed, self.bias, "none", [], "")


_CHECKED: list[bool] = []


def _packs() -> bool:
    """Whether this build of PyTorch has the packed product and it gives the right numbers."""
    if not _CHECKED:
        generator = torch.Generator().manual_seed(0)
        x, weight = (torch.rand((n, 16), generator=generator) for n in (3, 5))
        try:
            packed = torch.ops.mkldnn._reorder_linear_weight(weight, 3)
            found = torch.ops.mkldnn._linear_pointwise(x, packed, None, "none", [], "")
            _CHECKED.append(bool(torch.allclose(found, x @ weight.t(), atol=1e-5)))
        except (AttributeError, RuntimeError):
            _CHECKED.append(False)
    return _CHECKED[0]
