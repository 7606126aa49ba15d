"""``cistransfer simulate``: write a simulated data set whose truth is known."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

from cistransfer.cli.groups import Seed
from cistransfer.cli.verb import Done
from cistransfer.options import option

__all__ = ["simulate"]


@dataclass(frozen=True)
class World:
    """The simulated world."""

    out: Path = option(help="Folder to write.")
    n_regions: int = option(16_000, help="DHS windows in all.")
    n_chroms: int = option(8, help="Chromosomes.")


def simulate(world: World, seed: Seed) -> Done:
    """Write a simulated genome with DHS, peaks and TFBS whose truth is known."""
    from cistransfer.simulation import simulate as write

    truth = write(world.out, seed=seed.seed, regions=world.n_regions, chromosomes=world.n_chroms)
    bound = {tf: int((row == 1).sum()) for tf, row in zip(truth.tfs, truth.sparse, strict=True)}
    return Done(
        {
            "out": str(world.out),
            "regions": len(truth.regions),
            "target": truth.target,
            "bound": bound,
        },
        [
            f"{len(truth.regions):,} regions open in {len(truth.cells)} cells, "
            f"{len(truth.tfs)} TFs; bound regions: "
            + ", ".join(f"{tf} {count:,}" for tf, count in bound.items()),
            f"the TF with few peaks: {truth.target}",
            f"written: {world.out}",
        ],
        written=[world.out],
    )
