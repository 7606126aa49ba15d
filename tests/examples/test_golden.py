"""The content of example sets, by source and option: the order of random draws is a contract."""

from __future__ import annotations

import dataclasses
import json
from collections.abc import Callable
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path

import by_source
import numpy as np
import pandas as pd
import pytest

from cistransfer.binding.matrix import BindingMatrix
from cistransfer.errors import InputError
from cistransfer.examples.classes import multiclass_examples
from cistransfer.examples.dataset import ExampleSet, open_examples, save_examples, subset
from cistransfer.examples.draw import Background, Shares
from cistransfer.examples.sources import FromOpenness
from cistransfer.examples.split import Split
from cistransfer.examples.write_sets import write_listed_sets, write_sets
from cistransfer.genome.bed import read_bed, regions_table
from cistransfer.genome.codes import decode
from cistransfer.genome.fasta import Genome, WindowSequences, open_sequences, write_fasta
from cistransfer.genome.intervals import overlaps_any
from cistransfer.openness.lists import read_lists
from cistransfer.openness.regions import OpenRegions

TFS = ["MAX", "ELF1", "HNF4A"]
CELLS = ["A", "B", "C"]
NAMED = Split(valid=("chr1",), test=("chr2",))
MADE = Split(valid=("c3",), test=("c4",))


class Holed:
    """A genome whose windows with an even start hold an N, and that lacks chr5."""

    name = "holed.fa"

    def __init__(self, genome: Genome) -> None:
        self.genome = genome

    @property
    def chromosomes(self) -> dict[str, int | None]:
        return self.genome.chromosomes

    def missing(self, regions: pd.DataFrame) -> np.ndarray:
        return self.genome.missing(regions) | (regions["chrom"] == "chr5").to_numpy()

    def fetch(self, regions: pd.DataFrame) -> np.ndarray:
        codes = self.genome.fetch(regions)
        codes[regions["start"].to_numpy() % 2 == 0, 5] = 4
        return codes


