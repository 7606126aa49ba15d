"""``cistransfer track``: scores along chromosomes, for a genome browser."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

from cistransfer.cli.groups import Device, Ensemble, OwnNetworks, WholeGenome
from cistransfer.cli.verb import Done, written_to
from cistransfer.options import option

__all__ = ["track"]


@dataclass(frozen=True)
class Track:
    """Track."""

    out: Path = option(help="Track to write: .bedGraph (.gz compresses), or .bw (bigWig).")
    task: str | None = option(None, help="Task to show, where the models have several.")
    stride: int = option(50, min=1, help="bp from window to window.")
    chroms: tuple[str, ...] = option((), help="Comma list of chromosomes [default: all].")
    only: Path | None = option(None, help="Regions (BED); elsewhere there is no value.")
    strands: str = option("both", choices=("both", "forward"), help="both (averaged), or forward.")
    prevalence: float | None = option(
        None,
        min=0,
        max=1,
        help="Share of bound among the windows, at which probabilities are given [default: that "
        "of the model's validation examples].",
    )
    show: str = option(
        "mean",
        choices=("mean", "sd", "low", "high"),
        help="Of several models: mean, sd, or low and high, the interval in which 95 % of models "
        "trained like these would lie.",
    )


def track(
    models: Ensemble, genome: WholeGenome, wanted: Track, device: Device, networks: OwnNetworks
) -> Done:
    """Score windows along chromosomes: a track for a genome browser.

    Each window gives its probability to the --stride bp around its middle; windows with an N have
    none. A run that was stopped goes on where it was when its command is given again.
    """
    from cistransfer.api.use import predict_track

    networks.register()
    facts = predict_track(
        list(models.bundles),
        genome.genome,
        wanted.out,
        task=wanted.task,
        stride=wanted.stride,
        chroms=wanted.chroms,
        only=wanted.only,
        strands=wanted.strands,
        prevalence=wanted.prevalence,
        show=wanted.show,
        device=device.device,
    )
    return written_to(wanted.out, facts)
