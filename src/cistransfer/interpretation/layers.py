"""A network as a plain chain of layers, when it is one."""

from __future__ import annotations

import copy
from collections.abc import Callable, Sequence

import torch
from torch import Tensor, nn

from cistransfer.interpretation.gradients import device_of
from cistransfer.models.blocks import one_hot
from cistransfer.models.kernels.normalisation import scale_and_shift
from cistransfer.models.score import evaluating

__all__ = [
    "CONVOLUTIONS",
    "ELEMENTWISE",
    "NORMS",
    "POOLS",
    "chain_of",
    "first_convolution",
    "first_filters",
    "fold_norms",
    "leaf_calls",
    "run_chain",
    "run_filters",
]

ELEMENTWISE = (
    nn.ReLU,
    nn.ReLU6,
    nn.LeakyReLU,
    nn.ELU,
    nn.CELU,
    nn.SELU,
    nn.GELU,
    nn.SiLU,
    nn.Mish,
    nn.Sigmoid,
    nn.Tanh,
    nn.Softplus,
    nn.Hardswish,
    nn.Hardsigmoid,
)
"""Activations: each number by itself. What a layer is, every method of this room reads here."""
NORMS = (nn.BatchNorm1d, nn.BatchNorm2d)
POOLS = (nn.MaxPool1d, nn.MaxPool2d)
CONVOLUTIONS = (nn.Conv1d, nn.Conv2d)


def leaf_calls(
    model: nn.Module, x: Tensor, part: Callable[[Tensor], Tensor] | None = None
) -> list[nn.Module]:
    """Leaf modules in the order in which a forward pass (of a part of the model) calls them."""
    calls: list[nn.Module] = []
    handles = [
        module.register_forward_hook(lambda module, inputs, output: calls.append(module))
        for module in model.modules()
        if not list(module.children())
    ]
    try:
        with evaluating(model), torch.inference_mode():
            (part or model)(x)
    finally:
        for handle in handles:
            handle.remove()
    return calls


def run_chain(layers: Sequence[nn.Module], x: Tensor) -> Tensor:
    """Run layers one after the other, flattening before the first linear one."""
    for layer in layers:
        if isinstance(layer, nn.Linear) and x.dim() > 2:
            x = torch.flatten(x, 1)
        x = layer(x)
    return x


def chain_of(
    model: nn.Module, length: int, part: Callable[[Tensor], Tensor] | None = None
) -> list[nn.Module] | None:
    """Layers whose composition is the model, or a part of it; None when it is not a plain chain.

    The layers are found by calling the model on random sequences, and the composition is checked
    against it: a skip connection, a sum or a functional activation does not pass.
    """
    device = device_of(model)
    generator = torch.Generator().manual_seed(0)
    codes = torch.randint(0, 4, (4, length), generator=generator, dtype=torch.uint8)
    x = one_hot(codes).to(device)
    layers = [layer for layer in leaf_calls(model, x, part) if not isinstance(layer, nn.Dropout)]
    with evaluating(model), torch.inference_mode():
        wanted = (part or model)(x)
        for lifted in (x, x.unsqueeze(2)):
            try:
                found = run_chain(layers, lifted)
            except (RuntimeError, ValueError, TypeError, AttributeError, IndexError):
                continue
            if found.shape == wanted.shape and torch.allclose(found, wanted, atol=1e-5, rtol=1e-5):
                return layers
    return None


def fold_norms(layers: Sequence[nn.Module]) -> list[nn.Module]:
    """Copy a chain with each batch norm that follows a convolution or linear layer put into it.

    In evaluation mode a batch norm is a linear map per channel, so the function is the same (to
    rounding) with fewer passes over memory. The layers given are not changed.
    """
    folded: list[nn.Module] = []
    for layer in layers:
        before = folded[-1] if folded else None
        if (
            isinstance(layer, NORMS)
            and isinstance(before, (*CONVOLUTIONS, nn.Linear))
            and layer.running_mean is not None
            and layer.running_var is not None
        ):
            before = copy.deepcopy(before)
            with torch.no_grad():
                scale, shift = scale_and_shift(layer)
                if before.bias is not None:
                    shift = shift + before.bias * scale
                before.weight = nn.Parameter(
                    before.weight * scale.view(-1, *[1] * (before.weight.dim() - 1))
                )
                before.bias = nn.Parameter(shift)
            folded[-1] = before
        else:
            folded.append(layer)
    return folded


def first_convolution(model: nn.Module, length: int) -> nn.Module:
    """The convolution that reads the sequence; `InputError` when another layer comes first."""
    from cistransfer.errors import InputError

    calls = leaf_calls(model, torch.zeros((2, 4, length), device=device_of(model)))
    for module in calls:
        if isinstance(module, CONVOLUTIONS) and module.in_channels == 4:
            return module
        if not isinstance(module, nn.Identity | nn.Dropout):
            break
    found = type(calls[0]).__name__ if calls else "nothing"
    raise InputError(
        f"filters need a model whose first layer is a convolution over the sequence, found {found}"
    )


def first_filters(model: nn.Module, length: int) -> list[nn.Module]:
    """The first convolution and the batch norm and activation modules right behind it.

    The output of the last of them is what a filter "sees": the activation before any pooling
    (conv → batch norm → ReLU in the published network).
    """
    convolution = first_convolution(model, length)
    calls = leaf_calls(model, torch.zeros((2, 4, length), device=device_of(model)))
    block = [convolution]
    for module in calls[calls.index(convolution) + 1 :]:
        if not isinstance(module, (*NORMS, *ELEMENTWISE)):
            break
        block.append(module)
    return block


def run_filters(block: Sequence[nn.Module], x: Tensor) -> Tensor:
    """Layers along the length on (n, channels, length), whichever form they want."""
    try:
        return run_chain(block, x.unsqueeze(2)).squeeze(2)
    except (RuntimeError, ValueError):
        return run_chain(block, x)
