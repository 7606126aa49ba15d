"""Tune a PWM as a classifier: what separates bound from unbound sequences by its sum occupancy."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

import numpy as np
from numpy.typing import NDArray

from cistransfer.genome.codes import reverse_complement
from cistransfer.motifs.pwm import PWM, UNIFORM
from cistransfer.motifs.scan import WORD, scan_words, word_numbers

__all__ = ["tune"]

Codes = NDArray[np.uint8]
Floats = NDArray[np.float64]

_SHORT_WORD, _FEW = 3, 1 << 16
"""Letters of a word where there are fewer letters in all: tables of long ones would take longer to
make than what is looked up in them."""
_MIN_SHARE = 0.01  # of a sequence's occupancy: smaller windows are left out of the gradient


def tune(
    codes: Codes,
    positive: NDArray[np.bool_],
    pwm: PWM,
    background: Sequence[float] = UNIFORM,
    *,
    strength: float = 10.0,
    steps: int = 40,
) -> PWM:
    """Fit a PWM's weights by penalised logistic regression on the log of its sum occupancy.

    A PWM counted from sites describes the sites; what separates bound from unbound sequences is
    slightly different (Novakovsky 2021 score by sum occupancy). The classes weigh alike; the
    weights (natural log-odds) are held to where they started by ``strength / 2 · Σ (Δ)²``, which
    at 50 positives keeps the motif nearly as it was.

    Parameters
    ----------
    codes : ndarray of uint8, shape (n, length)
        At least as long as the motif.
    positive : ndarray of bool, shape (n,)
        Both classes occur.
    pwm : PWM
        All probabilities above 0.
    background : four floats
        Scan the result with the same background.
    strength : float
        Of the penalty, per weight, against a log-likelihood of about four times the size of the
        smaller class.
    steps : int
        Of L-BFGS.

    Returns
    -------
    PWM
        Of the same width and names.
    """
    from scipy.optimize import minimize

    frequencies = np.asarray(background, dtype=np.float64)
    start = np.log(pwm.probabilities / frequencies)
    start -= (start * frequencies).sum(axis=1, keepdims=True)
    n_positive, n = int(positive.sum()), len(codes)
    smaller = min(n_positive, n - n_positive)
    importance = np.where(positive, 2 * smaller / n_positive, 2 * smaller / (n - n_positive))
    scan = _Scan(codes, pwm.width)
    scores, _, _ = scan.occupancy(start)
    intercept, slope = _logistic_line(scores, positive, importance)

    def loss_and_gradient(values: Floats) -> tuple[float, Floats]:
        shift, scale, weights = values[0], values[1], values[2:].reshape(start.shape)
        log_sum, shares, windows = scan.occupancy(weights)
        logit = shift + scale * log_sum
        loss = float((importance * (np.logaddexp(0, logit) - positive * logit)).sum())
        residual = importance * (0.5 * (1 + np.tanh(logit / 2)) - positive)
        rows = windows[0]
        moved = scan.letter_sums(windows, shares * residual[rows] * scale)
        drift = weights - start
        loss += strength / 2 * float((drift**2).sum()) + 0.05 * (scale - slope) ** 2
        gradient = moved + strength * drift
        scale_gradient = (residual * log_sum).sum() + 0.1 * (scale - slope)
        return loss, np.concatenate([[residual.sum(), scale_gradient], gradient.ravel()])

    found = minimize(
        loss_and_gradient,
        np.concatenate([[intercept, slope], start.ravel()]),
        jac=True,
        method="L-BFGS-B",
        options={"maxiter": steps},
    )
    odds = frequencies * np.exp(found.x[2:].reshape(start.shape))
    return replace(pwm, probabilities=odds / odds.sum(axis=1, keepdims=True))


class _Scan:
    """Sequences numbered once, scanned with many weights."""

    def __init__(self, codes: Codes, width: int) -> None:
        self.codes = codes
        self.width = width
        self.windows = codes.shape[1] - width + 1
        self.word = min(_SHORT_WORD if codes.size < _FEW else WORD, width)
        self.numbers = word_numbers(codes, self.word)

    def occupancy(self, weights: Floats) -> tuple[Floats, Floats, tuple[NDArray, ...]]:
        """Log of the sum over windows and strands, and the windows that make it up.

        Returns
        -------
        log_sum : ndarray, shape (n,)
        shares : ndarray
            Share of its sequence's sum, of each window that matters.
        windows : tuple of three ndarrays
            Row, strand (0 or 1) and start of these windows.
        """
        pairs = scan_words(self.numbers, (weights, weights[::-1, ::-1]), self.word)
        pairs[:, self.windows :] = -np.inf  # would hang over the end
        scores = pairs.reshape(len(pairs), -1)
        best = scores.max(axis=1)
        scores -= best[:, None]
        weighed = np.exp(scores, out=scores)
        total = weighed.sum(axis=1, dtype=np.float64)
        rows, places = np.nonzero(weighed > (_MIN_SHARE * total[:, None]).astype(np.float32))
        shares = weighed[rows, places] / total[rows]
        return best + np.log(total), shares, (rows, places % 2, places // 2)

    def letter_sums(self, windows: tuple[NDArray, ...], amounts: Floats) -> Floats:
        """Sum of the amounts by position and letter of the windows, shape (width, 4)."""
        rows, strands, starts = windows
        letters = self.codes[rows[:, None], starts[:, None] + np.arange(self.width)]
        letters[strands == 1] = reverse_complement(letters[strands == 1])
        sums = [np.bincount(column, weights=amounts, minlength=5)[:4] for column in letters.T]
        return np.array(sums)


def _logistic_line(
    scores: Floats, positive: NDArray[np.bool_], importance: Floats
) -> tuple[float, float]:
    """Intercept and slope (at least 0.05) of a weighted logistic regression on one score."""
    from sklearn.linear_model import LogisticRegression

    model = LogisticRegression(C=10.0).fit(scores[:, None], positive, sample_weight=importance)
    return float(model.intercept_[0]), max(float(model.coef_[0, 0]), 0.05)
