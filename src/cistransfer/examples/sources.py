"""Where examples come from: one frozen dataclass per source, whose fields are its options.

Each gives `Candidates` (`candidates`) and knows how examples are usually drawn from them (`draw`).
"""

from __future__ import annotations

import os
from abc import ABC, abstractmethod
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from cistransfer.errors import InputError
from cistransfer.examples.draw import All, Background, Draw, Matched, Shares
from cistransfer.options import check_options, option

if TYPE_CHECKING:
    import pandas as pd

    from cistransfer.binding.matrix import BindingMatrix
    from cistransfer.examples.candidates import Candidates
    from cistransfer.genome.fasta import Sequences
    from cistransfer.openness.options import OpenOptions
    from cistransfer.openness.regions import OpenRegions

__all__ = [
    "BACKGROUNDS",
    "BESIDE",
    "MIN_BESIDE",
    "WINDOW",
    "FromFasta",
    "FromLists",
    "FromMatrix",
    "FromOpenness",
    "FromPeaks",
    "FromRegions",
    "FromTFs",
    "OfMatrix",
    "Source",
]

PathLike = str | os.PathLike[str]

WINDOW = 200
"""Window in bp where neither the source nor a trunk says another."""

BACKGROUNDS = ("tiles", "shuffled")
"""``tiles``: windows of the genome far from open regions (published). ``shuffled``: copies of the
positives with the same dinucleotides."""

BESIDE = ("experiments", "openness")
"""``experiments``: each TF in each of its cells with `MIN_BESIDE` bound regions, as ``TF@cell``.
``openness``: whether a region is open in each cell, as ``open@cell``."""

MIN_BESIDE = 100
"""Fewest bound regions of an experiment that is learned beside the TFs."""

_GENOME = "Genome FASTA, or FASTA file or folder of windows."
_POSITIVE = "Class of --fasta or --labelled that is positive; all others are not."
_COLUMNS = (
    "Columns of your regions where their format is not known: chrom=1,start=2,end=3,summit=5 "
    "(numbers or names; also name, strand, offset, base)."
)

_WINDOW = "Window in bp [default: the trunk's, or 200]."


@dataclass(frozen=True, eq=False)
class Source(ABC):
    """What every source of examples can do."""

    def __post_init__(self) -> None:
        check_options(self)

    @property
    def draw(self) -> Draw:
        """How examples are usually drawn from it."""
        return All()

    @property
    def sequences(self) -> PathLike | Sequences | None:
        """Where its windows get their bases from; None: it holds them."""
        return getattr(self, "genome", None)

    @abstractmethod
    def candidates(
        self, sequences: Sequences | None = None, window: int | None = None, seed: int = 0
    ) -> Candidates:
        """Regions that examples may be made of.

        Parameters
        ----------
        sequences : Sequences, optional
            By default those of the source.
        window : int, optional
            In bp, where the source leaves it open (the trunk's).
        seed : int
            Of whatever is drawn on the way.
        """


@dataclass(frozen=True, eq=False, kw_only=True)
class OfMatrix(Source):
    """Labels of a binding matrix.

    Attributes
    ----------
    rule : str, optional
        The matrix's view; by default ``sparse``, for common regions ``less-sparse`` (the published
        choice), ``peaks-only`` for a matrix without TFBS.
    cell : str, optional
        Labels of this cell alone; by default over all cells of the matrix.
    also_in, not_in : tuple of str
        With a ``cell``: only regions that are resolved in these cells too, or in none of these.
    window : int, optional
        Of the sequences, in bp, on the centres of the matrix's regions, whose labels stay; by
        default the trunk's where it is wider, else the matrix's. (``matrix build`` with
        ``label_window`` labels wider regions anew.)
    """

    rule: str | None = option(
        None,
        help="What counts as bound: sparse, less-sparse, full, peaks-only or peaks-only-full "
        "[default: sparse, for common regions less-sparse; of a matrix without TFBS peaks-only].",
    )
    cell: str | None = option(
        None, help="Labels of this cell alone [default: over all cells of the matrix]."
    )
    also_in: tuple[str, ...] = option(
        (),
        needs=("cell",),
        help="Comma list of cells: only regions that are resolved in these too.",
    )
    not_in: tuple[str, ...] = option(
        (),
        needs=("cell",),
        help="Comma list of cells: only regions that are resolved in none of these.",
    )
    window: int | None = option(
        None,
        min=1,
        help="Window in bp on the matrix's regions, which keep their labels [default: the trunk's "
        "where it is wider, or the matrix's].",
    )


