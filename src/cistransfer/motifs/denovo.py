"""De novo motifs: what separates positive from negative sequences.

Our own finder follows the plan of STREME (Bailey 2021): words with and without gaps that are
enriched in the positives seed PWMs; each is refined from its best site per sequence and grows as
far as it carries information; the best is tuned, its sites masked, and the search repeated.
"""

from __future__ import annotations

import shutil
import subprocess
import tempfile
from collections.abc import Iterable
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from cistransfer.errors import InputError
from cistransfer.genome.codes import decode
from cistransfer.genome.fasta import write_fasta
from cistransfer.motifs.files import read_motifs
from cistransfer.motifs.pwm import PWM, consensus
from cistransfer.motifs.refine import (
    Motif,
    Prepared,
    best_scores,
    mask_sites,
    prepare,
    probabilities,
    refine,
)
from cistransfer.motifs.scan import best_hits
from cistransfer.motifs.seeds import best_split, find_seeds, fisher_p, seed_weights
from cistransfer.motifs.tune import tune

__all__ = ["ENGINES", "Discovery", "find_motifs", "run_streme"]

ENGINES = ("own", "streme")

Codes = NDArray[np.uint8]
Bools = NDArray[np.bool_]

_MIN_SEQUENCES = 5  # of each class
_MIN_HELD_OUT = 5  # positives
_MAX_SEQUENCES = 2_000  # sequences of each class that the search looks at
_MAX_SCREENED = 400  # sequences of each class that seeds are counted and tried on
_SEEDS = 50  # tried, of each kind
_REFINED = 16  # of all of them, to the end: a good one may be the eighth after three rounds
_SCREEN_ROUNDS, _ROUNDS = 3, 12


@dataclass(frozen=True)
class Discovery:
    """A motif and how well it separates the two classes.

    Attributes
    ----------
    pwm : PWM
        Named ``1-CONSENSUS``, ``2-CONSENSUS``, … in order of discovery; ``sites`` is the number
        of sites that it was made of.
    background : tuple of four floats
        Letter frequencies to scan it with.
    threshold : float
        Best-hit score (bits) at which the classes separate best.
    positives, negatives : int
        Sequences that reach the threshold, among those that ``p`` was computed on. Sites of
        motifs found before are masked and do not count.
    p : float
        Fisher's exact test, one-sided, at the threshold.
    held_out : bool
        Whether ``p`` comes from sequences that took no part in the search. If not, it only ranks:
        a p from the sequences that a motif was fitted to is far too small.
    """

    pwm: PWM
    background: tuple[float, float, float, float]
    threshold: float
    positives: int
    negatives: int
    p: float
    held_out: bool


def find_motifs(
    codes: Codes,
    labels: NDArray[np.int8],
    *,
    n_motifs: int = 5,
    max_width: int = 21,
    hold_out: float = 0.2,
    engine: str = "own",
    seed: int = 0,
) -> list[Discovery]:
    """Find motifs that are enriched in positive over negative sequences.

    Parameters
    ----------
    codes : ndarray of uint8, shape (n, length)
    labels : ndarray of int8, shape (n,)
        1 positive, 0 negative; rows with −1 are left out. Choose negatives that match the
        positives in GC content, or GC content is what will be found.
    n_motifs : int
        How many at most.
    max_width : int
        Widest motif, at least 8.
    hold_out : float
        Share of the sequences (0 to 0.5) that ``p`` is computed on and that take no part in the
        search. The motif is then refined on all sequences. 0, as published (protocol D3), or
        fewer than five positives held out: ``p`` is that of the training sequences. Where the
        motif itself matters (a classifier, the start of a network), hold nothing out: at 50
        positives every one counts.
    engine : str
        ``"own"``: ours; ``"streme"``: the program of that name (MEME suite) with the published
        options. What is found never depends on what happens to be installed.
    seed : int
        Of the split and of the choice of at most 2,000 sequences of each class.

    Returns
    -------
    list of Discovery
        In order of discovery; may be shorter than ``n_motifs``, or empty.

    Raises
    ------
    InputError
        With fewer than five sequences of a class, or without the program that ``engine`` names.
    """
    if engine not in ENGINES:
        raise InputError(f"expected a motif finder of {', '.join(ENGINES)}, found {engine!r}")
    if not 0 <= hold_out <= 0.5:
        raise InputError(f"expected a share to hold out of 0 to 0.5, found {hold_out}")
    if max_width < 8:
        raise InputError(f"expected a max_width of 8 or more, found {max_width}")
    labels = np.asarray(labels)
    for label, name in ((1, "positive"), (0, "negative")):
        n = int((labels == label).sum())
        if n < _MIN_SEQUENCES:
            raise InputError(
                f"finding motifs needs at least {_MIN_SEQUENCES} {name} sequences, found {n}"
            )
    rng = np.random.default_rng(seed)
    chosen = _sample(labels, rng, _MAX_SEQUENCES)
    codes, positive = codes[chosen], labels[chosen] == 1
    held = _hold_out(positive, hold_out, rng)
    if engine == "streme":
        pwms = run_streme(codes[~held], positive[~held], n_motifs=n_motifs, max_width=max_width)
        frequencies = _tuple(prepare(codes, positive, max_width).background)
        return [_judge(pwm, frequencies, codes, positive, held) for pwm in pwms]
    return _search(codes, positive, held, n_motifs, min(max_width, codes.shape[1]))


