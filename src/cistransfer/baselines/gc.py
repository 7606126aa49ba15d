"""GC content and nothing else."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from cistransfer.baselines.fitted import training_rows
from cistransfer.genome.codes import gc_fraction

__all__ = ["GCContent", "fit_gc"]


@dataclass(frozen=True)
class GCContent:
    """Logistic regression on the GC content and its square.

    Attributes
    ----------
    centre : float
        GC content that is subtracted; sequences of N only get it.
    intercept, linear, square : float
        Coefficients of the log-odds.
    """

    centre: float
    intercept: float
    linear: float
    square: float

    def score(self, codes: NDArray[np.uint8]) -> NDArray[np.float64]:
        """Log-odds from GC content, shape (n,)."""
        x = _features(codes, self.centre)
        return self.intercept + x @ np.array([self.linear, self.square])

    def describe(self) -> str:
        """Say which GC content scores highest."""
        if self.square < 0:
            best = self.centre - self.linear / (2 * self.square) / _SCALE
            if 0 < best < 1:
                return f"highest at GC {best:.2f}"
        return "higher GC" if self.linear > 0 else "lower GC"


_SCALE = 10.0  # GC contents differ by about 0.1


def fit_gc(codes: NDArray[np.uint8], labels: NDArray[np.int8], seed: int = 0) -> GCContent:
    """Fit the regression, both classes weighing alike; needs a sequence of each class."""
    from sklearn.linear_model import LogisticRegression

    codes, positive = training_rows(codes, labels, "gc")
    gc = gc_fraction(codes)
    centre = float(np.nanmean(gc)) if np.isfinite(gc).any() else 0.5
    model = LogisticRegression(class_weight="balanced").fit(_features(codes, centre), positive)
    linear, square = (float(value) for value in model.coef_[0])
    return GCContent(centre, float(model.intercept_[0]), linear, square)


def _features(codes: NDArray[np.uint8], centre: float) -> NDArray[np.float64]:
    away = (np.nan_to_num(gc_fraction(codes), nan=centre) - centre) * _SCALE
    return np.stack([away, away**2], axis=1)