@dataclass(frozen=True)
class Inputs:
    """Everything that the cases are made of."""

    folder: Path
    matrix: BindingMatrix
    genome: Genome
    data: Path

    @cached_property
    def seen(self) -> pd.DataFrame:
        """450 regions of the matrix that a trunk has seen."""
        table = self.matrix.regions
        rows = np.random.default_rng(0).permutation(len(table))[:450]
        part = ["train", "valid", "train"] * 150
        return table.iloc[rows][["chrom", "start", "end"]].assign(part=part)

    @cached_property
    def seen_chr1_2(self) -> pd.DataFrame:
        """All regions of two chromosomes."""
        table = self.matrix.regions[["chrom", "start", "end"]]
        return table[table["chrom"].isin(["chr1", "chr2"])].assign(part="train")

    @property
    def peaks(self) -> pd.DataFrame:
        return read_bed(self.data / "peaks" / "ELF1.narrowPeak.gz")

    @property
    def open(self) -> pd.DataFrame:
        return read_bed(self.data / "open.bed.gz")

    @cached_property
    def blacklist(self) -> pd.DataFrame:
        table = self.matrix.regions
        return table[["chrom", "start", "end"]].iloc[::17].reset_index(drop=True)

    @cached_property
    def made(self) -> Genome:
        rng = np.random.default_rng(3)
        texts = {c: decode(rng.integers(0, 4, 60_000, dtype=np.uint8)) for c in self.chroms}
        texts["c1"] = texts["c1"][:-5000] + "N" * 5000
        write_fasta(self.folder / "made.fa", texts)
        return Genome(self.folder / "made.fa")

    chroms = ("c1", "c2", "c3", "c4")

    @cached_property
    def opened(self) -> OpenRegions:
        rng = np.random.default_rng(7)
        start = np.tile(np.arange(90) * 400 + 100, len(self.chroms))
        width = rng.integers(20, 120, len(start))
        regions = regions_table(np.repeat(self.chroms, 90), start, start + width)
        cells = {name: rng.random(len(start)) < 1 / 3 for name in [*CELLS, "D", "E"]}
        return OpenRegions(regions, cells)

    @cached_property
    def made_blacklist(self) -> pd.DataFrame:
        return self.opened.regions.iloc[::13].reset_index(drop=True)

    @cached_property
    def made_seen(self) -> pd.DataFrame:
        regions = self.opened.regions.iloc[::5].reset_index(drop=True)
        return regions.assign(part=np.where(np.arange(len(regions)) % 3, "train", "valid"))

    @cached_property
    def windows(self) -> WindowSequences:
        """Windows of 50 bp on the open regions alone."""
        table = self.opened.regions
        middle = table["start"] + (table["end"] - table["start"]) // 2
        places = table.assign(start=middle - 25, end=middle + 25)
        names = [f"{c}:{s}-{e}" for c, s, e in places.itertuples(index=False)]
        codes = self.made.fetch(places)
        write_fasta(
            self.folder / "windows.fa",
            {f"{i}::{name}": decode(codes[i]) for i, name in enumerate(names)},
        )
        return WindowSequences([self.folder / "windows.fa"], "windows")

    def sequences(self, placed: bool) -> Path:
        """FASTA with classes A, B, Negative on c1, c2, c3."""
        path = self.folder / f"classes-{placed}.fa"
        rng = np.random.default_rng(1)
        records = {}
        for i in range(300):
            name = ("A", "B", "Negative")[i % 3]
            text = decode(rng.integers(0, 4, 31, dtype=np.uint8))
            where = f"c{i // 100 + 1}:{i * 50}-{i * 50 + 31}" if placed else f"record {i}"
            records[f"{name}::{where}"] = text if i % 40 else "N" + text[1:]
        write_fasta(path, records)
        return path

    @property
    def fasta_seen(self) -> pd.DataFrame:
        start = np.arange(0, 15_000, 300)
        chrom = [f"c{1 + s // 5000}" for s in start]
        part = np.where(np.arange(len(start)) % 2, "train", "valid")
        return regions_table(chrom, start, start + 31, part=part)

    @property
    def bed(self) -> Path:
        """BED with classes A, B, Negative."""
        path = self.folder / "classes.bed"
        rows = [
            f"c{i // 80 + 1}\t{(i % 80) * 300}\t{(i % 80) * 300 + 41}\t{('A', 'B', 'Z')[i % 3]}\n"
            for i in range(320)
        ]
        path.write_text("".join(rows[::-1]))
        return path

    @cached_property
    def lists(self) -> pd.DataFrame:
        folder = self.folder / "lists"
        for part, of in (("train", ("c1", "c2", "c3")), ("test", ("c4",))):
            (folder / part).mkdir(parents=True, exist_ok=True)
            for at, cell in enumerate("AB"):
                rows = []
                for c in of:
                    rows += [f"{c}:{i * 60 + at * 20}-{i * 60 + at * 20 + 30},{cell}"
                             for i in range(30)]  # fmt: skip
                    rows += [f"{c}:{i * 60 + 20 - at * 20}-{i * 60 + 50 - at * 20},{cell}_NEG"
                             for i in range(9)]  # fmt: skip
                    rows += [f"{c}:{5000 + i * 40}-{5030 + i * 40},Negative" for i in range(40)]
                (folder / part / f"{cell}.csv").write_text("\n".join(rows) + "\n")
        return read_lists(folder)

    def cells(self, split: Split, **more: object) -> dict[str, ExampleSet]:
        return {
            cell: by_source.cell(
                self.opened, self.made, cell, among=CELLS, window=50, split=split, **more
            )
            for cell in CELLS
        }


@pytest.fixture(scope="module")
def inputs(world, tmp_path_factory: pytest.TempPathFactory) -> Inputs:
    return Inputs(tmp_path_factory.mktemp("golden"), world.matrix, world.genome, world.truth.folder)


Case = Callable[[Inputs], ExampleSet]


def _multi(**options: object) -> Case:
    return lambda i: by_source.multi(i.matrix, i.genome, TFS, **options)


