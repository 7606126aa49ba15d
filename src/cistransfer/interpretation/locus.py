"""One locus in full: the score along it, every base's attribution and mutants, motifs in it."""

from __future__ import annotations

import os
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from cistransfer.errors import InputError, nearest
from cistransfer.figures import BLUE, BOTH, DIVERGING, SKY, figure, finish, save
from cistransfer.genome.assemblies import match_names
from cistransfer.genome.codes import N, decode
from cistransfer.genome.fasta import Genome
from cistransfer.interpretation.attribute import attribute
from cistransfer.interpretation.mutagenesis import mutagenesis
from cistransfer.models.bundle import Bundle
from cistransfer.models.score import score_windows
from cistransfer.motifs.hits import find_hits
from cistransfer.motifs.logo import draw_letters
from cistransfer.motifs.pwm import PWM
from cistransfer.storage import Kind, whole_folder
from cistransfer.tables import write_tsv

if TYPE_CHECKING:
    from matplotlib.figure import Figure

__all__ = ["MAX_LOCUS", "Locus", "draw_locus", "explain_locus", "write_locus"]

MAX_LOCUS = 3000
"""Longest locus in bp: three mutants of every base are scored and every letter is drawn."""

_LOCUS = Kind(
    "locus", "locus.svg", ("locus.png", "track.tsv", "bases.tsv", "hits.tsv", "config.json")
)
_TRACK_POINTS = 200
_MAX_MOTIFS = 8


@dataclass(frozen=True, repr=False)
class Locus:
    """What a model reads in one locus.

    Attributes
    ----------
    chrom, start, end : str, int, int
        0-based, half-open.
    codes : ndarray of uint8, shape (length,)
    contributions : ndarray of float32, shape (length,)
        DeepLIFT contribution of each base to the logit; positive speaks for the task. Of a model
        without gradients (k-mers) what is lost, on average, when the base is another.
    effects : ndarray of float32, shape (4, length)
        Change of the logit by A, C, G and T at each position; 0 for the base that is there.
    track : DataFrame
        ``position`` (middle of a window), ``logit``, ``probability``.
    hits : DataFrame
        ``name``, ``start``, ``end``, ``strand``, ``score``, ``p``, ``attribution`` (sum over the
        hit), strongest motif first.
    inputs : list of dict
        Where it lies, and warnings (`cistransfer.examples.candidates.Placing`).
    """

    chrom: str
    start: int
    end: int
    task: str
    codes: NDArray[np.uint8] = field(repr=False)
    contributions: NDArray[np.float32] = field(repr=False)
    effects: NDArray[np.float32] = field(repr=False)
    track: pd.DataFrame = field(repr=False)
    hits: pd.DataFrame = field(repr=False)
    inputs: list[dict[str, Any]] = field(default_factory=list, repr=False)

    def __repr__(self) -> str:
        low, high = self.track["probability"].min(), self.track["probability"].max()
        return (
            f"<Locus {self.chrom}:{self.start + 1:,}-{self.end:,}, {self.task}: probability "
            f"{low:.3f} to {high:.3f}, {len(self.hits):,} motif hits>"
        )

    def bases(self) -> pd.DataFrame:
        """One row per base: ``chrom``, ``position`` (1-based), ``base``, ``attribution``.

        And ``to_A`` …: the change of the logit by that substitution.
        """
        table = pd.DataFrame(
            {
                "chrom": self.chrom,
                "position": np.arange(self.start, self.end) + 1,
                "base": list(decode(self.codes)),
                "attribution": self.contributions,
            }
        )
        for i, letter in enumerate("ACGT"):
            table[f"to_{letter}"] = self.effects[i]
        return table


