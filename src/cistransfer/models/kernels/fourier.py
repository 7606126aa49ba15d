"""Convolution in training by fewer products: short Fourier transforms of sequence and filters.

The outputs are cut into tiles. A tile of ``m`` outputs of a kernel of ``r`` reads ``m + r − 1``
places; their discrete Fourier transform times that of the filters is the transform of the outputs.
Transforms are real matrices, and a product of complex numbers is three of real ones (Gauss), so
what is left are ``1.5 · (m + r − 1)`` matrix products of channels by filters for ``m`` outputs,
where a convolution takes ``m · r``: 35 instead of 126 for 18 outputs of a kernel of 7. Rounding is
that of a convolution (4e-7 of the result in float32), because a Fourier transform enlarges nothing.

Sequences lie in memory place by place (see `cistransfer.models.kernels.layout`): a transform of
all of them, every channel, is one matrix product then.

References
----------
Winograd, S. (1980). Arithmetic Complexity of Computations. SIAM.
"""

from __future__ import annotations

import math
from functools import lru_cache
from typing import Any, NamedTuple

import numpy as np
import torch
from torch import Tensor
from torch.autograd.function import once_differentiable

from cistransfer.models.kernels.layout import lengthwise, turned

__all__ = ["convolve_by_fourier", "fourier_products", "outputs_at_once"]

_FEWEST_CHANNELS = 16
"""Narrower products are far from a processor's full speed."""
_MOVED = 75
"""Operations of products that a processor does in the time of writing or reading a number."""
_CLEARLY = 1.25
"""How many times less the work must be."""


class _Transforms(NamedTuple):
    """Matrices that turn a convolution into products: ``outputs · ((filters · w) (inputs · x))``.

    Attributes
    ----------
    inputs : tensor, shape (products, m + r − 1)
    filters : tensor, shape (products, r)
    outputs : tensor, shape (m, products)
    """

    inputs: Tensor
    filters: Tensor
    outputs: Tensor


def convolve_by_fourier(
    x: Tensor, weight: Tensor, bias: Tensor | None, at_once: int, *, constant: bool = True
) -> Tensor:
    """Convolve along the last axis, without padding.

    Parameters
    ----------
    x : tensor, shape (n, inputs, 1, length)
        Copied unless it lies place by place.
    weight : tensor, shape (outputs, inputs, kernel)
    bias : tensor, shape (outputs,), optional
    at_once : int
        Outputs of a tile (`outputs_at_once`).
    constant : bool
        False where the gradient of the bias is known to be 0.

    Returns
    -------
    tensor, shape (n, outputs, 1, length − kernel + 1)
        Place by place in memory.
    """
    y: Tensor = _Convolution.apply(lengthwise(x), weight, bias, at_once, constant)
    return turned(y)


