"""DeepLIFT with the rescale rule, each sequence against several references.

The multiplier of a non-linearity is the same for a sequence and for its reference, so only the
references are propagated back; the sequence itself is run once, whatever their number. Modules are
hooked one by one; blocks that a network of ours begins with are one step each
(`cistransfer.interpretation.maxima`), to the same numbers.
"""

from __future__ import annotations

import contextlib
from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn

from cistransfer.interpretation.gradients import device_of, make_references, output_of
from cistransfer.interpretation.layers import ELEMENTWISE, POOLS
from cistransfer.interpretation.maxima import Maxima, step_of
from cistransfer.models.blocks import one_hot
from cistransfer.models.model import MotifFeatures
from cistransfer.models.score import evaluating, with_copies

__all__ = ["deeplift"]

Codes = NDArray[np.uint8]
Floats = NDArray[np.float32]

_PATHS = (MotifFeatures,)  # smooth, but neither elementwise nor pooling: see `_PathRule`
_NODES = 24
_SAME = 1e-6


def deeplift(
    model: nn.Module,
    codes: Codes,
    *,
    task: int = 0,
    on: str = "logit",
    references: str | Codes = "dinucleotide",
    shuffles: int = 20,
    seed: int = 0,
    batch_size: int = 128,
) -> tuple[Floats, Floats]:
    """DeepLIFT (rescale rule; Shrikumar et al. 2017) averaged over references.

    Activations and max-pooling must be modules (``nn.ReLU``, ``nn.MaxPool2d``): functional ones
    are seen as linear, which the error shows. A logit of −0.2 may be a difference of large
    contributions: look at the error before the picture.

    Parameters
    ----------
    model : nn.Module
        One-hot ``(n, 4, length)`` → logits ``(n, tasks)``; handed back as it came.
    codes : ndarray of uint8, shape (n, length)
        N is a column of zeros; shuffled references keep it in place, so it gets 0.
    task, on
        See `gradient_input`.
    references : str or ndarray of uint8, shape (n, r, length)
        ``dinucleotide`` (shuffled), ``permutation`` (as published), ``zero``, or given ones.
    shuffles, seed
        Of the references.
    batch_size : int
        References propagated at a time.

    Returns
    -------
    hypothetical : ndarray of float32, shape (n, 4, length)
        Contribution that each base would have, mean over references of
        ``Σ_c (onehot(base) − reference)_c × multiplier_c`` (as TF-MoDISco wants it). The
        contribution of the sequence is the entry at the base that is there.
    error : ndarray of float32, shape (n,)
        Completeness: largest over references of |Σ contributions − (f(x) − f(reference))|.
    """
    output_of(model, task, on)  # or refuses
    refs = make_references(codes, references, shuffles=shuffles, seed=seed)
    if refs.shape[1] == 1 and (batch_size == 1 or len(codes) % batch_size == 1):
        # Twice: of one example alone, PyTorch (2.13) returns a wrong gradient of a batch norm in
        # evaluation mode when the strides of its axes of length one are unusual.
        refs = np.repeat(refs, 2, axis=1)
    rows = max(1, batch_size // refs.shape[1])
    batches = [slice(at, at + rows) for at in range(0, len(codes), rows)]

    def explain(model: nn.Module, batch: slice) -> tuple[Floats, Floats]:
        with evaluating(model), _hooked(model) as tape:
            return _explain(model, tape, codes[batch], refs[batch], task, on)

    result = np.empty((len(codes), 4, codes.shape[1]), np.float32)
    error = np.empty(len(codes), np.float32)
    for batch, found in zip(batches, with_copies(explain, model, batches), strict=True):
        result[batch], error[batch] = found
    return result, error


def _explain(
    model: nn.Module, tape: _Tape, codes: Codes, refs: Codes, task: int, on: str
) -> tuple[Floats, Floats]:
    """Contributions and completeness of sequences with as many references each."""
    explained = output_of(model, task, on)
    device, per = device_of(model), refs.shape[1]
    x = one_hot(torch.from_numpy(np.array(codes)).to(device))
    tape.start(0, per)
    with torch.no_grad():
        fx = explained(x)
        if on == "probability":
            logit = torch.logit(fx.double()).float()
    base = torch.from_numpy(np.array(refs)).to(device)
    r = one_hot(base.flatten(0, 1)).detach().requires_grad_()
    tape.start(1, per)
    with torch.enable_grad():
        fr = explained(r)
        (m,) = torch.autograd.grad(fr.sum(), r)
    tape.clear()
    if on == "probability":
        m = m * _sigmoid_rescale(logit, fx, fr.detach(), per)[:, None, None]
    m = m.unflatten(0, (len(codes), per))
    r = r.detach().unflatten(0, (len(codes), per))
    given = ((x[:, None] - r) * m).sum(dim=(2, 3))
    wanted = fx[:, None] - fr.detach().unflatten(0, (len(codes), per))
    hypothetical = (m - (r * m).sum(dim=2, keepdim=True)).mean(dim=1)
    return hypothetical.cpu().numpy(), (given - wanted).abs().amax(dim=1).cpu().numpy()


def _sigmoid_rescale(logit: Tensor, fx: Tensor, fr: Tensor, per: int) -> Tensor:
    """Secant of the final sigmoid over its slope at the reference (which autograd applied)."""
    at = torch.logit(fr.double()).float()
    x, y = logit.repeat_interleave(per), fx.repeat_interleave(per)
    slope = fr * (1 - fr)
    near = (x - at).abs() < _SAME
    return torch.where(near, torch.ones_like(slope), (y - fr) / (x - at) / slope)


@dataclass
class _Tape:
    """What the non-linear modules saw of the sequences, call by call."""

    stage: int = 0
    per: int = 1
    calls: dict[nn.Module, list[tuple[Tensor, ...]]] = field(default_factory=dict)
    turn: dict[nn.Module, int] = field(default_factory=dict)

    def start(self, stage: int, per: int) -> None:
        self.stage, self.per, self.turn = stage, per, {}
        if stage == 0:
            self.calls = {}

    def clear(self) -> None:
        self.calls = {}

    def hook(self, module: nn.Module, inputs: tuple[Any, ...], output: Any) -> Any:
        """Store the sequences' activations, then hand the references a rescaled output."""
        if self.stage == 0:
            seen = [inputs[0].detach(), output.detach()]
            if isinstance(module, POOLS):
                seen.append(_argmax(module, inputs[0]))
            self.calls.setdefault(module, []).append(tuple(seen))
            return None
        seen_x = self._seen(module)
        if isinstance(module, POOLS):
            return _PoolRule.apply(inputs[0], output.detach(), module, self.per, *seen_x)
        if isinstance(module, _PATHS):
            return _PathRule.apply(inputs[0], output.detach(), module, self.per, *seen_x)
        return _Rescale.apply(inputs[0], output.detach(), module, self.per, *seen_x)

    def in_one(self, module: _AsOne, x: Tensor) -> Tensor:
        """Several layers in one step: of the sequences, then of the references."""
        if self.stage == 0:
            out, seen = module.step.of_sequences(x)
            self.calls.setdefault(module, []).append(seen)
            return out
        x_scores, x_highest = self._seen(module)
        return module.step.of_references(x, (x_scores, x_highest), self.per)

    def _seen(self, module: nn.Module) -> tuple[Tensor, ...]:
        turn = self.turn.get(module, 0)
        self.turn[module] = turn + 1
        return self.calls[module][turn]


class _AsOne(nn.Module):
    """Stands in the place of a block whose convolution, ReLU and maximum are one step."""

    def __init__(self, tape: _Tape, step: Maxima, behind: nn.Module) -> None:
        super().__init__()
        self.tape, self.step, self.behind = tape, step, behind

    def forward(self, x: Tensor) -> Tensor:
        return self.behind(self.tape.in_one(self, x))


@contextlib.contextmanager
def _hooked(model: nn.Module) -> Iterator[_Tape]:
    tape = _Tape()
    handles = []
    inplace = []
    replaced = []
    for parent in list(model.modules()):
        for name, child in parent.named_children():
            step = step_of(child, _SAME)
            if step is not None:
                replaced.append((parent, name, child))
                parent.add_module(name, _AsOne(tape, *step))
    for module in model.modules():
        if isinstance(module, (*ELEMENTWISE, *POOLS, *_PATHS)):
            if getattr(module, "inplace", False):
                inplace.append(module)
                module.inplace = False
            handles.append(module.register_forward_hook(tape.hook))
    try:
        yield tape
    finally:
        for handle in handles:
            handle.remove()
        for module in inplace:
            module.inplace = True
        for parent, name, child in replaced:
            parent.add_module(name, child)


def _pair(t: Tensor, per: int) -> Tensor:
    return t.unflatten(0, (-1, per))


class _Rescale(torch.autograd.Function):
    """Forward as is; backward multiplies by Δoutput / Δinput of sequence and reference."""

    @staticmethod
    def forward(ctx: Any, r: Tensor, out: Tensor, module: nn.Module, per: int, *x: Tensor) -> Any:
        ctx.save_for_backward(r, out, *x)
        ctx.per, ctx.module = per, module
        return out.view_as(out)

    @staticmethod
    def backward(ctx: Any, *gradients: Any) -> Any:
        r, out, x, y = ctx.saved_tensors
        run = x.unsqueeze(1) - _pair(r, ctx.per)
        ratio = (y.unsqueeze(1) - _pair(out, ctx.per)).div_(run)
        flat = run.abs_() < _SAME
        ratio = torch.where(flat, _slope(ctx.module, x).unsqueeze(1), ratio)
        return (ratio.flatten(0, 1).mul_(gradients[0]), None, None, None, None, None)


def _slope(module: nn.Module, x: Tensor) -> Tensor:
    """Derivative of an elementwise module at ``x``."""
    if type(module) is nn.ReLU:
        return (x > 0).to(x.dtype)
    with torch.enable_grad():
        point = x.detach().requires_grad_()
        (slope,) = torch.autograd.grad(module.forward(point).sum(), point)
    return slope


def _argmax(module: Any, x: Tensor) -> Tensor:
    one = isinstance(module, nn.MaxPool1d)
    pool = nn.functional.max_pool1d if one else nn.functional.max_pool2d
    _, index = pool(
        x, module.kernel_size, module.stride, module.padding, module.dilation,
        ceil_mode=module.ceil_mode, return_indices=True,
    )  # fmt: skip
    return index


class _PoolRule(torch.autograd.Function):
    """Max-pooling: the change of each maximum goes to the places that held it.

    With ``high = max(out, reference out)``, ``high − reference out`` goes to the sequence's
    argmax and ``out − high`` to the reference's; together they are the change of the output.
    Where the input does not change at all the multiplier is the plain gradient, except where it
    is 0 in both (behind a ReLU, whose own multiplier is 0 there).
    """

    @staticmethod
    def forward(ctx: Any, r: Tensor, out: Tensor, module: nn.Module, per: int, *x: Tensor) -> Any:
        ctx.save_for_backward(r, out, *x)
        ctx.per, ctx.module = per, module
        return out.view_as(out)

    @staticmethod
    def backward(ctx: Any, *gradients: Any) -> Any:
        r, out, x, y, index = ctx.saved_tensors
        gradient, shape = _pair(gradients[0], ctx.per), (len(x), ctx.per)
        held = _pair(out, ctx.per)
        at_x = index.unsqueeze(1).expand_as(held).flatten(3)
        high = torch.maximum(y.unsqueeze(1), held)
        routed = r.new_zeros(r.shape).unflatten(0, shape)  # places are a view of it
        places = routed.flatten(3)
        places.scatter_add_(3, at_x, (gradient * (high - held)).flatten(3))
        at_r = _pair(_argmax(ctx.module, r), ctx.per).flatten(3)
        places.scatter_add_(3, at_r, (gradient * (y.unsqueeze(1) - high)).flatten(3))
        run = x.unsqueeze(1) - _pair(r, ctx.per)
        flat = run == 0
        routed.div_(run.add_(flat))  # 0 becomes 1 where nothing changes
        if (flat & (x != 0).unsqueeze(1)).any():
            plain = r.new_zeros(r.shape).unflatten(0, shape)
            plain.flatten(3).scatter_add_(3, at_x, gradient.flatten(3))
            routed = torch.where(flat, plain, routed)
        return (routed.flatten(0, 1), None, None, None, None, None, None)


class _PathRule(torch.autograd.Function):
    """A module as a whole: its Jacobian averaged along the line from reference to sequence.

    That is integrated gradients of one module (Gauss–Legendre), which adds up to the change of
    each output as the rescale rule does for one input.
    """

    @staticmethod
    def forward(ctx: Any, r: Tensor, out: Tensor, module: nn.Module, per: int, *x: Tensor) -> Any:
        ctx.save_for_backward(r, x[0])
        ctx.per, ctx.module = per, module
        return out.view_as(out)

    @staticmethod
    def backward(ctx: Any, *gradients: Any) -> Any:
        r, x = ctx.saved_tensors
        change = x.repeat_interleave(ctx.per, dim=0) - r
        points, weights = np.polynomial.legendre.leggauss(_NODES)
        total = torch.zeros_like(r)
        for point, weight in zip((points + 1) / 2, weights / 2, strict=True):
            at = (r + float(point) * change).detach().requires_grad_()
            with torch.enable_grad():
                out = ctx.module.forward(at)
                (slope,) = torch.autograd.grad(out, at, gradients[0])
            total += float(weight) * slope
        return (total, None, None, None, None, None)