@dataclass(frozen=True, eq=False)
class FromMatrix(OfMatrix):
    """One TF of a binding matrix (`OfMatrix` says the rest).

    Attributes
    ----------
    matrix : path or BindingMatrix
    tf : str
    genome : path or Sequences
    """

    matrix: PathLike | BindingMatrix = option(help="Binding matrix (HDF5).", cli=Path)
    tf: str = option(help="TF of the matrix.")
    genome: PathLike | Sequences = option(help=_GENOME, cli=Path)

    @property
    def draw(self) -> Draw:
        """GC-matched."""
        return Matched()

    def candidates(
        self, sequences: Sequences | None = None, window: int | None = None, seed: int = 0
    ) -> Candidates:
        """Regions that are bound, and then those that are unbound."""
        from cistransfer.examples.candidates import Placing, as_sequences
        from cistransfer.examples.from_matrix import of_matrix

        return of_matrix(self, Placing(sequences or as_sequences(self.genome)), window)


@dataclass(frozen=True, eq=False)
class FromTFs(OfMatrix):
    """Several TFs of a binding matrix (`OfMatrix` says the rest).

    Attributes
    ----------
    matrix : path or BindingMatrix
    genome : path or Sequences
    tfs : tuple of str
        The tasks, in this order; by default all of the matrix.
    exclude : tuple of str
        TFs to leave out.
    regions : {"resolved", "common"}
        ``resolved`` keeps every region resolved for at least one of the TFs (the loss ignores the
        others); ``common`` only those resolved for all of them, as published.
    max_regions : int, optional
        Sample at most so many regions (70,000 in the paper's group experiments).
    common_with : tuple of str
        Common regions must be resolved for these TFs too: so several sets, of some TFs alone and
        of the same among others, have the same regions (Novakovsky et al. 2021, Figure 7).
    beside : tuple of str
        Further tasks on the same regions (see `BESIDE`): what a trunk learns from them helps it
        with the TFs. ``compact`` leaves them out of the copy.
    """

    matrix: PathLike | BindingMatrix = option(help="Binding matrix (HDF5).", cli=Path)
    genome: PathLike | Sequences = option(help=_GENOME, cli=Path)
    tfs: tuple[str, ...] = option(
        (), help="Comma list of TFs to train on [default: all of the matrix]."
    )
    exclude: tuple[str, ...] = option(
        (), flag="--exclude-tfs", help="Comma list of TFs to leave out."
    )
    regions: str = option(
        "resolved",
        flag="--region-set",
        choices=("resolved", "common"),
        help="resolved (for any of the TFs), or common (for all; as published).",
    )
    max_regions: int | None = option(None, min=1, help="Sample at most so many regions.")
    common_with: tuple[str, ...] = option(
        (),
        needs=("regions=common",),
        help="Comma list of TFs for which common regions must be resolved too.",
    )

    beside: tuple[str, ...] = option(
        (),
        help="Comma list of what else to learn as further tasks: experiments (each TF in each "
        "cell, TF@cell), openness (of each cell, open@cell).",
    )

    def __post_init__(self) -> None:
        super().__post_init__()
        for kind in self.beside:
            if kind not in BESIDE:
                raise InputError(f"beside: expected {' or '.join(BESIDE)}, found {kind!r}")
        if self.beside and self.cell is not None:
            raise InputError("beside has no meaning with the labels of one cell")

    def candidates(
        self, sequences: Sequences | None = None, window: int | None = None, seed: int = 0
    ) -> Candidates:
        """Regions that are resolved, with a label for each TF."""
        from cistransfer.examples.candidates import Placing, as_sequences
        from cistransfer.examples.from_matrix import of_tfs

        return of_tfs(self, Placing(sequences or as_sequences(self.genome)), window, seed)