@lru_cache(maxsize=256)
def outputs_at_once(n: int, inputs: int, outputs: int, length: int, kernel: int) -> int | None:
    """Outputs of a tile at which forward and backward pass are the least work.

    None where a plain convolution is hardly more: few channels, a short kernel, few sequences.
    """
    places = length - kernel + 1
    if min(inputs, outputs) < _FEWEST_CHANNELS or kernel < 2 or places < 2:
        return None
    plain = 6 * n * places * kernel * inputs * outputs
    work = {
        at_once: _work(n, inputs, outputs, places, kernel, at_once)
        for at_once in {-(-places // tiles) for tiles in range(1, places + 1)}
    }
    best = min(work, key=lambda at_once: (work[at_once], at_once))
    return best if _CLEARLY * work[best] < plain else None


def fourier_products(reads: int) -> int:
    """Matrix products of a tile that reads so many places: three for each complex frequency."""
    return 3 * ((reads - 1) // 2) + 1 + (reads + 1) % 2


def _work(n: int, inputs: int, outputs: int, places: int, kernel: int, at_once: int) -> float:
    """Operations of both passes, those that wait for memory counted as `_MOVED`."""
    reads = at_once + kernel - 1
    products = fourier_products(reads)
    rows = products * -(-places // at_once) * n
    multiplied = 6 * rows * inputs * outputs
    transformed = 4 * rows * (reads * inputs + at_once * outputs)
    moved = 2 * rows * (inputs + outputs) + 3 * products * inputs * outputs
    return multiplied + transformed + _MOVED * moved


@lru_cache(maxsize=64)
def _transforms(at_once: int, kernel: int, kind: torch.dtype) -> _Transforms:
    reads = at_once + kernel - 1
    place = np.arange(reads)
    of_input, of_filter, of_output = [], [], []
    for frequency in range(reads // 2 + 1):
        angle = 2 * math.pi * (frequency * place % reads) / reads
        cosine, sine = np.cos(angle), np.sin(angle)
        if 2 * frequency in (0, reads):  # a real number, and so one product
            of_input += [cosine]
            of_filter += [cosine]
            of_output += [cosine / reads]
            continue
        # (a + ib)(c − id), of the transforms a + ib of x and c + id of w, by ac, bd, (a + b)(c − d)
        of_input += [cosine, -sine, cosine - sine]
        of_filter += [cosine, -sine, cosine + sine]
        of_output += [2 * (cosine + sine) / reads, 2 * (cosine - sine) / reads, -2 * sine / reads]
    inputs, filters, outputs = (
        torch.from_numpy(np.array(rows)).to(kind) for rows in (of_input, of_filter, of_output)
    )
    return _Transforms(
        inputs, filters[:, :kernel].contiguous(), outputs[:, :at_once].t().contiguous()
    )


class _Convolution(torch.autograd.Function):
    """Of ``(length, n, inputs)``, to ``(length − kernel + 1, n, outputs)``."""

    @staticmethod
    def forward(
        context: Any, x: Tensor, weight: Tensor, bias: Tensor | None, at_once: int, constant: bool
    ) -> Tensor:
        outputs, inputs, kernel = weight.shape
        by = _transforms(at_once, kernel, x.dtype)
        length, n, _ = x.shape
        taps = weight.permute(2, 1, 0).reshape(kernel, -1)
        filters = (by.filters @ taps).view(-1, inputs, outputs)
        y = x.new_empty(length - kernel + 1, n, outputs)
        tiles = _tiles(len(y), at_once)
        sequences = x.new_empty(len(tiles), len(filters), n, inputs)
        products = x.new_empty(len(filters), n, outputs)
        for tile, some in zip(tiles, sequences, strict=True):
            _transform(by.inputs, x[tile.start : tile.stop + kernel - 1], some)
            torch.bmm(some, filters, out=products)
            if bias is not None:  # frequency 0 is the sum over places
                products[0] += bias * by.inputs.shape[1]
            _transform(by.outputs, products, y[tile])
        context.save_for_backward(sequences, filters)
        context.sizes = length, kernel, at_once
        context.constant = constant
        return y

    @staticmethod
    @once_differentiable
    def backward(context: Any, gradient: Tensor) -> tuple[Tensor | None, ...]:
        sequences, filters = context.saved_tensors
        length, kernel, at_once = context.sizes
        by = _transforms(at_once, kernel, gradient.dtype)
        gradient = gradient.contiguous()
        _, n, outputs = gradient.shape
        frequencies, inputs, _ = filters.shape
        to_x, to_weight, to_bias, *_ = context.needs_input_grad
        of_x = gradient.new_zeros(length, n, inputs) if to_x else None
        of_filters = torch.zeros_like(filters) if to_weight else None
        of_bias = gradient.new_zeros(outputs) if to_bias else None
        given = gradient.new_empty(frequencies, n, outputs)
        products = gradient.new_empty(frequencies, n, inputs)
        for tile, some in zip(_tiles(len(gradient), at_once), sequences, strict=True):
            _transform(by.outputs.t(), gradient[tile], given)
            if of_filters is not None:
                of_filters.baddbmm_(some.transpose(1, 2), given)
            if of_bias is not None and context.constant:
                of_bias += given[0].sum(0) * by.inputs.shape[1]
            if of_x is not None:
                torch.bmm(given, filters.transpose(1, 2), out=products)
                read = of_x[tile.start : tile.stop + kernel - 1].flatten(1)
                read.addmm_(by.inputs.t()[: len(read)], products.flatten(1))
        of_weight = None
        if of_filters is not None:
            taps = (by.filters.t() @ of_filters.flatten(1)).view(kernel, inputs, outputs)
            of_weight = taps.permute(2, 1, 0).contiguous()
        return of_x, of_weight, of_bias, None, None


def _tiles(places: int, at_once: int) -> list[slice]:
    return [slice(at, min(at + at_once, places)) for at in range(0, places, at_once)]


def _transform(by: Tensor, rows: Tensor, out: Tensor) -> None:
    """Product of a matrix with rows, as many as there are."""
    torch.mm(by[: len(out), : len(rows)], rows.flatten(1), out=out.flatten(1))
