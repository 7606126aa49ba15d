"""``cistransfer locus``: one place of the genome in full."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

from cistransfer.cli.groups import Device, OneBundle, OwnNetworks, Seed, WholeGenome
from cistransfer.cli.verb import Done
from cistransfer.options import option

__all__ = ["locus"]


@dataclass(frozen=True)
class Place:
    """Locus."""

    locus: str = option(
        positional=True,
        help="chr1:1,001-1,200, as genome browsers write it: counted from 1, both ends in it.",
    )
    out: Path = option(help="Folder for the figure and its tables.")
    task: str | None = option(None, help="Task to explain, where the model has several.")
    motifs: Path | None = option(None, help="Motifs of any format, or jaspar, to look for.")
    p_value: float = option(
        1e-4, flag="--motif-p", needs=("motifs",), help="p-value of a motif's hit."
    )
    shuffles: int = option(20, min=1, help="Shuffled references of the attribution (DeepLIFT).")
    prevalence: float | None = option(
        None,
        min=0,
        max=1,
        help="Share of bound regions at which probabilities are given [default: that of the "
        "model's validation examples].",
    )


def locus(
    model: OneBundle,
    place: Place,
    genome: WholeGenome,
    seed: Seed,
    device: Device,
    networks: OwnNetworks,
) -> Done:
    """Explain one locus: the score along it, every base's attribution and mutants, motifs."""
    from cistransfer.api.explain import explain_locus
    from cistransfer.interpretation.locus import write_locus

    networks.register()
    found = explain_locus(
        model.bundle,
        place.locus,
        genome.genome,
        task=place.task,
        motifs=place.motifs,
        p_value=place.p_value,
        shuffles=place.shuffles,
        seed=seed.seed,
        prevalence=place.prevalence,
        device=device.device,
    )
    files = write_locus(place.out, found)
    highest = found.track.loc[found.track["probability"].idxmax()]
    said = f"{found.chrom}:{found.start + 1:,}-{found.end:,}, {found.task}: probability up to "
    said += f"{highest['probability']:.3f} (at {int(highest['position']) + 1:,})"
    motifs = f"{len(found.hits):,} motif hits"
    if len(found.hits):
        best = found.hits.iloc[0]
        motifs += f", the best {best['name']} at {int(best['start']) + 1:,} (p {best['p']:.1g})"
    return Done(
        {
            "out": str(place.out),
            "chrom": found.chrom,
            "start": found.start,
            "end": found.end,
            "task": found.task,
            "max_probability": float(highest["probability"]),
            "motif_hits": len(found.hits),
            "files": [str(path) for path in files],
        },
        [said, *([motifs] if place.motifs else []), f"written: {place.out}"],
        written=[place.out],
        used={"task": found.task, "inputs": found.inputs},
    )
