"""``cistransfer variants``: what variants do to a model's score."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

from cistransfer.cli.groups import Device, Ensemble, OwnNetworks, Seed, WholeGenome
from cistransfer.cli.verb import Done, written_to
from cistransfer.options import option

__all__ = ["variants"]


@dataclass(frozen=True)
class Variants:
    """Variants."""

    vcf: Path = option(help="VCF, plain or compressed.")
    out: Path = option(
        help="File to write: .vcf (the records with entries in INFO), else a table; .gz compresses."
    )
    n_shifts: int = option(5, flag="--shifts", min=1, help="Windows at so many shifts.")
    max_shift: int | None = option(
        None, min=0, help="Largest shift in bp [default: a tenth of the window]."
    )
    strands: str = option("both", choices=("both", "forward"), help="both (averaged), or forward.")
    n_null: int = option(
        0,
        flag="--null",
        min=0,
        help="Empirical p from so many alleles in shuffled surroundings; 0: none.",
    )
    prevalence: float | None = option(
        None,
        min=0,
        max=1,
        help="Share of bound regions at which the probabilities of both alleles are given "
        "[default: that of the model's validation examples].",
    )
    motifs: Path | None = option(
        None, help="Motifs of any format, or jaspar, to look for in both alleles."
    )
    motif_p: float = option(1e-4, needs=("motifs",), help="p-value of a motif's hit.")


def variants(
    models: Ensemble,
    genome: WholeGenome,
    wanted: Variants,
    seed: Seed,
    device: Device,
    networks: OwnNetworks,
) -> Done:
    """Score the alternative alleles of a VCF against the reference: logit by logit.

    Rows whose reference allele is not what the genome has there, and alleles that are no sequence,
    are kept without a score and say why; a VCF of another assembly, or counted from 0, is refused.
    """
    from cistransfer.api.variants import annotate_variants

    networks.register()
    facts = annotate_variants(
        list(models.bundles),
        wanted.vcf,
        genome.genome,
        wanted.out,
        motifs=wanted.motifs,
        motif_p=wanted.motif_p,
        n_shifts=wanted.n_shifts,
        max_shift=wanted.max_shift,
        n_null=wanted.n_null,
        prevalence=wanted.prevalence,
        strands=wanted.strands,
        seed=seed.seed,
        device=device.device,
    )
    return written_to(wanted.out, facts)
