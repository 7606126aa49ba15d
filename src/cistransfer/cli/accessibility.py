"""``cistransfer accessibility``: example sets of open chromatin."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

from cistransfer.cli.groups import GENOME, Seed
from cistransfer.cli.plan import goes_with
from cistransfer.cli.verb import Done
from cistransfer.examples.draw import Background, Shares
from cistransfer.examples.holdout import SplitOptions
from cistransfer.openness.options import OpenOptions
from cistransfer.options import option

if TYPE_CHECKING:
    import pandas as pd

    from cistransfer.examples.sources import FromOpenness
    from cistransfer.openness.regions import OpenRegions

__all__ = ["sets"]


@dataclass(frozen=True)
class Output:
    """Output."""

    out: Path = option(
        metavar="SETS",
        writes=("sets.tsv", "pretraining/dataset.json", "multiclass/dataset.json"),
        help="Folder to write.",
    )
    published_multiclass: bool = option(
        False, help="Write the published multi-class set too, which lacks most negatives."
    )


@dataclass(frozen=True)
class Genome:
    """Genome."""

    genome: Path = option(help=GENOME)


@dataclass(frozen=True)
class FromLists:
    """The released lists."""

    lists: Path = option(help="ChromTransfer's lists (chrom:start-end,label): folder or file.")


@dataclass(frozen=True)
class Cells:
    """Cells."""

    cells: tuple[str, ...] = option(help="Comma list of cells to make models for.")


@dataclass(frozen=True)
class ListedCells:
    """Cells."""

    cells: tuple[str, ...] = option(
        (), help="Comma list of cells to make models for [with --lists: all]."
    )
    pretraining: Path | None = option(
        None,
        flag="--pretraining-set",
        metavar="SET",
        help="Your own pre-training set of windows as wide (SETS/pretraining of another run, or of "
        "'cistransfer examples'); its split is taken, and what it has seen is held out.",
    )


@dataclass(frozen=True)
class Made:
    """How the sets are made."""

    window: int = option(600, min=1, help="Window in bp.")
    blacklist: Path | None = option(None, help="Regions to avoid (BED).")
    backgrounds: tuple[str, ...] = option(
        ("tiles",),
        flag="--background",
        panel="Pre-training",
        choices=("tiles", "shuffled"),
        help="Of pre-training: tiles (far from open regions; published), shuffled, or "
        "tiles,shuffled for a set of each.",
    )
    background_genome: Path | None = option(
        None,
        panel="Pre-training",
        needs=("backgrounds=tiles",),
        help="Genome to tile, where --genome holds windows.",
    )
    margin: int = option(
        300,
        min=0,
        panel="Pre-training",
        needs=("backgrounds=tiles",),
        help="Least distance of tiles from open regions, in bp.",
    )

    def source(self, opened: OpenRegions, cells: tuple[str, ...], genome: Path) -> FromOpenness:
        """The source that these options mean."""
        from cistransfer.examples.sources import FromOpenness

        return FromOpenness(
            opened,
            cells,
            genome,
            window=self.window,
            background_genome=self.background_genome,
            margin=self.margin,
            blacklist=self.blacklist,
        )


def sets(
    output: Output,
    genome: Genome,
    source: Annotated[OpenOptions | FromLists, "source of open regions"],
    cells: Annotated[Cells | None, goes_with(OpenOptions)],
    listed: Annotated[ListedCells | None, goes_with(FromLists)],
    made: Annotated[Made | None, goes_with(OpenOptions)],
    background: Annotated[Background | None, goes_with(OpenOptions)],
    negatives: Annotated[Shares | None, goes_with(OpenOptions)],
    split: SplitOptions,
    seed: Seed,
) -> Done:
    """Write SETS/pretraining, SETS/cells/CELL, SETS/multiclass and SETS/sets.tsv.

    Pre-training: windows that are open, but in none of the cells, against background. Cells:
    windows open in that one of the cells alone, against named negatives. Multi-class: all cells'
    windows, one class each. The split is one for all; test is chr2 and chr3 where there are both.
    Tiles are taken on chromosomes that have open regions in the list.
    """
    from cistransfer.binding.matrix import read_open_regions
    from cistransfer.examples.dataset import input_lines, open_examples
    from cistransfer.examples.write_sets import write_listed_sets, write_sets

    common: dict[str, Any] = {
        "split": split.split(seed.seed),
        "published_multiclass": output.published_multiclass,
    }
    notes: list[str] = []
    inputs: list[dict[str, Any]] = []
    if isinstance(source, FromLists):
        assert listed is not None
        table = write_listed_sets(
            output.out,
            source.lists,
            genome.genome,
            listed.cells,
            pretraining=listed.pretraining,
            **common,
        )
    else:
        assert cells is not None
        assert made is not None
        opened = read_open_regions(source)
        table = write_sets(
            output.out,
            made.source(opened, cells.cells, genome.genome),
            backgrounds=made.backgrounds,
            background=background,
            negatives=negatives,
            seed=seed.seed,
            **common,
        )
        inputs = open_examples(output.out / "pretraining").facts["inputs"]
        notes = [*opened.notes, *input_lines(inputs)]
    return Done(
        {"folder": str(output.out), "sets": table.to_dict("records")},
        [*notes, *_lines(table), f"written: {output.out} (see sets.tsv)"],
        written=[output.out],
        used={"inputs": inputs},
    )


def _lines(table: pd.DataFrame) -> list[str]:
    """One line per set: windows of each source, train / valid / test."""
    lines = []
    for name, rows in table.groupby("set", sort=False):
        number = rows.pivot_table(
            index="source", columns="part", values="windows", aggfunc="sum", fill_value=0
        ).reindex(columns=["train", "valid", "test"], fill_value=0)
        kinds = (
            f"{source} {row['train']:,} / {row['valid']:,} / {row['test']:,}"
            for source, row in number.iterrows()
        )
        lines.append(f"{name}: " + ", ".join(kinds))
    return [*lines, "(windows for training / validation / test)"]
