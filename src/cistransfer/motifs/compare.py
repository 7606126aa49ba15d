"""Compare motifs: Tomtom with calibrated p-values, and a similarity for clustering."""

from __future__ import annotations

import contextlib
import math
import warnings
from collections.abc import Iterator, Sequence

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from cistransfer.errors import InputError
from cistransfer.motifs.pwm import PWM, information_content, trim

__all__ = ["compare", "weighted_similarity"]

Floats = NDArray[np.float64]

_NULL_SIZE = 20_000  # p-values of shuffled queries that one query is calibrated against
_MAX_SHUFFLES = 1_000
_TOGETHER = 50  # queries compared, with their shuffles, at a time
_TAIL = 0.01  # share of the null that the exponential tail is fitted to


def compare(
    queries: Sequence[PWM],
    targets: Sequence[PWM],
    *,
    min_information: float = 4.0,
    max_shuffles: int = _MAX_SHUFFLES,
    seed: int = 0,
    n_jobs: int = -1,
) -> pd.DataFrame:
    """Match motifs against known ones (Tomtom, complete scores; Gupta 2007) on both strands.

    Tomtom's p-values are too small: about one in five random filters matches something at a
    Benjamini–Hochberg q of 0.05. So each query is also compared in column-shuffled versions, and
    ``p_calibrated`` says how often a shuffled one matches a target as well; beyond the resolution
    of the shuffles an exponential tail is fitted to the largest one per cent of −log p. ``q`` is
    Benjamini–Hochberg over the targets of each query, from ``p_calibrated``.

    The first call on a machine compiles for half a minute.

    Parameters
    ----------
    min_information : float
        Queries with fewer bits in all (uniform background) are left out: flat motifs get tiny
        p-values by construction of the score.
    max_shuffles : int
        Shuffled versions of a query at most; fewer are made where there are many targets. Bounds
        the time for hundreds of queries against a handful of targets.
    seed : int
        Of the shuffles.
    n_jobs : int
        Threads; −1 for all.

    Returns
    -------
    DataFrame
        One row per informative query and target, best first within a query (in the order of
        ``queries``): ``query``, ``target`` (positions in the two lists), ``query_name``,
        ``target_name``, ``target_alt_name``, ``p``, ``p_calibrated``, ``q``, ``offset`` (where the
        first position of the query lies on the target, counted on the target's ``strand``),
        ``overlap`` (positions), ``strand`` (of the target, "+" or "-").

    Raises
    ------
    InputError
        Without targets, or when memelite is not installed.
    """
    from scipy.stats import false_discovery_control

    if not targets:
        raise InputError("expected motifs to compare with, found none")
    kept = [i for i, pwm in enumerate(queries) if information_content(pwm).sum() >= min_information]
    columns: dict[str, list[NDArray]] = {}
    rng = np.random.default_rng(seed)
    n_shuffles = min(max_shuffles, math.ceil(_NULL_SIZE / len(targets)))
    against = [pwm.probabilities for pwm in targets]
    for begin in range(0, len(kept), _TOGETHER):
        group = kept[begin : begin + _TOGETHER]
        matrices = [queries[i].probabilities for i in group]
        shuffled = [rng.permutation(matrix) for matrix in matrices for _ in range(n_shuffles)]
        results = _tomtom(matrices, against, n_jobs)
        null = _tomtom(shuffled, against, n_jobs)[0].reshape(len(group), -1)
        for row, i in enumerate(group):
            p, _, offset, overlap, strand = (result[row] for result in results)
            calibrated = _calibrate(p, null[row])
            order = np.lexsort((p, calibrated))
            values = {
                "query": np.full(len(targets), i),
                "target": np.arange(len(targets)),
                "p": p,
                "p_calibrated": calibrated,
                "q": false_discovery_control(calibrated),
                "offset": offset.astype(np.int64),
                "overlap": overlap.astype(np.int64),
                "strand": np.where(strand == 0, "+", "-"),
            }
            for column, value in values.items():
                columns.setdefault(column, []).append(value[order])
    if not columns:
        names = ("query", "target", "p", "p_calibrated", "q", "offset", "overlap", "strand")
        columns = {name: [np.empty(0)] for name in names}
    table = pd.DataFrame({column: np.concatenate(parts) for column, parts in columns.items()})
    table = table.astype({"query": np.int64, "target": np.int64})
    query_names = np.array([pwm.name for pwm in queries], dtype=object)
    target_names = np.array([pwm.name for pwm in targets], dtype=object)
    alt_names = np.array([pwm.alt_name for pwm in targets], dtype=object)
    table.insert(2, "query_name", query_names[table["query"]])
    table.insert(3, "target_name", target_names[table["target"]])
    table.insert(4, "target_alt_name", alt_names[table["target"]])
    return table