def run_streme(
    codes: NDArray[np.uint8],
    positive: NDArray[np.bool_],
    *,
    n_motifs: int = 5,
    max_width: int = 21,
) -> list[PWM]:
    """Find motifs with the program ``streme``: no hold-out, as published (protocol D3).

    Parameters
    ----------
    codes : ndarray of uint8, shape (n, length)
    positive : ndarray of bool, shape (n,)
        The others are the control sequences.
    n_motifs, max_width : int
        ``--nmotifs`` and ``--maxw``.

    Raises
    ------
    InputError
        When the program is not on PATH or fails (with its last line of complaint).
    """
    program = shutil.which("streme")
    if program is None:
        raise InputError(
            "streme is not on PATH: install the MEME suite, or choose our own finder ('own')"
        )
    with tempfile.TemporaryDirectory(prefix="cistransfer-streme-") as folder:
        for name, rows in (("positive", positive), ("negative", ~positive)):
            records = {f"{name}{i}": decode(row) for i, row in enumerate(codes[rows])}
            write_fasta(Path(folder) / f"{name}.fa", records)
        command = [
            program,
            *("--p", f"{folder}/positive.fa", "--n", f"{folder}/negative.fa", "--dna"),
            *("--hofract", "0", "--maxw", str(max_width), "--nmotifs", str(n_motifs)),
            *("--oc", f"{folder}/out"),
        ]
        done = subprocess.run(command, capture_output=True, text=True, check=False)
        result = Path(folder) / "out" / "streme.txt"
        if done.returncode != 0 or not result.exists():
            complaint = (done.stderr.strip().splitlines() or ["no message"])[-1]
            raise InputError(f"streme failed (exit {done.returncode}): {complaint}")
        if "letter-probability matrix" not in result.read_text(encoding="utf-8"):
            return []
        return list(read_motifs(result))


def _search(
    codes: Codes, positive: Bools, held: Bools, n_motifs: int, width: int
) -> list[Discovery]:
    data = prepare(codes, positive, width)
    background = _tuple(data.background)
    found: list[Discovery] = []
    for number in range(1, n_motifs + 1):
        motif = _best_motif(data.take(~held))
        if motif is None:
            break
        seen = data.codes
        pwm = tune(seen[~held], positive[~held], _to_pwm(motif, data), background)
        judged = _judge(pwm, background, seen, positive, held)
        if held.any():
            motif = refine(data, [motif.weights], _ROUNDS)[0] or motif
            pwm = tune(seen, positive, _to_pwm(motif, data), background)
        found.append(replace(judged, pwm=replace(pwm, name=f"{number}-{consensus(pwm)}")))
        data = mask_sites(data, motif)
    return found


def _best_motif(data: Prepared) -> Motif | None:
    """Seed, screen on a part of the sequences, and refine the most promising on all."""
    rng = np.random.default_rng(0)
    few = data.take(_sample(data.positive.astype(np.int8), rng, _MAX_SCREENED))
    seeds = [
        seed_weights(seed, data.width)
        for half, mismatches in ((3, 0), (4, 1))
        for seed in find_seeds(
            few.codes,
            few.positive,
            half=half,
            mismatches=mismatches,
            max_span=data.width,
            keep=_SEEDS,
        )
    ]
    weights, least = [weights for weights, _ in seeds], [least for _, least in seeds]
    tried = _by_value(refine(few, weights, _SCREEN_ROUNDS, least))
    promising = [start.weights for start in tried[:_REFINED]]
    tried = _by_value(refine(data, promising, _ROUNDS))
    return tried[0] if tried else None


def _by_value(motifs: Iterable[Motif | None]) -> list[Motif]:
    """Motifs that came out, best first."""
    return sorted((motif for motif in motifs if motif), key=lambda motif: -motif.value)


def _to_pwm(motif: Motif, data: Prepared) -> PWM:
    scores = best_scores(data, [motif.weights])[0]
    sites = float(((scores >= motif.threshold) & data.positive).sum())
    return PWM("motif", probabilities(motif, data.background), sites=sites)


def _judge(
    pwm: PWM,
    background: tuple[float, float, float, float],
    codes: Codes,
    positive: Bools,
    held: Bools,
) -> Discovery:
    """Take the threshold from the training sequences and the p-value from the others, if any."""
    scores = best_hits(codes, pwm, background).astype(np.float64)
    _, threshold = best_split(scores[~held], positive[~held])
    judged = held if held.any() else ~held
    hits = scores[judged] >= threshold
    n_hits = int((hits & positive[judged]).sum())
    p = fisher_p(n_hits, int(hits.sum()), int(positive[judged].sum()), int(judged.sum()))
    return Discovery(
        pwm, background, threshold, n_hits, int(hits.sum()) - n_hits, p, bool(held.any())
    )


def _sample(labels: NDArray, rng: np.random.Generator, max_rows: int) -> NDArray[np.int64]:
    """Rows of at most ``max_rows`` sequences of each class, in the order of the rows."""
    rows = [np.flatnonzero(labels == label) for label in (1, 0)]
    kept = [rng.permutation(part)[:max_rows] if len(part) > max_rows else part for part in rows]
    return np.sort(np.concatenate(kept))


def _hold_out(positive: Bools, share: float, rng: np.random.Generator) -> Bools:
    """Rows held out, the same share of both classes; none if too few positives would be."""
    held = np.zeros(len(positive), dtype=bool)
    if int(positive.sum() * share) < _MIN_HELD_OUT:
        return held
    for rows in (np.flatnonzero(positive), np.flatnonzero(~positive)):
        held[rng.permutation(rows)[: int(len(rows) * share)]] = True
    return held


def _tuple(background: NDArray[np.float64]) -> tuple[float, float, float, float]:
    a, c, g, t = (float(share) for share in background)
    return a, c, g, t