def explain_locus(
    bundle: Bundle,
    genome: Genome,
    chrom: str,
    start: int,
    end: int,
    *,
    task: str | None = None,
    motifs: Sequence[PWM] = (),
    p_value: float = 1e-4,
    shuffles: int = 20,
    seed: int = 0,
    prevalence: float | None = None,
) -> Locus:
    """Score, attribute and mutate every base of a locus.

    A locus longer than the model's window is covered by windows every half window; a base is read
    in the one in whose middle it lies best.

    Parameters
    ----------
    chrom, start, end
        0-based, half-open; the chromosome by any of its names.
    task : str, optional
        Needed where the model has several.
    motifs : sequence of PWM
        Motifs to look for.
    p_value : float
        Of a motif's hit.
    shuffles, seed
        References of DeepLIFT.
    prevalence : float, optional
        Share of bound regions at which probabilities are given
        (`cistransfer.models.bundle.Bundle.probabilities`).

    Raises
    ------
    InputError
        For a locus off the chromosome, longer than `MAX_LOCUS`, or without a window.
    """
    match = match_names([chrom], genome.sizes, "the locus")
    if match.unknown:
        raise InputError(f"{genome.name}: no chromosome {chrom!r}; {nearest(chrom, genome.sizes)}")
    name, window = match.to[chrom], bundle.window
    size = genome.sizes[name]
    if not 0 <= start < end <= size:
        raise InputError(
            f"{chrom}:{start + 1:,}-{end:,}: expected a locus inside {name}, which is {size:,} bp"
        )
    if end - start > MAX_LOCUS:
        raise InputError(
            f"{chrom}:{start + 1:,}-{end:,}: expected at most {MAX_LOCUS:,} bp, found "
            f"{end - start:,}; a track (cistransfer track) shows longer stretches"
        )
    if size < window:
        raise InputError(f"{name} is {size:,} bp long, the model reads windows of {window:,} bp")
    column = bundle.column(task)
    bundle.probabilities(np.zeros((0, len(bundle.tasks)), np.float32), prevalence)  # refuses early

    length = end - start
    if length <= window:
        begins = np.array([(start + end) // 2 - window // 2])
    else:
        begins = np.arange(start - window // 4, end - window // 4, max(1, window // 2))
    begins = np.unique(begins.clip(0, size - window))
    codes = _windows(genome, name, begins, window)
    there = np.arange(start, end)
    row = np.abs(there[:, None] - (begins + window // 2)[None]).argmin(axis=1)
    place = there - begins[row]
    effects = mutagenesis(bundle.model, codes, task=column)[row, :, place].T
    if getattr(bundle.model, "no_gradient", False):
        contributions = -effects.sum(axis=0) / 3
    else:
        contributions = attribute(
            bundle.model, codes, task=column, shuffles=shuffles, seed=seed
        ).contributions[row, place]

    step = max(1, length // _TRACK_POINTS)
    middles = np.unique(np.append(np.arange(start, end, step), (start + end) // 2))
    middles = np.unique(middles.clip(window // 2, size - window + window // 2))
    begins = middles - window // 2
    stretch = _windows(genome, name, begins[:1], int(begins[-1] - begins[0]) + window)[0]
    logits = score_windows(bundle.model, stretch, begins - begins[0], window)
    track = pd.DataFrame(
        {
            "position": middles,
            "logit": logits[:, column],
            "probability": bundle.probabilities(logits, prevalence)[:, column],
        }
    )
    bases = codes[row, place]
    return Locus(
        name, start, end, bundle.tasks[column], bases, contributions, effects, track,
        _hits(bases, contributions, start, motifs, p_value),
    )  # fmt: skip


def _windows(
    genome: Genome, chrom: str, begins: NDArray[np.int64], window: int
) -> NDArray[np.uint8]:
    return genome.fetch(pd.DataFrame({"chrom": chrom, "start": begins, "end": begins + window}))


def _hits(
    codes: NDArray[np.uint8],
    contributions: NDArray[np.float32],
    start: int,
    motifs: Sequence[PWM],
    p_value: float,
) -> pd.DataFrame:
    """Hits of motifs in the locus: of each motif at one place the better strand."""
    found = find_hits(codes[None], motifs, p_value)
    names = np.array([pwm.label for pwm in motifs], dtype=object)
    total = np.concatenate([[0], np.cumsum(contributions, dtype=np.float64)])
    first, last = found["start"].to_numpy(np.int64), found["end"].to_numpy(np.int64)
    table = pd.DataFrame(
        {
            "name": names[found["pwm"].to_numpy(np.int64)],
            "start": first + start,
            "end": last + start,
            "strand": found["strand"].to_numpy(),
            "score": found["score"].to_numpy(),
            "p": found["p"].to_numpy(),
            "attribution": total[last] - total[first],
        }
    )
    table = table.sort_values(["p", "start", "name"], kind="stable")
    return table.drop_duplicates(["name", "start", "end"], ignore_index=True)


def draw_locus(locus: Locus) -> Figure:
    """The locus as one figure: score, attribution as letters, mutants, motifs.

    The axis counts from 1, as genome browsers do.
    """
    length = locus.end - locus.start
    shown = locus.hits
    kept = list(dict.fromkeys(shown["name"]))[:_MAX_MOTIFS]
    rows = 4 if kept else 3
    ratios = [1, 1.3, 0.9, 0.25 + 0.22 * len(kept)][:rows]
    made, axes = figure(
        float(np.clip(length / 11, 7, 18)), 1.3, rows=rows, height_ratios=ratios, sharex=True
    )
    track = locus.track
    axes[0].fill_between(track["position"] + 1, track["probability"], color=SKY, alpha=0.35)
    axes[0].plot(track["position"] + 1, track["probability"], color=BLUE, linewidth=1.2)
    axes[0].set_ylim(0, 1.02)
    title = f"{locus.task} at {locus.chrom}:{locus.start + 1:,}-{locus.end:,}"
    finish(axes[0], "", "probability", title, size=9)

    known = np.flatnonzero(locus.codes < N)
    heights = np.zeros((length, 4))
    heights[known, locus.codes[known]] = locus.contributions[known]
    draw_letters(axes[1], heights, first=locus.start + 1)
    finish(axes[1], "", "contribution", size=9)

    limit = max(float(np.abs(locus.effects).max()), 1e-9)
    image = axes[2].imshow(
        locus.effects, cmap=DIVERGING, vmin=-limit, vmax=limit, aspect="auto",
        extent=(locus.start + 0.5, locus.end + 0.5, 3.5, -0.5), interpolation="nearest",
    )  # fmt: skip
    axes[2].set_yticks(range(4), list("ACGT"), fontsize=8)
    finish(axes[2], "", "mutant", size=9)
    inset = axes[2].inset_axes((1.005, 0, 0.008, 1))
    made.colorbar(image, cax=inset).set_label("change", fontsize=8)

    if kept:
        for place, name in enumerate(kept):
            mine = shown[shown["name"] == name]
            axes[3].broken_barh(
                [(s + 0.5, e - s) for s, e in zip(mine["start"], mine["end"], strict=True)],
                (place - 0.35, 0.7), color=BLUE, alpha=0.75,
            )  # fmt: skip
        axes[3].set_yticks(range(len(kept)), kept, fontsize=8)
        axes[3].set_ylim(len(kept) - 0.5, -0.5)
        finish(axes[3], "", "", size=9)
    axes[-1].set_xlim(locus.start + 0.5, locus.end + 0.5)
    axes[-1].ticklabel_format(axis="x", style="plain", useOffset=False)
    axes[-1].set_xlabel(f"position on {locus.chrom}", fontsize=9)
    for ax in axes[:-1]:
        ax.tick_params(axis="x", labelbottom=False)
    return made


def write_locus(folder: str | os.PathLike[str], locus: Locus) -> list[Path]:
    """Write ``locus.png``, ``locus.svg``, ``track.tsv``, ``bases.tsv`` and ``hits.tsv``."""
    tables = {
        "track": locus.track.assign(position=locus.track["position"] + 1),
        "bases": locus.bases(),
        "hits": locus.hits.assign(start=locus.hits["start"] + 1),
    }
    with whole_folder(folder, _LOCUS) as place:
        files = save(draw_locus(locus), place / "locus", BOTH)
        for name, table in tables.items():
            write_tsv(place / f"{name}.tsv", table)
            files.append(place / f"{name}.tsv")
    return [Path(folder) / path.name for path in files]