def weighted_similarity(pwms: Sequence[PWM]) -> Floats:
    """Similarity of every pair of motifs, for clustering them into binding modes.

    A motif is read as a vector: at every position the probabilities minus 1/4, scaled to the length
    √(information content). Similarity is the highest cosine of two motifs over all alignments and
    both strands, what hangs over counted as zeros. So a position weighs by its information, a
    short or weak match in the corner of a long motif counts for little, and a half-site has √½ in
    common with the dimer that holds it. Edges below 0.25 bits are trimmed first.

    Returns
    -------
    ndarray of float64, shape (n, n)
        Symmetric, −1 … 1, 1 on the diagonal; 0 for motifs without information.
    """
    if not pwms:
        return np.empty((0, 0))
    kept = [trim(pwm) for pwm in pwms]
    longest = max(len(pwm.probabilities) for pwm in kept)
    forward, reverse = np.zeros((2, len(pwms), longest, 4))
    for i, pwm in enumerate(kept):
        vector = pwm.probabilities - 0.25
        size = np.linalg.norm(vector, axis=1)
        bits = np.maximum(information_content(pwm), 0)
        vector *= (np.sqrt(bits) / np.where(size > 0, size, 1))[:, None]
        forward[i, : len(vector)] = vector
        reverse[i, : len(vector)] = vector[::-1, ::-1]
    size = np.sqrt((forward**2).sum(axis=(1, 2)))
    best = np.full((len(pwms), len(pwms)), -np.inf)
    for target in (forward, reverse):
        for shift in range(1 - longest, longest):
            left = slice(max(shift, 0), min(longest, longest + shift))
            right = slice(max(-shift, 0), min(longest, longest - shift))
            a, b = forward[:, left], target[:, right]
            product = a.reshape(len(pwms), -1) @ b.reshape(len(pwms), -1).T
            np.maximum(best, product, out=best)
    best /= np.maximum(np.outer(size, size), 1e-12)
    best = np.minimum((best + best.T) / 2, 1.0)
    np.fill_diagonal(best, 1.0)
    return best


def _tomtom(queries: list[Floats], targets: list[Floats], n_jobs: int) -> tuple[Floats, ...]:
    """Call memelite, the only place that does: p, score, offset, overlap, strand, (n, m) each."""
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # what its import says concerns its maintainers
            from memelite import tomtom
    except ImportError as error:
        raise InputError(
            "comparing motifs needs memelite: pip install 'cistransfer[motifs]'"
        ) from error
    with warnings.catch_warnings(), _openmp_threads_restored():
        warnings.simplefilter("ignore")  # its note on few targets: that is what we calibrate for
        return tuple(
            tomtom(
                [np.ascontiguousarray(matrix.T) for matrix in queries],
                [np.ascontiguousarray(matrix.T) for matrix in targets],
                n_target_bins=None,
                n_jobs=n_jobs,
            )
        )


@contextlib.contextmanager
def _openmp_threads_restored() -> Iterator[None]:
    """Give OpenMP its number of threads back: numba sets it for the whole process, PyTorch too,
    and training rounds differently with another number."""
    from threadpoolctl import threadpool_info, threadpool_limits

    threads = [each["num_threads"] for each in threadpool_info() if each["user_api"] == "openmp"]
    yield
    if threads:
        threadpool_limits(limits=threads[0], user_api="openmp")


def _calibrate(p: Floats, null: Floats) -> Floats:
    """Chance that a shuffled query reaches each p-value or a smaller one."""
    floor = np.finfo(np.float64).tiny
    strength = -np.log(np.maximum(p, floor))
    ordered = np.sort(-np.log(np.maximum(null, floor)))
    at_least = len(ordered) - np.searchsorted(ordered, strength, side="left")
    empirical = (at_least + 1) / (len(ordered) + 1)
    edge = float(np.quantile(ordered, 1 - _TAIL))
    beyond = ordered[ordered > edge] - edge
    scale = max(float(beyond.mean()) if len(beyond) else 1.0, 1.0)
    share = (len(beyond) + 1) / (len(ordered) + 1)
    fitted = share * np.exp(-(strength - edge) / scale)
    return np.where(strength > edge, np.minimum(fitted, share), empirical)