def _single(tf: str = "ELF1", seen: bool = False, **options: object) -> Case:
    return lambda i: by_source.single(
        i.matrix, i.genome, tf, trunk_regions=i.seen if seen else None, **options
    )


def _peaks(seen: str = "", blacklist: bool = False, **options: object) -> Case:
    return lambda i: by_source.peaks(
        i.peaks, i.open, i.genome, tf="ELF1",
        trunk_regions=getattr(i, seen) if seen else None,
        blacklist=i.blacklist if blacklist else None,
        **{"window": 100, **options},
    )  # fmt: skip


def _fasta(placed: bool = True, seen: bool = False, **options: object) -> Case:
    return lambda i: by_source.fasta(
        i.sequences(placed), "B", trunk_regions=i.fasta_seen if seen else None, **options
    )


def _bed(seen: bool = False, **options: object) -> Case:
    return lambda i: by_source.bed(
        i.bed, i.made, "A", window=51, trunk_regions=i.made_seen if seen else None, **options
    )


def _pretraining(**options: object) -> Case:
    return lambda i: by_source.pretraining(
        i.opened, i.made, leave_out=CELLS, **{"window": 50, "margin": 100, **options}
    )


def _cell(seen: bool = False, blacklist: bool = False, **options: object) -> Case:
    return lambda i: by_source.cell(
        i.opened, i.made, "B", among=CELLS,
        trunk_regions=i.made_seen if seen else None,
        blacklist=i.made_blacklist if blacklist else None,
        **{"window": 50, **options},
    )  # fmt: skip


