"""A model as an ordinary `torch.nn.Module`, for libraries that know nothing of bundles."""

from __future__ import annotations

import copy

import torch
from torch import Tensor, nn

from cistransfer.errors import InputError
from cistransfer.models.bundle import Bundle
from cistransfer.models.kernels import use

__all__ = ["OUTPUTS", "Scorer", "as_module"]

OUTPUTS = ("logit", "probability")


class Scorer(nn.Module):
    """One-hot in, a bundle's scores out: both strands, motifs, link and calibration in it.

    The two strands of a sequence stand side by side in one batch, so each layer runs once in a
    forward pass, and half of the batch before it is half of the batch in every layer: what hooks
    layers (DeepLIFT in captum and tangermeme) reads sequences and references where it expects them.

    Parameters
    ----------
    bundle : Bundle
        Its model is copied.
    strands : {"both", "forward"}
        ``both`` averages the logits of a sequence and its reverse complement.
    output : {"logit", "probability"}
        ``probability`` is calibrated: sigmoid of the logit over the temperature.
    """

    temperature: Tensor

    def __init__(self, bundle: Bundle, strands: str = "both", output: str = "logit") -> None:
        super().__init__()
        if strands not in ("both", "forward"):
            raise InputError(f"strands must be 'both' or 'forward', found {strands!r}")
        if output not in OUTPUTS:
            raise InputError(f"output must be one of {', '.join(OUTPUTS)}, found {output!r}")
        self.model = copy.deepcopy(bundle.model).cpu()
        self.both = strands == "both"
        temperature = torch.tensor(bundle.temperatures, dtype=torch.float32)
        self.register_buffer("temperature", temperature)
        self.sigmoid = nn.Sigmoid() if output == "probability" else None
        self.eval()

    def forward(self, x: Tensor) -> Tensor:
        """Map one-hot ``(n, 4, window)`` to ``(n, n_tasks)``."""
        if self.both:
            x = torch.stack([x, x.flip(1, 2)], dim=1).flatten(0, 1)
        with use(False):
            logits = self.model(x)
        if self.both:
            logits = logits.unflatten(0, (-1, 2)).mean(dim=1)
        return logits if self.sigmoid is None else self.sigmoid(logits / self.temperature)


def as_module(bundle: Bundle, *, strands: str = "both", output: str = "logit") -> Scorer:
    """A bundle's model as an ordinary module: one-hot ``(n, 4, window)`` → ``(n, n_tasks)``.

    Differentiable in its input, in evaluation mode, on the CPU; see `Scorer`.
    """
    return Scorer(bundle, strands, output)
