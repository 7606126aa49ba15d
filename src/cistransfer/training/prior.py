"""What is thought of a head before it is fitted: how freely each feature may be used.

A logistic regression with an L2 penalty thinks alike of all standardised features: its weights are
drawn from one normal distribution. The trunk knows better. The heads of its own TFs lie in the
same space, so a new TF's head is thought of as drawn from their distribution: a feature that they
use much may be used more freely (a diagonal), and their directions more freely still (of low rank:
their outputs stand beside the features, and what is learned about them is folded into the weights
of the features). And a feature, or output, that by itself ranks the new TF's bound examples above
the unbound ones, by more than chance, may be used more freely than its neighbours.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

__all__ = ["HeadPrior"]

Floats = NDArray[np.float64]

_OUTPUTS = 2.0
"""Freedom of a standardised output of the trunk, where that of its features is 1 in the mean."""
_EVIDENCE, _CHANCE = 0.5, 4.0
"""Variance gained for each unit of the squared standard score of a feature's rank sum that lies
above that of chance."""
_FLAT_HEADS = 5
"""Heads that use all features alike, put beside the trunk's: a trunk of one output says little."""
_MOST_RANKED = 1_000
"""Examples of a class that evidence is taken from."""


@dataclass(frozen=True)
class HeadPrior:
    """The trunk's output layer, as a prior of another head on the same features.

    Attributes
    ----------
    heads : ndarray of float64, shape (outputs, features)
        Its weights.
    uses : bool
        Whether features that the heads use much are freer than others.
    evidence : bool
        Whether features and outputs that rank the examples are freer than others.
    """

    heads: Floats
    uses: bool = True
    evidence: bool = True

    def beside(self, features: NDArray[Any], others: NDArray[Any]) -> Floats:
        """Features of the network, the trunk's outputs (without their biases), and others.

        Parameters
        ----------
        features : ndarray, shape (n, features)
        others : ndarray, shape (n, others)

        Returns
        -------
        ndarray of float64, shape (n, features + outputs + others)
        """
        n_outputs, cut = self.heads.shape
        known = cut + n_outputs
        found = np.empty((len(features), known + others.shape[1]))
        found[:, :cut], found[:, known:] = features, others
        np.matmul(found[:, :cut], self.heads.T, out=found[:, cut:known])
        return found

    def folded(self, weights: Floats) -> Floats:
        """Weights of what `beside` gives, as weights of what it was given."""
        n_outputs, cut = self.heads.shape
        own, outputs, others = np.split(weights, [cut, cut + n_outputs])
        return np.concatenate([own + outputs @ self.heads, others])

    def freedom(self, features: Floats, truth: NDArray[np.int8], spread: Floats) -> Floats:
        """Standard deviation of each weight on standardised features, those of the network 1 in
        the root mean square; of motifs and others 1.

        Parameters
        ----------
        features : ndarray, shape (n, features + outputs + others)
            Of `beside`.
        truth : ndarray of int, shape (n,)
            Both classes occur.
        spread : ndarray, shape (features + outputs + others,)
            Standard deviations; infinite where there is none.
        """
        n_outputs, cut = self.heads.shape
        varies = np.isfinite(spread[:cut])
        if not varies.any():
            return np.ones(len(spread))
        uses = np.square(self.heads * np.where(varies, spread[:cut], 0.0))
        usual = uses[:, varies].mean()
        uses = (uses.sum(axis=0) + _FLAT_HEADS * usual) / (n_outputs + _FLAT_HEADS)
        variance = np.ones(len(spread))
        known = cut + n_outputs
        if self.evidence:
            score = np.square(rank_scores(features[:, :known], truth))
            variance[:known] += _EVIDENCE * np.maximum(score - _CHANCE, 0.0)
        if self.uses and usual > 0:
            variance[:cut] *= np.sqrt(uses / usual)
        variance[:known] /= variance[:cut][varies].mean()
        variance[cut:known] *= _OUTPUTS**2
        return np.sqrt(variance)


def rank_scores(features: Floats, truth: NDArray[np.int8]) -> Floats:
    """Standard score of each feature's rank sum in the bound examples (Mann and Whitney's), ties
    counted as halves; of at most 1,000 examples of a class, evenly spread over the rows.

    Each class is sorted by itself, which takes a third of the time of `scipy.stats.rankdata`, to
    the same bits: it is done in every fold.

    Parameters
    ----------
    features : ndarray, shape (n, k)
    truth : ndarray of int, shape (n,)

    Returns
    -------
    ndarray of float64, shape (k,)
        Positive where bound examples have higher values.
    """
    bound, unbound = (
        np.sort(np.ascontiguousarray(features[_spread_out(np.flatnonzero(truth == value))].T))
        for value in (1, 0)
    )
    n_bound, n_unbound = bound.shape[1], unbound.shape[1]
    below = np.array(
        [
            np.searchsorted(other, own).sum() + np.searchsorted(other, own, side="right").sum()
            for own, other in zip(bound, unbound, strict=True)
        ]
    )
    pairs = n_bound * n_unbound
    return (below / 2 - pairs / 2) / math.sqrt(pairs * (n_bound + n_unbound + 1) / 12)


def _spread_out(rows: NDArray[np.int64]) -> NDArray[np.int64]:
    if len(rows) <= _MOST_RANKED:
        return rows
    return rows[np.arange(_MOST_RANKED) * len(rows) // _MOST_RANKED]