CASES: dict[str, Case] = {
    "multi resolved": _multi(),
    "multi common": _multi(regions="common"),
    "multi rule": _multi(rule="peaks-only"),
    "multi most": _multi(max_regions=200, seed=1),
    "multi fold": _multi(split=Split(fold="2/3"), max_regions=300),
    "multi random": _multi(split=Split(by="random", seed=4)),
    "multi neighbours": _multi(split=Split(by="neighbours", fraction=0.2)),
    "multi holed": lambda i: by_source.multi(i.matrix, Holed(i.genome), TFS),
    "single": _single(),
    "single named": _single(split=NAMED),
    "single bins": _single("SPI1", gc_bins=10),
    "single negatives": _single("SPI1", per_bound=2.5),
    "single positives": _single(positives=40),
    "single seed": _single(positives=40, seed=1),
    "single fold": _single("GABPA", split=Split(fold="2/3")),
    "single random": _single(split=Split(by="random", seed=3)),
    "single random seen": _single(split=Split(by="random"), seen=True),
    "single neighbours": _single(split=Split(by="neighbours", seed=2)),
    "single heldout": _single(split=NAMED, seen=True),
    "single all": _single(split=NAMED, seen=True, guard="all"),
    "single off": _single(split=NAMED, seen=True, guard="off"),
    "single holed": lambda i: by_source.single(i.matrix, Holed(i.genome), "ELF1"),
    "peaks": _peaks(),
    "peaks wide": _peaks(window=150, per_bound=2.0, gc_bins=10),
    "peaks blacklist": _peaks(blacklist=True),
    "peaks positives": _peaks(positives=30, seed=5),
    "peaks split": _peaks("seen", split=NAMED),
    "peaks random": _peaks("seen", split=Split(by="random", seed=2)),
    "peaks fold": _peaks(split=Split(fold="1/3", test=("chr2",))),
    "peaks of a trunk": _peaks("seen", trunk_split=NAMED),
    "peaks widened": _peaks("seen_chr1_2", trunk_split=Split(valid=("chr3",), test=("chrZ",))),
    "fasta": _fasta(),
    "fasta window": _fasta(window=20),
    "fasta split": _fasta(split=Split(valid=("c1",), test=("c3",)), seen=True),
    "fasta of a trunk": _fasta(trunk_split=Split(valid=("c2",), test=("c3",)), seen=True),
    "fasta random": _fasta(split=Split(by="random", seed=3), seen=True),
    "fasta without places": _fasta(False),
    "fasta without places, seed": _fasta(False, seed=5, seen=True, window=21),
    "bed": _bed(),
    "bed split": _bed(split=MADE, seen=True),
    "bed of a trunk": _bed(trunk_split=Split(valid=("c3",), test=("c2",)), seen=True),
    "pretraining": _pretraining(),
    "pretraining split": _pretraining(split=MADE, ratio=1.5, seed=3),
    "pretraining fold": _pretraining(split=Split(fold="2/3")),
    "pretraining random": _pretraining(split=Split(by="random")),
    "pretraining shuffled": _pretraining(background="shuffled", ratio=2.4, seed=1),
    "pretraining most": _pretraining(max_positives=40, seed=1, margin=300),
    "pretraining most shuffled": _pretraining(background="shuffled", ratio=0.5, max_positives=40),
    "pretraining blacklist": lambda i: by_source.pretraining(
        i.opened, i.made, leave_out=["A"], window=50, blacklist=i.made_blacklist
    ),
    "pretraining of windows": lambda i: by_source.pretraining(
        i.opened, i.windows, leave_out=CELLS, window=50, background_genome=i.made, ratio=0.2
    ),
    "cell": _cell(),
    "cell split": _cell(split=MADE, ratio=1.5, negatives={"others": 2, "nobody": 1}),
    "cell counts": _cell(
        split=MADE, ratio=None, negatives={"universal": 9, "nobody": 0, "others": 12}
    ),
    "cell wide": _cell(window=390, seed=4),
    "cell random": _cell(split=Split(by="random"), window=390),
    "cell neighbours": _cell(split=Split(by="neighbours"), window=390),
    "cell seen": _cell(split=MADE, seen=True),
    "cell all": _cell(split=MADE, seen=True, guard="all"),
    "cell blacklist": _cell(split=MADE, blacklist=True),
    "multiclass": lambda i: multiclass_examples(i.cells(MADE)),
    "multiclass published": lambda i: multiclass_examples(
        i.cells(MADE, negatives={"others": 1, "universal": 1}), negatives=False
    ),
    "list": lambda i: by_source.listed(i.lists, i.made, "A"),
    "list random": lambda i: by_source.listed(
        i.lists, i.made, "B", split=Split(by="random", fraction=0.2)
    ),
    "list seen": lambda i: by_source.listed(i.lists, i.made, "A", trunk_regions=i.made_seen),
    "subset": lambda i: subset(
        _single("SPI1", per_bound=2)(i), fraction=0.5, max_positives={"train": 60}, seed=2
    ),
}

GOLDEN = json.loads(Path(__file__).with_name("golden.json").read_text())


def _short(examples: ExampleSet) -> str:
    return examples.content_hash().removeprefix("sha256:")[:16]


def _written(folder: Path) -> dict[str, str]:
    return {
        str(path.parent.relative_to(folder)): _short(open_examples(path.parent))
        for path in sorted(folder.rglob("dataset.json"))
    }


@pytest.mark.parametrize("case", CASES)
def test_made_data(inputs: Inputs, case: str) -> None:
    assert _short(CASES[case](inputs)) == GOLDEN["made data"][case]


def test_sets_of_cells(inputs: Inputs, tmp_path: Path) -> None:
    source = FromOpenness(
        inputs.opened, tuple(CELLS), inputs.made, window=50, blacklist=inputs.made_blacklist
    )
    write_sets(
        tmp_path, source, backgrounds=["tiles", "shuffled"],
        background=Background(max_positives=100),
        negatives=Shares({"others": 1, "nobody": 1, "universal": 1}), seed=2,
        published_multiclass=True,
    )  # fmt: skip
    assert _written(tmp_path) == GOLDEN["sets of cells"]


def test_sets_of_lists(inputs: Inputs, tmp_path: Path) -> None:
    write_listed_sets(tmp_path, inputs.lists, inputs.made, published_multiclass=True)
    assert _written(tmp_path) == GOLDEN["sets of lists"]


