"""Recurring patterns in attributions: seqlets, and the known motifs that they are."""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass
from importlib.util import find_spec
from typing import TYPE_CHECKING, Any

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from cistransfer.errors import InputError
from cistransfer.genome.codes import N, reverse_complement
from cistransfer.interpretation.figures import draw_logos
from cistransfer.interpretation.filters import needs_tomtom
from cistransfer.interpretation.steps import Methods, Panel, Step
from cistransfer.motifs.files import write_meme
from cistransfer.motifs.pwm import PWM, from_counts, information_content, trim
from cistransfer.tables import write_tsv

if TYPE_CHECKING:
    from cistransfer.interpretation.subject import Subject

__all__ = ["STEP", "Patterns", "find_patterns", "find_seqlets", "modisco_patterns"]

Codes = NDArray[np.uint8]
Floats = NDArray[np.float32]

_OWN_AHEAD = 1.1
_SHUFFLED = 20_000  # shuffled seqlets in all, against which matches are calibrated


@dataclass(frozen=True)
class Patterns:
    """Patterns found in attributions.

    Attributes
    ----------
    pwms : tuple of PWM
        One per pattern, from the sequences under its seqlets, in the orientation of its match.
    table : DataFrame
        ``pattern``, ``match``, ``match_name``, ``seqlets``, ``sequences`` (how many hold one),
        ``mean_contribution`` (mean over seqlets of the sum over its bases), ``q`` (median).
    seqlets : DataFrame
        Every seqlet: ``sequence``, ``start``, ``end``, ``contribution``, ``pattern`` (−1: none).
    note : str
        What was tried and found, in one sentence.
    """

    pwms: tuple[PWM, ...]
    table: pd.DataFrame
    seqlets: pd.DataFrame
    note: str


def find_seqlets(
    contributions: Floats,
    *,
    core: int = 8,
    flank: int = 4,
    fdr: float = 0.05,
    max_seqlets: int = 1000,
    seed: int = 0,
) -> pd.DataFrame:
    """Stretches whose attributions are too large to be chance.

    The sum over every window of ``core`` positions is compared with the sums after the positions
    of each sequence are shuffled; the threshold, for positive and negative sums each, is the
    lowest at which at most a share ``fdr`` of what passes passes by chance. Passing windows are
    taken from the strongest down, never two that overlap, and widened by ``flank``.

    Returns
    -------
    DataFrame
        ``sequence``, ``start``, ``end``, ``contribution`` (sum over the core), strongest first,
        at most ``max_seqlets``.
    """
    columns = ["sequence", "start", "end", "contribution"]
    n, length = len(contributions), contributions.shape[1]
    if n == 0 or length < core:
        return pd.DataFrame({column: pd.Series(dtype=np.int64) for column in columns})
    rng = np.random.default_rng(seed)
    sums = _window_sums(contributions, core)
    null = np.concatenate(
        [_window_sums(rng.permuted(contributions, axis=1), core) for _ in range(4)]
    )
    strength = np.full((n, length - core + 1), -np.inf)
    for sign in (1, -1):
        threshold = _threshold(sign * sums.ravel(), sign * null.ravel(), fdr)
        passes = sign * sums >= threshold
        strength[passes] = np.abs(sums[passes])
    rows, starts = [], []
    index = np.arange(n)
    positions = np.arange(length - core + 1)
    while True:
        best = strength.argmax(axis=1)
        found = index[np.isfinite(strength[index, best]) & (strength[index, best] > 0)]
        if not len(found):
            break
        rows.append(found)
        starts.append(best[found])
        near = np.abs(positions - best[found][:, None]) < core
        strength[found] = np.where(near, -np.inf, strength[found])
    if not rows:
        return pd.DataFrame({column: pd.Series(dtype=np.int64) for column in columns})
    sequence, start = np.concatenate(rows), np.concatenate(starts)
    table = pd.DataFrame(
        {
            "sequence": sequence,
            "start": np.maximum(start - flank, 0),
            "end": np.minimum(start + core + flank, length),
            "contribution": sums[sequence, start],
        }
    )
    order = np.argsort(-table["contribution"].abs().to_numpy(), kind="stable")[:max_seqlets]
    return table.iloc[order].reset_index(drop=True)