@dataclass(frozen=True, eq=False)
class FromPeaks(Source):
    """Peaks of one TF and open regions.

    Attributes
    ----------
    peaks : path or DataFrame
        Region table or BED; ``summit`` is used when present.
    genome : path or Sequences
    open_regions : path or DataFrame, optional
        Where negatives are drawn from. Without, they are tiles of the genome away from the peaks:
        a model then learns what tells bound regions from the rest of the genome, which is open
        chromatin as much as the TF.
    tf : str, optional
        A name for the record; by default the file's.
    window : int, optional
        In bp; by default the trunk's, or `WINDOW`.
    blacklist : path or DataFrame, optional
    columns : str, optional
        Of peaks whose format is not known (`cistransfer.genome.formats.parse_columns`).
    """

    peaks: PathLike | pd.DataFrame = option(help="Your peaks (BED or narrowPeak).", cli=Path)
    genome: PathLike | Sequences = option(help=_GENOME, cli=Path)
    open_regions: PathLike | pd.DataFrame | None = option(
        None,
        flag="--open",
        help="Open regions (BED) to draw negatives from [default: tiles of the genome away from "
        "the peaks, which teach less].",
        cli=Path,
    )
    tf: str | None = option(None, help="TF of the matrix, or a name for --peaks.")
    window: int | None = option(None, min=1, help=_WINDOW)
    blacklist: PathLike | pd.DataFrame | None = option(
        None, help="Regions to avoid (BED).", cli=Path
    )
    columns: str | None = option(None, metavar="PART=COLUMN,…", help=_COLUMNS)

    @property
    def draw(self) -> Draw:
        """GC-matched."""
        return Matched()

    def candidates(
        self, sequences: Sequences | None = None, window: int | None = None, seed: int = 0
    ) -> Candidates:
        """Windows on the summits of peaks, and on open regions (or tiles) that touch no peak."""
        from cistransfer.examples.candidates import Placing, as_sequences
        from cistransfer.examples.from_peaks import of_peaks

        placing = Placing(sequences or as_sequences(self.genome))
        return of_peaks(self, placing, self.window or window or WINDOW, seed)


@dataclass(frozen=True, eq=False)
class FromFasta(Source):
    """Sequences with the name of their class.

    What ChromTransfer's ``finetune.py`` reads: FASTA records ``>CLASS::chrom:start-end``.
    Lower-case sequence counts; sequences with N are dropped and counted. Where a header names no
    place, a record is known by its sequence, on either strand: its ``chrom`` is a hash of that.
    Such records can only be split at random; what a trunk has seen cannot be told, and the leakage
    guard is off (so the record says).

    Attributes
    ----------
    fasta : path
    positive : str
        The class that is 1; all others are 0.
    window : int, optional
        Cut this many bp out of the middle of longer sequences; by default the trunk's.
    """

    fasta: PathLike = option(
        help="Sequences with the names of their classes (>CLASS::chrom:start-end).", cli=Path
    )
    positive: str = option(help=_POSITIVE)
    window: int | None = option(None, min=1, help=_WINDOW)

    def candidates(
        self, sequences: Sequences | None = None, window: int | None = None, seed: int = 0
    ) -> Candidates:
        """Every record once."""
        from cistransfer.examples.from_classes import of_fasta

        return of_fasta(self, self.window or window)


