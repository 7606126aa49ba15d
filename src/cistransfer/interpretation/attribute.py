"""The one door to all attribution methods."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from torch import nn

from cistransfer.errors import InputError, nearest
from cistransfer.genome.codes import N, reverse_complement
from cistransfer.interpretation.deeplift import deeplift
from cistransfer.interpretation.gradients import gradient_input, integrated_gradients
from cistransfer.interpretation.mutagenesis import largest_effect, mutagenesis
from cistransfer.interpretation.steps import ATTRIBUTIONS

__all__ = ["Attribution", "at_present_base", "attribute"]

Codes = NDArray[np.uint8]
Floats = NDArray[np.float32]


@dataclass(frozen=True, repr=False)
class Attribution:
    """How much each base of each sequence speaks for a task.

    Attributes
    ----------
    method, on : str
        The method's name; ``logit`` or ``probability``.
    task : int
        Column of the output.
    contributions : ndarray of float32, shape (n, length)
        For mutagenesis the largest change by any substitution (negative: the base matters), for
        the others the contribution of the base (positive: the base speaks for the task).
    hypothetical : ndarray of float32, shape (n, 4, length), or None
        DeepLIFT: contribution that each base would have. Gradient × input: the gradient.
        Mutagenesis: the change by each substitution. None for integrated gradients.
    error : ndarray of float32, shape (n,), or None
        How far the contributions are from adding up (DeepLIFT, integrated gradients), in units
        of the output.
    """

    method: str
    on: str
    task: int
    contributions: Floats
    hypothetical: Floats | None
    error: Floats | None

    def __repr__(self) -> str:
        n, length = self.contributions.shape
        return (
            f"<Attribution {self.method} of the {self.on} of task {self.task}: "
            f"{n:,} {'sequence' if n == 1 else 'sequences'} of {length} bp>"
        )


def at_present_base(maps: Floats, codes: Codes) -> Floats:
    """Values of ``(n, 4, length)`` maps at the base that is there, ``(n, length)``; 0 at N."""
    index = np.minimum(codes, 3).astype(np.int64)[:, None]
    return np.where(codes < N, np.take_along_axis(maps, index, axis=1)[:, 0], 0).astype(np.float32)


def attribute(
    model: nn.Module,
    codes: Codes,
    *,
    method: str = "deeplift",
    task: int = 0,
    on: str = "logit",
    references: str = "dinucleotide",
    shuffles: int = 20,
    seed: int = 0,
    both_strands: bool = False,
) -> Attribution:
    """Attribute a task's output to the bases of sequences.

    Parameters
    ----------
    model : nn.Module
        One-hot ``(n, 4, length)`` → logits ``(n, tasks)``; handed back as it came.
    codes : ndarray of uint8, shape (n, length)
        N is masked: it gets 0.
    method : {"deeplift", "gradient-input", "integrated-gradients", "mutagenesis"}
    task : int
        Column of the output.
    on : {"logit", "probability"}
        What is explained; ChromTransfer explained the probability.
    references, shuffles, seed
        Of DeepLIFT and integrated gradients (which uses at most 5 shuffles).
    both_strands : bool
        Average with the attribution of the reverse complement, turned back.

    Raises
    ------
    InputError
        For an unknown method or task.
    """
    if method not in ATTRIBUTIONS:
        raise InputError(f"no attribution method {method!r}; {nearest(method, ATTRIBUTIONS)}")
    if method != "mutagenesis" and getattr(model, "no_gradient", False):
        raise InputError(
            f"the model counts words, of which there is no gradient for {method}; attribute it by "
            "mutagenesis"
        )
    one = _one_strand(model, codes, method, task, on, references, shuffles, seed)
    if not both_strands:
        return one
    other = _one_strand(
        model, reverse_complement(codes), method, task, on, references, shuffles, seed
    )
    turned = other.contributions[:, ::-1]
    hypothetical: Floats | None = None
    if one.hypothetical is not None and other.hypothetical is not None:
        mean = (one.hypothetical + other.hypothetical[:, ::-1, ::-1]) / 2
        hypothetical = np.asarray(mean, np.float32)
    contributions = np.asarray((one.contributions + turned) / 2, np.float32)
    if method == "mutagenesis" and hypothetical is not None:
        contributions = largest_effect(hypothetical)
    error = None
    if one.error is not None and other.error is not None:
        error = np.maximum(one.error, other.error)
    return Attribution(method, on, task, contributions, hypothetical, error)


def _one_strand(
    model: nn.Module,
    codes: Codes,
    method: str,
    task: int,
    on: str,
    references: str,
    shuffles: int,
    seed: int,
) -> Attribution:
    maps: Floats | None = None
    error: Floats | None = None
    if method == "deeplift":
        maps, error = deeplift(
            model, codes, task=task, on=on, references=references, shuffles=shuffles, seed=seed
        )
        contributions = at_present_base(maps, codes)
    elif method == "gradient-input":
        maps = gradient_input(model, codes, task=task, on=on)
        contributions = at_present_base(maps, codes)
    elif method == "mutagenesis":
        maps = mutagenesis(model, codes, task=task, on=on)
        contributions = largest_effect(maps)
    else:
        contributions, error = integrated_gradients(
            model, codes, task=task, on=on, references=references, seed=seed,
            shuffles=min(shuffles, 5),
        )  # fmt: skip
    return Attribution(method, on, task, contributions, maps, error)
