"""What a variant does to a model's score: reference against alternative allele, streamed from VCF.

Both alleles are scored in windows of the model's length around the variant, on both strands and at
a few shifts, and the logits are subtracted (alternative − reference). An allele of another length
moves what lies beside it; it is placed once with its left and once with its right flank kept, and
the two are averaged, so that neither side is favoured.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from cistransfer.errors import InputError
from cistransfer.genome.codes import N
from cistransfer.genome.fasta import Genome
from cistransfer.genome.shuffle import dinucleotide_shuffle
from cistransfer.models.bundle import Bundle
from cistransfer.models.score import score_codes
from cistransfer.motifs.hits import find_hits
from cistransfer.motifs.pwm import PWM
from cistransfer.prediction.alleles import Allele, AllelesOnGenome
from cistransfer.prediction.table import further_values

__all__ = ["VariantScorer"]

_ENDS = ("low", "high")


class VariantScorer:
    """Score the alternative alleles of VCF records.

    Parameters
    ----------
    bundles : sequence of Bundle
        One model, or an ensemble: models of the same tasks, whose scores are averaged.
    genome : Genome
    name : str
        The VCF's name, for messages.
    n_shifts : int
        Windows at so many shifts, evenly from −``max_shift`` to ``max_shift``.
    max_shift : int, optional
        In bp; by default a tenth of the window.
    strands : {"both", "forward"}
    motifs : sequence of PWM
        Motifs to look for in both alleles.
    motif_p : float
        p-value of a motif's hit.
    n_null : int
        Size of the null distribution behind ``p`` (0: none): so many of the first alleles of each
        kind (one base for one; any other) in dinucleotide-shuffled surroundings.
    seed : int
    prevalence : float, optional
        Share of bound regions at which the calibrated probabilities of both alleles are given
        (`cistransfer.models.bundle.Bundle.probabilities`); by default that of the validation
        examples.

    Attributes
    ----------
    facts : VariantFacts
    """

    def __init__(
        self,
        bundles: Sequence[Bundle],
        genome: Genome,
        name: str = "variants",
        *,
        n_shifts: int = 5,
        max_shift: int | None = None,
        strands: str = "both",
        motifs: Sequence[PWM] = (),
        motif_p: float = 1e-4,
        n_null: int = 0,
        seed: int = 0,
        prevalence: float | None = None,
    ) -> None:
        if not bundles:
            raise InputError("expected at least one bundle to score variants with")
        if len({bundle.tasks for bundle in bundles}) > 1:
            raise InputError(
                "the bundles of an ensemble must have the same tasks, found "
                + " and ".join(sorted({", ".join(bundle.tasks[:3]) for bundle in bundles}))
            )
        if n_shifts < 1:
            raise InputError(f"expected at least one shift, found {n_shifts}")
        self.bundles = tuple(bundles)
        self.tasks = bundles[0].tasks
        self.genome = genome
        self.name = name
        self.window = max(bundle.window for bundle in bundles)
        widest = min(bundle.window for bundle in bundles) // 10 if max_shift is None else max_shift
        if not 0 <= widest < min(bundle.window for bundle in bundles) // 2:
            raise InputError(f"a shift must leave the variant in the window, found {widest} bp")
        self.shifts = (
            np.unique(np.linspace(-widest, widest, n_shifts).round().astype(int))
            if n_shifts > 1
            else np.zeros(1, dtype=int)
        )
        self.reach = max((len(pwm.probabilities) - 1 for pwm in motifs), default=0)
        self.strands = strands
        self.motifs = list(motifs)
        self.motif_p = motif_p
        self.n_null = n_null
        self.prevalence = prevalence
        if prevalence is not None:
            for bundle in bundles:  # refuses before the work
                bundle.probabilities(np.zeros((0, len(self.tasks)), np.float32), prevalence)
        self.seed = seed
        left = 2 * self.window + int(self.shifts.max(initial=0))
        self.alleles = AllelesOnGenome(
            genome,
            name,
            left=left,
            right=left + self.window,
            longest=min(bundle.window for bundle in bundles) // 2,
        )
        self.facts = self.alleles.facts
        self._null: dict[str, NDArray[np.float64]] = {}

    def score(self, records: Sequence[tuple[int, Sequence[str]]]) -> pd.DataFrame:
        """Score the alternative alleles of some records.

        Returns
        -------
        DataFrame
            One row per alternative allele, in order: ``row`` (record), ``line``, ``chrom``, ``pos``
            (1-based), ``id``, ``ref``, ``alt``, ``note``, and for each task ``ref_TASK``,
            ``alt_TASK`` (logits), ``delta_TASK`` (alternative − reference, mean over shifts and
            bundles), ``sd_TASK`` (over shifts and bundles), of several bundles ``low_TASK`` and
            ``high_TASK`` (in which 95 % of further models would put the difference),
            ``probability_ref_TASK`` and ``probability_alt_TASK``, ``p_TASK`` with a null
            distribution;
            ``motif``, ``motif_change`` (gained, lost, weaker, stronger), ``motif_p_ref`` and
            ``motif_p_alt`` with motifs. Scores are NaN where the note says why.

        Raises
        ------
        InputError
            When the reference alleles show that positions are off by one, or of another assembly.
        """
        table = self.alleles.place(records)
        around = self.alleles.fetch(table)
        scored = np.array(sorted(around), dtype=np.int64)
        found = [around[i] for i in scored]
        if self.n_null and not self._null:
            self._draw_null(found)
        ref, alt = self._logits(found)
        table = self._filled(table, scored, found, ref, alt)
        if self.motifs:
            self._motif_changes(table, scored, found)
        self.facts.records += len(records)
        self.facts.alleles += len(table)
        self.facts.scored += len(scored)
        for note, count in table.loc[table["note"] != "", "note"].value_counts().items():
            self.facts.notes[str(note)] = self.facts.notes.get(str(note), 0) + int(count)
        return table.drop(columns="place")

    def finish(self) -> None:
        """Record where all records lie (`AllelesOnGenome.finish`)."""
        self.alleles.finish()

    def _logits(self, alleles: Sequence[Allele]) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
        """Logits of both alleles, each of shape (alleles, bundles, shifts, tasks)."""
        shape = (len(alleles), len(self.bundles), len(self.shifts), len(self.tasks))
        ref, alt = np.empty(shape), np.empty(shape)
        if not alleles:
            return ref, alt
        for k, bundle in enumerate(self.bundles):
            pairs = [allele.windows(bundle.window, self.shifts) for allele in alleles]
            n_ref = len(alleles) * len(self.shifts)
            codes = np.concatenate([*(r for r, _ in pairs), *(a for _, a in pairs)])
            logits = score_codes(bundle.model, codes, strands=self.strands).astype(np.float64)
            ref[:, k] = logits[:n_ref].reshape(len(alleles), len(self.shifts), -1)
            start = n_ref
            for i, (_, windows) in enumerate(pairs):
                mine = logits[start : start + len(windows)]
                alt[i, k] = mine.reshape(-1, len(self.shifts), mine.shape[1]).mean(axis=0)
                start += len(windows)
        return ref, alt

    def _chances(self, logits: NDArray[np.float64]) -> NDArray[np.float64]:
        """Probabilities (alleles, tasks): of the mean logit over shifts, averaged over bundles."""
        each = [
            bundle.probabilities(logits[:, k].mean(axis=1), self.prevalence)
            for k, bundle in enumerate(self.bundles)
        ]
        return np.mean(each, axis=0)

    def _filled(
        self,
        table: pd.DataFrame,
        rows: NDArray[np.int64],
        alleles: Sequence[Allele],
        ref: NDArray[np.float64],
        alt: NDArray[np.float64],
    ) -> pd.DataFrame:
        """The table with scores."""
        delta = alt - ref
        columns = {}
        chances = [self._chances(ref), self._chances(alt)]
        further = (
            further_values(np.moveaxis(delta.mean(axis=2), 1, 0)) if len(self.bundles) > 1 else ()
        )
        for t, task in enumerate(self.tasks):
            for name, values in (
                (f"ref_{task}", ref[..., t].mean(axis=(1, 2))),
                (f"alt_{task}", alt[..., t].mean(axis=(1, 2))),
                (f"delta_{task}", delta[..., t].mean(axis=(1, 2))),
                (f"sd_{task}", delta[..., t].std(axis=(1, 2))),
                *((f"{end}_{task}", ends[:, t]) for end, ends in zip(_ENDS, further, strict=False)),
                *(
                    (f"probability_{which}_{task}", chance[:, t])
                    for which, chance in zip(("ref", "alt"), chances, strict=True)
                ),
            ):
                columns[name] = np.full(len(table), np.nan)
                columns[name][rows] = values
            if self.n_null:
                columns[f"p_{task}"] = np.full(len(table), np.nan)
                for i, allele, change in zip(
                    rows, alleles, delta[..., t].mean(axis=(1, 2)), strict=True
                ):
                    null = self._null.get(allele.kind)
                    if null is not None:
                        beyond = (np.abs(null[:, t]) >= abs(change)).sum()
                        columns[f"p_{task}"][i] = (1 + beyond) / (1 + len(null))
        notes = table["note"].to_numpy(dtype=object).copy()
        for i, allele in zip(rows, alleles, strict=True):
            if (allele.windows(self.window, self.shifts)[0] >= N).any():
                notes[i] = "unknown_bases"
        return pd.concat(
            [table.assign(note=notes), pd.DataFrame(columns, index=table.index)], axis=1
        )

    def _draw_null(self, alleles: Sequence[Allele]) -> None:
        """Changes of the same alleles in shuffled surroundings, by kind of allele."""
        for kind in sorted({allele.kind for allele in alleles}):
            mine = [allele for allele in alleles if allele.kind == kind]
            mine = (mine * -(-self.n_null // len(mine)))[: self.n_null]
            around = np.stack([allele.around for allele in mine])
            shuffled = dinucleotide_shuffle(around, 1, seed=self.seed)[:, 0]
            moved = []
            for allele, new in zip(mine, shuffled, strict=True):
                here = slice(allele.left, allele.left + allele.n_ref)
                new[here] = allele.around[here]
                moved.append(Allele(new, allele.left, allele.n_ref, allele.alt))
            ref, alt = self._logits(moved)
            self._null[kind] = (alt - ref).mean(axis=(1, 2))

    def _motif_changes(
        self, table: pd.DataFrame, rows: NDArray[np.int64], alleles: Sequence[Allele]
    ) -> None:
        """The motif whose hit over the variant changes most, and how."""
        name = np.full(len(table), "", dtype=object)
        change = np.full(len(table), "", dtype=object)
        p_ref, p_alt = np.full(len(table), np.nan), np.full(len(table), np.nan)
        both = []
        for is_alt in (False, True):
            best = np.ones((len(alleles), len(self.motifs)))
            sequences = [allele.sequence(is_alt, self.reach) for allele in alleles]
            lengths = np.array([len(codes) for codes in sequences])
            for length in np.unique(lengths):
                mine = np.flatnonzero(lengths == length)
                codes = np.stack([sequences[i] for i in mine])
                hits = find_hits(codes, self.motifs, self.motif_p)
                row, motif = mine[hits["sequence"].to_numpy()], hits["pwm"].to_numpy()
                inside = np.array([alleles[i].size(is_alt) for i in row], dtype=np.int64)
                over = (hits["start"].to_numpy() < self.reach + inside) & (
                    hits["end"].to_numpy() > self.reach
                )
                np.minimum.at(best, (row[over], motif[over]), hits["p"].to_numpy()[over])
            both.append(best)
        ratio = np.abs(np.log10(both[0]) - np.log10(both[1]))
        for i, row in enumerate(rows):
            m = int(ratio[i].argmax())
            if ratio[i, m] == 0:
                continue
            name[row] = self.motifs[m].label
            p_ref[row], p_alt[row] = (value if (value := one[i, m]) < 1 else np.nan for one in both)
            change[row] = (
                "gained" if both[0][i, m] == 1
                else "lost" if both[1][i, m] == 1
                else "stronger" if both[1][i, m] < both[0][i, m]
                else "weaker"
            )  # fmt: skip
        table["motif"], table["motif_change"] = name, change
        table["motif_p_ref"], table["motif_p_alt"] = p_ref, p_alt