@dataclass(frozen=True, eq=False)
class FromRegions(Source):
    """Regions with the name of their class.

    What ChromTransfer's ``finetune-from-bed.py`` reads: BED with the class in column 4.

    Attributes
    ----------
    labelled : path
        Windows are made on the regions' centres.
    positive : str
        The class that is 1; all others are 0.
    genome : path or Sequences
    window : int, optional
        In bp; by default the trunk's, or `WINDOW`.
    columns : str, optional
        Where the format is not known (`cistransfer.genome.formats.parse_columns`).
    """

    labelled: PathLike = option(help="Regions (BED) with their classes in column 4.", cli=Path)
    positive: str = option(help=_POSITIVE)
    genome: PathLike | Sequences = option(help=_GENOME, cli=Path)
    window: int | None = option(None, min=1, help=_WINDOW)
    columns: str | None = option(None, metavar="PART=COLUMN,…", help=_COLUMNS)

    def candidates(
        self, sequences: Sequences | None = None, window: int | None = None, seed: int = 0
    ) -> Candidates:
        """Every window once, with its sequence."""
        from cistransfer.examples.candidates import as_sequences
        from cistransfer.examples.from_classes import of_regions

        return of_regions(
            self, sequences or as_sequences(self.genome), self.window or window or WINDOW
        )


@dataclass(frozen=True, eq=False)
class FromOpenness(Source):
    """Open chromatin of several cells.

    Salvatore et al. 2023, Methods, "Data". With a ``cell``, what is open in that one of ``cells``
    alone, against kinds of others (`Shares`); the task is the cell. Without, what is open though
    in none of ``cells``, against background (`Background`); the task is ``open``.

    Attributes
    ----------
    opened : OpenRegions, OpenOptions or path
        See `cistransfer.binding.matrix.read_open_regions`.
    cells : tuple of str
        The chosen cells (six in the paper).
    genome : path or Sequences
    cell : str, optional
        One of ``cells``.
    window : int
        In bp.
    background : str
        One of `BACKGROUNDS`.
    background_genome : path or Sequences, optional
        Genome to tile, where ``genome`` holds windows.
    margin : int
        Least distance of tiles from open regions, in bp.
    blacklist : path or DataFrame, optional
        Neither open windows nor tiles share a base with it.
    """

    opened: OpenRegions | OpenOptions | PathLike
    cells: tuple[str, ...] = option(help="Comma list of cells to make models for.")
    genome: PathLike | Sequences = option(help=_GENOME, cli=Path)
    cell: str | None = option(None, help="The cell to make examples for.")
    window: int = option(600, min=1, help="Window in bp.")
    background: str = option(
        "tiles",
        choices=BACKGROUNDS,
        help="Of pre-training: tiles (far from open regions; published), or shuffled.",
    )
    background_genome: PathLike | Sequences | None = option(
        None, help="Genome to tile, where --genome holds windows.", cli=Path
    )
    margin: int = option(300, min=0, help="Least distance of tiles from open regions, in bp.")
    blacklist: PathLike | pd.DataFrame | None = option(
        None, help="Regions to avoid (BED).", cli=Path
    )

    def candidates(
        self, sequences: Sequences | None = None, window: int | None = None, seed: int = 0
    ) -> Candidates:
        """Windows on open regions, and tiles of the genome."""
        from cistransfer.examples.candidates import as_sequences
        from cistransfer.examples.from_openness import of_cell, of_many_cells

        if self.cell is not None:
            return of_cell(self, self.cell)
        return of_many_cells(self, sequences or as_sequences(self.genome))

    @property
    def draw(self) -> Draw:
        """As many background windows as open ones, or kinds of negatives in shares."""
        return Background(kind=self.background) if self.cell is None else Shares()


@dataclass(frozen=True, eq=False)
class FromLists(Source):
    """ChromTransfer's released lists, as they are.

    Attributes
    ----------
    lists : path or DataFrame
        As `read_lists` reads it.
    genome : path or Sequences
        A genome, or the windows themselves.
    cell : str
        Label of the positives (``HEPG2``); its listed negatives are the others.
    """

    lists: PathLike | pd.DataFrame = option(
        help="ChromTransfer's lists (chrom:start-end,label): folder or file.", cli=Path
    )
    genome: PathLike | Sequences = option(help=_GENOME, cli=Path)
    cell: str = option(help="The cell to make examples for.")

    def candidates(
        self, sequences: Sequences | None = None, window: int | None = None, seed: int = 0
    ) -> Candidates:
        """The cell's windows."""
        from cistransfer.examples.candidates import as_sequences
        from cistransfer.examples.from_openness import of_lists

        return of_lists(self, sequences or as_sequences(self.genome))