def test_lists_beside_a_pre_training_set_of_ones_own(inputs: Inputs, tmp_path: Path) -> None:
    """It becomes SETS/pretraining, and the windows that it trained on leave the test parts."""
    write_listed_sets(tmp_path / "without", inputs.lists, inputs.made)
    plain = open_examples(tmp_path / "without" / "cells" / "A")
    row = next(row for row in plain.rows("test") if plain.labels[row, 0] == 0)
    kept = [row, *plain.rows("valid")[:3], *plain.rows("train")[:3]]
    own = ExampleSet(
        np.asarray(plain.codes)[kept],
        np.asarray(plain.labels)[kept],
        plain.regions.iloc[kept].assign(part="train").reset_index(drop=True),
        ("open",),
        {"split": {"by": "random", "fraction": 0.1, "seed": 1}},
    )
    folder = save_examples(tmp_path / "own", own)
    write_listed_sets(tmp_path / "sets", inputs.lists, inputs.made, pretraining=folder)
    written = open_examples(tmp_path / "sets" / "pretraining")
    assert written.content_hash() == own.content_hash()
    for cell in ("A", "B"):
        before = open_examples(tmp_path / "without" / "cells" / cell)
        after = open_examples(tmp_path / "sets" / "cells" / cell)
        assert after.facts["split"] == before.facts["split"]
        seen = overlaps_any(before.regions, own.regions)
        left = ~seen | (before.regions["part"] == "train").to_numpy()
        pd.testing.assert_frame_equal(after.regions, before.regions[left].reset_index(drop=True))
        assert (after.facts["dropped"]["seen_by_trunk"] == (~left).sum()) > 0 or cell != "A"
    narrow = dataclasses.replace(own, codes=own.codes[:, 1:])
    width = own.window
    with pytest.raises(InputError, match=f"windows of {width - 1} bp, the lists have {width} bp"):
        write_listed_sets(tmp_path / "no", inputs.lists, inputs.made, pretraining=narrow)
    assert not (tmp_path / "no").exists()


def test_real_data(real_matrix: BindingMatrix, shared_data: Path) -> None:
    """Peaks, a matrix, open chromatin and lists of hg38."""
    sequences = open_sequences(shared_data / "tf-binding-hg38" / "sequences")
    blocks = Genome(shared_data / "genome" / "hg38_blocks.fa.gz")
    cells = ["GM12878", "K562", "HepG2", "HCT116", "A549", "MCF-7"]
    opened = real_matrix.open_regions()
    peaks = read_bed(shared_data / "encode-peaks-hg38" / "HepG2.HNF4A.narrowPeak.gz")
    accessible = real_matrix.regions[real_matrix.accessible(["HepG2"])[:, 0]]
    blacklist = read_bed(shared_data / "annotation" / "hg38-blacklist.v2.bed")
    seen = real_matrix.regions.iloc[::3].assign(part="train")
    folder = shared_data / "chromtransfer-hg38"
    made = {
        "multi": by_source.multi(real_matrix, sequences, ["CEBPA", "FOXA1"], max_regions=20_000),
        "single": by_source.single(real_matrix, sequences, "HNF4A", positives=500),
        "peaks": by_source.peaks(
            peaks, accessible, blocks, tf="HNF4A", window=200, blacklist=blacklist,
            trunk_regions=seen[seen["chrom"] != "chr22"],
            trunk_split=Split(valid=("chr20",), test=("chr22",)),
        ),
        "pretraining": by_source.pretraining(
            opened, sequences, leave_out=cells, background_genome=blocks, window=200
        ),
        "cell": by_source.cell(opened, sequences, "HepG2", among=cells, window=200),
        "list": by_source.listed(
            read_lists(folder), open_sequences(folder / "windows" / "HEPG2.600bp.fa.gz"), "HEPG2"
        ),
        "fasta": by_source.fasta(folder / "windows" / "HEPG2.600bp.fa.gz", "HEPG2", window=200),
    }  # fmt: skip
    assert {name: _short(one) for name, one in made.items()} == GOLDEN["real data"]
