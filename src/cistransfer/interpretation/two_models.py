"""Two models on the same sequences: whose attribution lies on which motifs.

Figure 3 of ChromTransfer (Salvatore et al. 2023): HepG2 against K562 (G), fine-tuned against
pre-trained (S5). Both models explain every sequence, so the difference is defined at every site;
take the union of the sequences that either calls positive.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import pandas as pd
from numpy.typing import NDArray
from torch import nn

from cistransfer.interpretation.attribute import attribute
from cistransfer.interpretation.enrichment import compare_enrichment, site_scores
from cistransfer.interpretation.sites import motif_sites
from cistransfer.motifs.pwm import PWM

__all__ = ["TwoModels", "compare_attributions", "compare_models", "contrasting_loci"]

Codes = NDArray[np.uint8]
Floats = NDArray[np.float32]


@dataclass(frozen=True)
class TwoModels:
    """What two models see in the same sequences.

    Attributes
    ----------
    table : DataFrame
        One row per motif, from `cistransfer.interpretation.enrichment.compare_enrichment`:
        ``motif`` and ``sites``, ``d``, ``auroc``, ``median_shift``, ``q`` for A, B and A − B
        (suffixes ``_a``, ``_b``, ``_difference``), largest ``d_difference`` first.
    sites : DataFrame
        ``sequence``, ``name``, ``start``, ``end``, ``score_a``, ``score_b``, ``difference``.
    contributions_a, contributions_b : ndarray of float32, shape (n, length)
        Positive where a base speaks for the task (mutagenesis: minus the largest change).
    """

    table: pd.DataFrame
    sites: pd.DataFrame
    contributions_a: Floats
    contributions_b: Floats


def compare_models(
    model_a: nn.Module,
    model_b: nn.Module,
    codes: Codes,
    pwms: Sequence[PWM] = (),
    *,
    tasks: tuple[int, int] = (0, 0),
    method: str = "deeplift",
    on: str = "logit",
    references: str = "dinucleotide",
    both_strands: bool = False,
    sites: pd.DataFrame | None = None,
    p_value: float = 1e-5,
    min_sites: int = 100,
    seed: int = 0,
) -> TwoModels:
    """Attribute sequences by two models and compare the attributions at the sites of motifs.

    The published analysis is ``method="gradient-input", on="probability"``.

    Parameters
    ----------
    model_a, model_b : nn.Module
        One-hot ``(n, 4, length)`` → logits ``(n, tasks)``; handed back as they came.
    codes : ndarray of uint8, shape (n, length)
        The union of the sequences that either model calls positive.
    pwms : sequence of PWM
        Known motifs, whose sites are scanned for; not needed with ``sites``.
    tasks : two int
        Output of A and of B that is explained.
    method, on, references, both_strands, seed
        See `cistransfer.interpretation.attribute.attribute`.
    sites : DataFrame, optional
        ``sequence``, ``name``, ``start``, ``end``, instead of a scan.
    p_value : float
        Threshold of the scan.
    min_sites : int
        Sites that a motif needs.

    Returns
    -------
    TwoModels
    """
    found = motif_sites(codes, pwms, p_value=p_value) if sites is None else sites
    sign = -1 if method == "mutagenesis" else 1
    both = [
        sign
        * attribute(
            model, codes, method=method, task=task, on=on, references=references, seed=seed,
            both_strands=both_strands,
        ).contributions
        for model, task in zip((model_a, model_b), tasks, strict=True)
    ]  # fmt: skip
    return compare_attributions(both[0], both[1], found, min_sites=min_sites)


def compare_attributions(
    contributions_a: Floats,
    contributions_b: Floats,
    sites: pd.DataFrame,
    *,
    min_sites: int = 100,
) -> TwoModels:
    """Compare two models' attributions of the same sequences at the sites of motifs.

    A site's score is the largest contribution of its bases, as published; give mutagenesis with
    its sign turned (then it is the published minimum of the changes).

    Parameters
    ----------
    contributions_a, contributions_b : ndarray of float32, shape (n, length)
        Positive where a base speaks for the task; rows of NaN are left out for that model.
    sites : DataFrame
        ``sequence``, ``name``, ``start``, ``end``: from `motif_sites` or `read_sites` of
        `cistransfer.interpretation.sites`.
    min_sites : int
        Sites that a motif needs in A or in B.
    """
    if contributions_a.shape != contributions_b.shape:
        raise ValueError(
            f"attributions of shapes {contributions_a.shape} and {contributions_b.shape} are not "
            "of the same sequences"
        )
    a = site_scores(contributions_a, sites)
    b = site_scores(contributions_b, sites)
    table = compare_enrichment(sites, a, b, min_sites=min_sites)
    scored = sites[["sequence", "name", "start", "end"]].assign(
        score_a=a, score_b=b, difference=a - b
    )
    return TwoModels(table, scored, contributions_a, contributions_b)


def contrasting_loci(
    found: TwoModels, *, each: int = 2, q: float = 1e-3, motifs: int = 10
) -> pd.DataFrame:
    """Example sites: where A sees most more than B, and where B does, one per sequence.

    Only sites of the motifs most on that side (the ``motifs`` largest D of the difference, at
    ``q``) are taken, of different motifs where there are enough; of any motif when none is.

    Returns
    -------
    DataFrame
        Rows of ``found.sites``, the ``each`` largest differences first, then the ``each`` smallest.
    """
    table = found.table
    good = table[table["q_difference"] < q]
    parts = []
    taken: set[int] = set()
    for side in (1, -1):
        ranked = good[good["d_difference"] * side > 0]
        names = (ranked["d_difference"] * side).nlargest(motifs).index
        mine = found.sites
        if len(names):
            mine = mine[mine["name"].isin(set(ranked.loc[names, "motif"]))]
        mine = mine[np.isfinite(mine["difference"])]
        ordered = mine.iloc[np.argsort(-side * mine["difference"].to_numpy(), kind="stable")]
        ordered = ordered[~ordered["sequence"].isin(taken)].drop_duplicates("sequence")
        different = ordered.drop_duplicates("name")
        chosen = (different if len(different) >= each else ordered).head(each)
        taken |= set(chosen["sequence"])
        parts.append(chosen)
    return pd.concat(parts, ignore_index=True)
