"""``cistransfer examples``: an example set, for several models or for your own code."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

from cistransfer.cli.groups import GENOME, Seed
from cistransfer.cli.plan import goes_with
from cistransfer.cli.verb import Done
from cistransfer.examples.draw import Matched
from cistransfer.examples.holdout import HoldOutOptions
from cistransfer.examples.sources import (
    FromFasta,
    FromLists,
    FromMatrix,
    FromPeaks,
    FromRegions,
    FromTFs,
)
from cistransfer.openness.options import OpenOptions
from cistransfer.options import option

if TYPE_CHECKING:
    from cistransfer.examples.sources import FromOpenness

__all__ = ["examples"]


@dataclass(frozen=True)
class ExampleSet:
    """Example set."""

    out: Path = option(metavar="SET", help="Folder to write.")
    trunk: str | None = option(
        None,
        path=True,
        help="Trunk (run folder or bundle) to be fine-tuned on them: its window and split are "
        "taken, and what it has seen is held out.",
    )


@dataclass(frozen=True)
class FromCells:
    """Open chromatin of several cells."""

    cells: tuple[str, ...] = option(help="Comma list of cells; with --open, the open regions.")
    genome: Path = option(help=GENOME)
    cell: str | None = option(
        None,
        help="The cell to make examples for: what is open in it alone, against what is open in "
        "others or in none [default: what is open in none of --cells, against background].",
    )
    window: int | None = option(None, min=1, help="Window in bp [default: 600].")
    background: str = option(
        "tiles",
        choices=("tiles", "shuffled"),
        against=("cell",),
        help="Against tiles (far from open regions; published), or shuffled.",
    )
    blacklist: Path | None = option(None, help="Regions to avoid (BED).")

    def source(self, opened: OpenOptions) -> FromOpenness:
        """The source that these options mean."""
        from cistransfer.binding.matrix import read_open_regions
        from cistransfer.examples.sources import FromOpenness

        return FromOpenness(
            read_open_regions(opened),
            self.cells,
            self.genome,
            cell=self.cell,
            window=self.window or 600,
            background=self.background,
            blacklist=self.blacklist,
        )


def examples(
    made: ExampleSet,
    source: Annotated[
        FromPeaks | FromMatrix | FromTFs | FromFasta | FromRegions | FromCells | FromLists,
        "source of examples",
    ],
    opened: Annotated[OpenOptions | None, goes_with(FromCells)],
    draw: Annotated[Matched | None, goes_with(FromPeaks, FromMatrix)],
    holdout: HoldOutOptions,
    seed: Seed,
) -> Done:
    """Make an example set from any source, as 'finetune' and 'pretrain' do.

    Give it to them, to 'evaluate' or to 'interpret' as --examples SET.
    """
    from cistransfer.api.learn import make_examples
    from cistransfer.errors import InputError
    from cistransfer.examples.dataset import counts

    if made.trunk is None and holdout.guard is not None:
        raise InputError("--guard has no meaning without --trunk; drop it")
    chosen: Any = source
    if isinstance(source, FromCells):
        assert opened is not None
        chosen = source.source(opened)
    data = make_examples(
        chosen,
        trunk=made.trunk,
        out=made.out,
        split=holdout.split(seed.seed),
        guard=holdout.guard,
        draw=draw,
        seed=seed.seed,
    )
    table = counts(data)
    facts = {
        "tasks": list(data.tasks),
        "content_hash": data.content_hash(),
        "dropped": data.facts.get("dropped"),
        "split": data.facts.get("split"),
        "guard": data.facts.get("guard"),
    }
    return Done(
        {"out": str(made.out), "counts": table, **facts},
        [
            *(f"{part}: {len(data.rows(part)):,} windows" for part in table),
            f"content {facts['content_hash']}",
            f"written: {made.out}",
        ],
        written=[made.out],
        used=facts,
    )
