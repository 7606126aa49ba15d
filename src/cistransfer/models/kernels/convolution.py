"""Convolution by faster products: by Fourier transforms, or the weights' gradient as one."""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor
from torch.autograd.function import once_differentiable

from cistransfer.models.kernels import in_use
from cistransfer.models.kernels.fourier import convolve_by_fourier, outputs_at_once
from cistransfer.models.kernels.processor import gains_from_fourier

__all__ = ["convolve", "plain_convolve"]


def convolve(x: Tensor, weight: Tensor, bias: Tensor | None, *, constant: bool = True) -> Tensor:
    """Convolve along the last axis, without padding.

    In bf16 on CPU (also by autocast) PyTorch's gradient of the weights needs 1.1 to 1.9 times as
    long as the product of the output's gradient with the input's windows, laid out one beside the
    other; here it is that product. In float32 on CPU it is computed by `convolve_by_fourier` where
    that is less work (`outputs_at_once`), without gradients only where `gains_from_fourier` says
    so. Otherwise it is `torch.nn.functional.conv2d`.

    Parameters
    ----------
    x : tensor, shape (n, inputs, 1, length)
        In channels-last memory, or place by place (`cistransfer.models.kernels.layout`).
    weight : tensor, shape (outputs, inputs, kernel)
    bias : tensor, shape (outputs,), optional
    constant : bool
        False where a batch norm in training follows, which takes every constant out again: the
        gradient of the bias is 0 then, and its sum, which is only rounding, may be left out.

    Returns
    -------
    tensor, shape (n, outputs, 1, length − kernel + 1)
        Place by place in memory where it was computed by Fourier transforms.
    """
    if x.device.type == "cpu" and torch.is_autocast_enabled("cpu") and x.dtype != torch.float64:
        kind = torch.get_autocast_dtype("cpu")
        x, weight = x.to(kind), weight.to(kind)
        bias = None if bias is None else bias.to(kind)
    ours = in_use() and x.device.type == "cpu"
    by_fourier = x.device.type == "cpu" and in_use(torch.is_grad_enabled() or gains_from_fourier())
    if by_fourier and x.dtype in (torch.float32, torch.float64):
        outputs, inputs, kernel = weight.shape
        at_once = outputs_at_once(len(x), inputs, outputs, x.shape[3], kernel)
        if at_once is not None:
            return convolve_by_fourier(x, weight, bias, at_once, constant=constant)
    fits = ours and x.dtype == torch.bfloat16
    if not fits or not x.permute(0, 2, 3, 1).is_contiguous():
        return plain_convolve(x, weight, bias)
    y: Tensor = _Convolution.apply(x, weight, bias, constant)
    return y


def plain_convolve(x: Tensor, weight: Tensor, bias: Tensor | None) -> Tensor:
    """PyTorch's convolution, which `convolve` equals."""
    return torch.nn.functional.conv2d(x, weight.unsqueeze(2), bias)


class _Convolution(torch.autograd.Function):
    @staticmethod
    def forward(
        context: Any, x: Tensor, weight: Tensor, bias: Tensor | None, constant: bool
    ) -> Tensor:
        last = weight.transpose(1, 2).contiguous()  # output, place, input: once for both passes
        flat = last.transpose(1, 2).unsqueeze(2)
        context.save_for_backward(x, flat)
        context.constant = constant
        return torch.nn.functional.conv2d(x, flat, bias)

    @staticmethod
    @once_differentiable
    def backward(context: Any, gradient: Tensor) -> tuple[Tensor | None, ...]:
        x, weight = context.saved_tensors
        outputs, inputs, _, kernel = weight.shape
        of_x, of_weight, of_bias = None, None, None
        if context.needs_input_grad[0]:
            of_x = torch.ops.aten.convolution_backward(
                gradient, x, weight, None, [1, 1], [0, 0], [1, 1], False, [0, 0], 1,
                [True, False, False],
            )[0]  # fmt: skip
        rows = gradient.permute(0, 2, 3, 1).reshape(-1, outputs)
        if context.needs_input_grad[1]:
            given = x.permute(0, 2, 3, 1).squeeze(1)
            n, length = given.shape[:2]
            count = length - kernel + 1
            windows = given.as_strided(
                (n, count, kernel * inputs), (length * inputs, inputs, 1), given.storage_offset()
            )
            product = rows.t() @ windows.reshape(-1, kernel * inputs)
            of_weight = product.view(outputs, kernel, inputs).transpose(1, 2).contiguous()
        if context.needs_input_grad[2] and not context.constant:
            of_bias = rows.new_zeros(outputs)
        elif context.needs_input_grad[2]:
            of_bias = rows.view(len(gradient), -1, outputs).sum(1, dtype=torch.float32).sum(0)
            of_bias = of_bias.to(gradient.dtype)
        return of_x, of_weight, of_bias, None