def find_patterns(
    codes: Codes,
    contributions: Floats,
    targets: Sequence[PWM],
    *,
    own: Collection[str] = (),
    q: float = 0.05,
    min_seqlets: int = 5,
    max_seqlets: int = 500,
    seed: int = 0,
) -> Patterns:
    """Seqlets matched with known motifs: works from a few dozen sequences on.

    Each seqlet, its bases weighted by their attribution, is compared with the known motifs
    (calibrated Tomtom). The motif that most seqlets match takes them all, then the next, until
    fewer than ``min_seqlets`` are left to a motif. Motifs of one family match alike: the task's own
    goes before another whose matches are up to a tenth stronger.

    Parameters
    ----------
    codes : ndarray of uint8, shape (n, length)
    contributions : ndarray of float32, shape (n, length)
        For mutagenesis give the negative changes.
    targets : sequence of PWM
        Known motifs.
    own : collection of str
        Names of the task's own motifs.
    q : float
        Largest q-value of a match.
    max_seqlets : int
        How many seqlets, strongest first, are compared.
    """
    from cistransfer.motifs.compare import compare

    if contributions.shape != codes.shape:
        raise ValueError(f"contributions {contributions.shape} do not fit codes {codes.shape}")
    seqlets = find_seqlets(contributions, max_seqlets=max_seqlets, seed=seed)
    seqlets["pattern"] = -1
    tried = f"{len(seqlets)} seqlets in {seqlets['sequence'].nunique()} of {len(codes)} sequences"
    queries, shifts = _queries(codes, contributions, seqlets)
    shuffles = int(np.clip(_SHUFFLED // max(len(queries), 1), 20, 1000))
    matches = (
        compare(queries, targets, max_shuffles=shuffles, seed=seed) if queries else pd.DataFrame()
    )
    pwms: list[PWM] = []
    rows = []
    good = matches[matches["q"] <= q] if len(matches) else matches
    mine_too = [number for number, target in enumerate(targets) if target.name in set(own)]
    while len(good):
        count = good.groupby("target")["query"].nunique()
        strength = good.assign(s=-np.log10(good["p_calibrated"].clip(lower=1e-300)))
        total = strength.groupby("target")["s"].sum()
        total = total * np.where(total.index.isin(mine_too), _OWN_AHEAD, 1.0)
        target = int(total.idxmax())
        if count[target] < min_seqlets:
            weaker = count[count >= min_seqlets].index
            if not len(weaker):
                break
            target = int(total[weaker].idxmax())
        mine = good[good["target"] == target].drop_duplicates("query")
        number = len(pwms)
        members = mine["query"].to_numpy()
        seqlets.loc[members, "pattern"] = number
        pwms.append(_aligned(codes, seqlets, mine, shifts, targets[target], f"pattern{number}"))
        some = seqlets.loc[members]
        rows.append(
            (
                f"pattern{number}",
                targets[target].name,
                targets[target].alt_name,
                len(mine),
                some["sequence"].nunique(),
                float(some["contribution"].mean()),
                float(mine["q"].median()),
            )
        )
        good = good[~good["query"].isin(members)]
    matched = int((seqlets["pattern"] >= 0).sum())
    note = (
        f"{tried}; {matched} match one of {len(targets)} known motifs at q ≤ {q:g} and make "
        f"{len(pwms)} pattern{'' if len(pwms) == 1 else 's'} of at least {min_seqlets} seqlets"
    )
    columns = [
        "pattern", "match", "match_name", "seqlets", "sequences", "mean_contribution", "q",
    ]  # fmt: skip
    return Patterns(tuple(pwms), pd.DataFrame(rows, columns=columns), seqlets, note)


def modisco_patterns(
    codes: Codes,
    hypothetical: Floats,
    targets: Sequence[PWM] = (),
    *,
    q: float = 0.05,
    seed: int = 0,
) -> Patterns:
    """TF-MoDISco (modisco-lite) with thresholds that fit the number of sequences.

    Its defaults return nothing on fewer than about a hundred sequences; here the smallest
    metacluster is a tenth of the sequences, from 20 to its default of 100.

    Parameters
    ----------
    codes : ndarray of uint8, shape (n, length)
        Sequences with N are left out.
    hypothetical : ndarray of float32, shape (n, 4, length)
        From `cistransfer.interpretation.deeplift.deeplift`.
    targets : sequence of PWM
        Known motifs that name the patterns (Tomtom, calibrated), where they match at ``q``.
    """
    needs_modisco()
    from modiscolite.tfmodisco import TFMoDISco

    known = np.flatnonzero((codes < N).all(axis=1))
    letters = np.eye(4, dtype=np.float32)[codes[known]]
    smallest = int(np.clip(len(known) // 10, 20, 100))
    positive, negative = TFMoDISco(
        one_hot=letters,
        hypothetical_contribs=hypothetical[known].transpose(0, 2, 1).astype(np.float32),
        min_metacluster_size=smallest,
        final_min_cluster_size=max(smallest // 2, 10),
        sliding_window_size=15 if len(known) < 500 else 20,
        flank_size=5,
        max_seqlets_per_metacluster=20_000,
    )
    pwms: list[PWM] = []
    rows, places = [], []
    for found in [*(positive or []), *(negative or [])]:
        number = len(pwms)
        pwms.append(trim(from_counts(f"pattern{number}", found.sequence * len(found.seqlets))))
        contribution = float((found.sequence * found.contrib_scores).sum())
        members = {seqlet.example_idx for seqlet in found.seqlets}
        rows.append(
            (f"pattern{number}", "", "", len(found.seqlets), len(members), contribution, np.nan)
        )
        places += [(known[s.example_idx], s.start, s.end, np.nan, number) for s in found.seqlets]
    note = (
        f"TF-MoDISco on {len(known)} sequences, smallest metacluster {smallest}: "
        f"{len(pwms)} patterns"
    )
    columns = [
        "pattern", "match", "match_name", "seqlets", "sequences", "mean_contribution", "q",
    ]  # fmt: skip
    table = pd.DataFrame(rows, columns=columns)
    if pwms and targets:
        from cistransfer.motifs.compare import compare

        best = compare(pwms, targets, max_shuffles=500, seed=seed).drop_duplicates("query")
        for row in best[best["q"] <= q].itertuples():
            names = [row.target_name, row.target_alt_name, row.q]
            table.loc[row.query, ["match", "match_name", "q"]] = names
    seqlets = pd.DataFrame(places, columns=["sequence", "start", "end", "contribution", "pattern"])
    return Patterns(tuple(pwms), table, seqlets, note)


def _window_sums(values: Floats, width: int) -> NDArray[np.float64]:
    total = np.cumsum(values, axis=1, dtype=np.float64)
    total = np.concatenate([np.zeros((len(values), 1)), total], axis=1)
    return np.asarray(total[:, width:] - total[:, :-width])


def _threshold(real: NDArray[np.float64], null: NDArray[np.float64], fdr: float) -> float:
    """Lowest value at which the chance share of what passes is at most ``fdr``."""
    real, null = np.sort(real[real > 0])[::-1], np.sort(null)
    if not len(real):
        return np.inf
    by_chance = (len(null) - np.searchsorted(null, real, "left")) / len(null)
    share = by_chance * len(real) / np.arange(1, len(real) + 1)
    good = np.flatnonzero(share <= fdr)
    return float(real[good[-1]]) if len(good) else np.inf


def _queries(
    codes: Codes, contributions: Floats, seqlets: pd.DataFrame
) -> tuple[list[PWM], list[int]]:
    """Seqlets as matrices (a base without attribution is uniform) and what was cut off in front."""
    queries, shifts = [], []
    for row in seqlets.itertuples():
        window = codes[row.sequence, row.start : row.end]
        size = np.abs(contributions[row.sequence, row.start : row.end])
        weight = np.minimum(size / max(float(np.sort(size)[-4:].mean()), 1e-12), 1) * (window < N)
        matrix = np.full((len(window), 4), 0.25)
        matrix += weight[:, None] * (np.eye(4)[np.minimum(window, 3)] - 0.25) * 0.97
        pwm = PWM(f"seqlet{row.Index}", matrix)
        bits = information_content(pwm)
        cut = trim(pwm, 0.25)
        shifts.append(int(np.flatnonzero(bits >= min(0.25, float(bits.max())))[0]))
        queries.append(cut)
    return queries, shifts


def _aligned(
    codes: Codes,
    seqlets: pd.DataFrame,
    matches: pd.DataFrame,
    shifts: list[int],
    target: PWM,
    name: str,
) -> PWM:
    """Count the sequences under the seqlets, laid on their common motif."""
    counts = np.zeros((target.width, 4))
    length = codes.shape[1]
    for row in matches.itertuples():
        seqlet = seqlets.loc[row.query]
        begin = int(seqlet["start"]) + shifts[row.query] - row.offset
        window = np.full(target.width, N, np.uint8)
        left, right = max(begin, 0), min(begin + target.width, length)
        window[left - begin : right - begin] = codes[int(seqlet["sequence"]), left:right]
        if row.strand == "-":
            window = reverse_complement(window)
        known = np.flatnonzero(window < N)
        counts[known, window[known]] += 1
    return from_counts(name, counts, pseudocount=0.5, alt_name=target.label)


def needs_modisco() -> None:
    """Refuse TF-MoDISco where it is not installed."""
    if find_spec("modiscolite") is None:
        raise InputError(
            "TF-MoDISco needs modisco-lite: pip install 'cistransfer[modisco]' "
            "(its dependencies leidenalg and igraph are GPL)"
        )


def _check(methods: Methods) -> None:
    needs_tomtom(methods)
    if methods.modisco:
        needs_modisco()
        if methods.attribution != "deeplift":
            raise InputError(
                "TF-MoDISco reads DeepLIFT's hypothetical contributions: expected --attribution "
                f"deeplift, found {methods.attribution}"
            )


def _run(subject: Subject) -> dict[str, Any]:
    """Write ``patterns.tsv``, ``seqlets.tsv``, ``patterns.meme`` and the logos."""
    attributed, out = subject.attributed, subject.out
    hypothetical = attributed.attribution.hypothetical
    if subject.methods.modisco and hypothetical is not None:
        found = modisco_patterns(attributed.codes, hypothetical, subject.motifs, seed=subject.seed)
    else:
        found = find_patterns(
            attributed.codes, attributed.strength, subject.motifs, own=subject.own_motifs,
            seed=subject.seed,
        )  # fmt: skip
    names = [subject.material.names[attributed.rows[i]] for i in found.seqlets["sequence"]]
    write_tsv(out / "patterns.tsv", found.table)
    write_tsv(out / "seqlets.tsv", found.seqlets.assign(sequence=names))
    if found.pwms:
        write_meme(out / "patterns.meme", found.pwms)
        titles = [
            f"{row.match_name or row.match or row.pattern}: {row.seqlets} seqlets"
            for row in found.table.itertuples()
        ]
        drawn = draw_logos(found.pwms, titles, columns=3, what="patterns")
        n = sum(ax.get_visible() for ax in drawn.axes)
        drawn.suptitle(
            (f"{n} of {len(found.pwms)} patterns" if len(found.pwms) > 1 else "the pattern")
            + f" that stretches of high attribution make, in {len(attributed.rows):,} windows",
            fontsize=8.5, x=0.01, ha="left",
        )  # fmt: skip
        subject.draw(drawn, "patterns", found.table)
    return {
        "note": found.note,
        "patterns": found.table[["match", "match_name", "seqlets"]].to_dict("records"),
    }


def _words(told: Mapping[str, Any]) -> str:
    names = [
        f"{row['match_name'] or row['match'] or 'unnamed'} ({row['seqlets']})"
        for row in told["patterns"]
    ]
    return f"{told['note']}." + (f" Seqlets: {', '.join(names)}." if names else "")


STEP = Step(
    title="Patterns",
    run=_run,
    words=_words,
    panels=(Panel("patterns", "Motifs that the attributed stretches make."),),
    needs=("motifs",),
    check=_check,
)
