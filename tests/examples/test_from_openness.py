"""Examples of open chromatin on a small made genome whose truth is a table."""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass
from pathlib import Path
from typing import ClassVar

import by_source
import numpy as np
import pandas as pd
import pytest

from cistransfer.binding.matrix import BindingMatrix
from cistransfer.errors import InputError
from cistransfer.examples.classes import multiclass_examples
from cistransfer.examples.dataset import PARTS, ExampleSet, open_examples, save_examples
from cistransfer.examples.split import Split, split_from_card
from cistransfer.genome.bed import regions_table
from cistransfer.genome.codes import decode
from cistransfer.genome.fasta import Genome, WindowSequences, open_sequences, write_fasta
from cistransfer.genome.intervals import overlaps_any
from cistransfer.openness.lists import read_lists
from cistransfer.openness.regions import OpenRegions

CHROMS = ("c1", "c2", "c3", "c4")
LONG = 60_000
SPLIT = Split(valid=("c3",), test=("c4",))
CELLS = ["A", "B", "C"]
WINDOW = 50


@dataclass(frozen=True)
class Made:
    """A genome, 90 open regions a chromosome, and five cells that open a third of them each."""

    genome: Genome
    opened: OpenRegions

    def states(self, examples: ExampleSet) -> dict[str, np.ndarray]:
        """Openness of each example that lies on a region (they are 400 bp apart)."""
        key = self.opened.regions["chrom"] + (self.opened.regions["start"] // 400).astype(str)
        rows = pd.Index(key).get_indexer(
            examples.regions["chrom"] + (examples.regions["start"] // 400).astype(str)
        )
        assert (rows >= 0).all()
        return {cell: state[rows] for cell, state in self.opened.open.items()}


@pytest.fixture(scope="module")
def made(tmp_path_factory: pytest.TempPathFactory) -> Made:
    rng = np.random.default_rng(3)
    texts = {chrom: decode(rng.integers(0, 4, LONG, dtype=np.uint8)) for chrom in CHROMS}
    texts["c1"] = texts["c1"][:-5000] + "N" * 5000
    path = tmp_path_factory.mktemp("made") / "genome.fa"
    write_fasta(path, texts)
    start = np.tile(np.arange(90) * 400 + 100, len(CHROMS))
    width = rng.integers(20, 120, len(start))
    regions = regions_table(np.repeat(CHROMS, 90), start, start + width)
    cells = {name: rng.random(len(start)) < 1 / 3 for name in [*CELLS, "D", "E"]}
    return Made(Genome(path), OpenRegions(regions, cells))


def test_pretraining_against_tiles(made: Made) -> None:
    examples = by_source.pretraining(
        made.opened, made.genome, leave_out=CELLS, ratio=1.5, window=WINDOW, margin=100, split=SPLIT
    )
    table = examples.regions
    is_open = examples.labels[:, 0] == 1
    assert examples.tasks == ("open",)
    assert set(table["source"][is_open]) == {"open"}
    assert set(table["source"][~is_open]) == {"tile"}
    # Open: every region that no left-out cell opens, whether or not D or E do.
    free = ~np.any([made.opened.open[cell] for cell in CELLS], axis=0)
    expected = made.opened.regions[free]
    centre = expected["start"] + (expected["end"] - expected["start"]) // 2
    assert sorted(zip(expected["chrom"], centre - 25, strict=True)) == sorted(
        zip(table["chrom"][is_open], table["start"][is_open], strict=True)
    )
    tiles = table[~is_open]
    near = made.opened.regions.assign(
        start=made.opened.regions["start"] - 100, end=made.opened.regions["end"] + 100
    )
    assert not overlaps_any(tiles, near).any()
    assert not tiles.duplicated(["chrom", "start"]).any()
    for part in PARTS:
        mine = (table["part"] == part).to_numpy()
        assert (mine & ~is_open).sum() == round(1.5 * (mine & is_open).sum())
    assert (examples.codes == made.genome.fetch(table)).all()
    assert (table.groupby("chrom")["part"].first() == ["train", "train", "valid", "test"]).all()
    assert examples.facts["ratio_reached"]["train"] == pytest.approx(1.5, abs=0.02)


def test_too_few_tiles_give_all(made: Made) -> None:
    examples = by_source.pretraining(
        made.opened, made.genome, leave_out=CELLS, ratio=100, window=WINDOW, split=SPLIT
    )
    counted = examples.regions[examples.regions["source"] == "tile"]["chrom"].value_counts()
    assert counted.to_dict() == examples.facts["tiles"]
    assert examples.facts["ratio_reached"]["test"] < 100


def test_pretraining_against_shuffled_copies(made: Made) -> None:
    examples = by_source.pretraining(
        made.opened, made.genome, leave_out=["A"], background="shuffled", ratio=2, window=WINDOW,
        split=SPLIT,
    )  # fmt: skip
    table, codes = examples.regions, examples.codes
    for _, rows in table.groupby(["chrom", "start"]).indices.items():
        original, *copies = rows
        assert table["source"].iloc[rows].tolist() == ["open", "shuffled", "shuffled"]
        assert examples.labels[rows, 0].tolist() == [1, 0, 0]
        for copy in copies:
            assert pairs(codes[copy]) == pairs(codes[original])
            assert (codes[copy] != codes[original]).any()
    again = by_source.pretraining(
        made.opened, made.genome, leave_out=["A"], background="shuffled", ratio=2, window=WINDOW,
        split=SPLIT,
    )  # fmt: skip
    assert again.content_hash() == examples.content_hash()
    less = by_source.pretraining(
        made.opened, made.genome, leave_out=["A"], background="shuffled", ratio=0.5, window=WINDOW,
        max_positives=40, split=SPLIT, seed=1,
    )  # fmt: skip
    assert (less.labels == 1).sum() == 40
    assert 18 <= (less.labels == 0).sum() <= 22


def pairs(row: np.ndarray) -> Counter:
    return Counter(zip(row[:-1].tolist(), row[1:].tolist(), strict=True))


def test_background_from_another_genome(made: Made, tmp_path: Path) -> None:
    """Windows of the regions from one file, tiles from a genome that knows one more chromosome."""
    table = made.opened.regions
    middle = table["start"] + (table["end"] - table["start"]) // 2
    places = table.assign(start=middle - 25, end=middle + 25)
    codes = made.genome.fetch(places)
    records = {
        f"{row}::{chrom}:{start}-{end}": decode(codes[row])
        for row, (chrom, start, end) in enumerate(
            places[["chrom", "start", "end"]].itertuples(index=False)
        )
    }
    write_fasta(tmp_path / "windows.fa", records)
    windows = WindowSequences([tmp_path / "windows.fa"], "windows")
    parts = dict.fromkeys(("c2", "c3", "c4", "c9"), "ACGGT" * 8000)
    write_fasta(tmp_path / "other.fa", parts)
    request = {"leave_out": CELLS, "window": WINDOW}
    with pytest.raises(InputError, match="windows: holds windows, not contiguous sequence"):
        by_source.pretraining(made.opened, windows, split=SPLIT, **request)
    other = Genome(tmp_path / "other.fa")
    examples = by_source.pretraining(
        made.opened, windows, background_genome=other, ratio=0.2, **request
    )
    tiles = examples.regions["source"] == "tile"
    assert set(examples.regions["chrom"][tiles]) == {"c2", "c3", "c4"}  # c9 has no known region
    assert (examples.codes[tiles] == other.fetch(examples.regions[tiles])).all()
    assert set(examples.facts["split"]["valid"] + examples.facts["split"]["test"]) < {
        "c2", "c3", "c4",
    }  # fmt: skip
    with pytest.raises(
        InputError,
        match=r"the test part \(chromosomes c1\) has \d+ open windows and 0 background windows "
        r"\(tiles\); both are needed; .* background windows \(tiles\) are on c2 \(78\), c4 ",
    ):
        by_source.pretraining(
            made.opened, windows, background_genome=other,
            split=Split(valid=("c2",), test=("c1",)), **request,
        )  # fmt: skip


def test_a_cell_against_named_negatives(made: Made) -> None:
    examples = by_source.cell(
        made.opened, made.genome, "B", among=CELLS, window=WINDOW, split=SPLIT, ratio=1.5,
        negatives={"others": 2, "nobody": 1},
    )  # fmt: skip
    state = made.states(examples)
    number = state["A"].astype(int) + state["B"] + state["C"]
    source = examples.regions["source"].to_numpy()
    specific, others, nobody = (source == kind for kind in ("specific", "others", "nobody"))
    assert (examples.labels[:, 0] == specific).all()
    assert state["B"][specific].all()
    assert (number[specific] == 1).all()
    assert not state["B"][others].any()
    assert (number[others] == 1).all()
    assert (number[nobody] == 0).all()
    assert state["D"][specific].any()  # D is not among the chosen cells
    everywhere = made.opened.open
    assert specific.sum() == (everywhere["B"] & ~everywhere["A"] & ~everywhere["C"]).sum()
    for part in PARTS:
        mine = (examples.regions["part"] == part).to_numpy()
        wanted = 1.5 * (mine & specific).sum()
        assert (mine & others).sum() == round(wanted * 2 / 3)
        assert (mine & nobody).sum() == round(wanted / 3)


def test_counts_and_universal_negatives(made: Made) -> None:
    examples = by_source.cell(
        made.opened, made.genome, "A", among=CELLS, window=WINDOW, split=SPLIT, ratio=None,
        negatives={"universal": 9, "nobody": 0, "others": 12},
    )  # fmt: skip
    counted = examples.regions["source"].value_counts().to_dict()
    assert abs(counted["others"] - 12) <= 1
    assert 1 <= counted["universal"] <= 10
    assert "nobody" not in counted
    universal = (examples.regions["source"] == "universal").to_numpy()
    assert all(made.states(examples)[cell][universal].all() for cell in CELLS)
    assert (examples.labels[universal] == 0).all()


def test_negatives_do_not_show_what_the_cell_opens() -> None:
    """Wide windows overlap their neighbours, 400 bp apart."""
    start = np.arange(300) * 100
    regions = regions_table(np.repeat(["c1", "c2", "c3"], 100), np.tile(start[:100] + 200, 3),
                            np.tile(start[:100] + 250, 3))  # fmt: skip
    rng = np.random.default_rng(0)
    cells = {name: rng.random(300) < 0.2 for name in "AB"}

    class Random:
        name = "random"

        chromosomes: ClassVar = dict.fromkeys(("c1", "c2", "c3"))

        def missing(self, table: pd.DataFrame) -> np.ndarray:
            return np.zeros(len(table), dtype=bool)

        def fetch(self, table: pd.DataFrame) -> np.ndarray:
            return np.zeros((len(table), 150), dtype=np.uint8)

    examples = by_source.cell(
        OpenRegions(regions, cells), Random(), "A", among=["A", "B"], window=150, ratio=50,
        split=Split(valid=("c2",), test=("c3",)),
    )  # fmt: skip
    table = examples.regions
    others = table[examples.labels[:, 0] == 0]
    middle = regions["start"] + 25
    assert not overlaps_any(
        others, regions.assign(start=middle - 75, end=middle + 75)[cells["A"]]
    ).any()
    assert examples.facts["dropped"]["overlapping_open_in_cell"] > 0


@pytest.mark.parametrize("by", ["random", "neighbours"])
def test_one_window_is_in_one_part_of_all_cells(made: Made, by: str) -> None:
    """Wide windows overlap, so that every cell has other candidates."""
    sets = {
        cell: by_source.cell(
            made.opened, made.genome, cell, among=CELLS, window=390, split=Split(by=by)
        )
        for cell in CELLS
    }
    assert len({one.facts["dropped"]["overlapping_open_in_cell"] for one in sets.values()}) > 1
    table = pd.concat([one.regions for one in sets.values()])
    assert table.duplicated(["chrom", "start"]).any()
    assert (table.groupby(["chrom", "start"])["part"].nunique() == 1).all()
    assert set(multiclass_examples(sets).regions["part"]) == set(PARTS)


def test_the_guard_keeps_what_the_trunk_has_seen_out_of_the_test_part(made: Made) -> None:
    trunk = by_source.pretraining(
        made.opened, made.genome, leave_out=CELLS, background="shuffled", window=WINDOW,
        split=Split(valid=("c1",), test=("c2",)),
    ).regions  # fmt: skip
    trunk = trunk[trunk["part"] != "test"]
    request = {"among": CELLS, "window": WINDOW, "split": SPLIT, "trunk_regions": trunk}
    examples = by_source.cell(made.opened, made.genome, "A", **request)
    assert examples.facts["guard"] == "heldout"
    for part, seen in (("test", trunk), ("valid", trunk[trunk["part"] == "train"])):
        assert not overlaps_any(examples.regions[examples.regions["part"] == part], seen).any()
    nobody = examples.regions["source"] == "nobody"
    assert set(examples.regions["part"][nobody]) == {"train"}
    off = by_source.cell(made.opened, made.genome, "A", guard="off", **request)
    assert set(off.regions["part"][off.regions["source"] == "nobody"]) == set(PARTS)


def test_one_class_a_window(made: Made, tmp_path: Path) -> None:
    sets = {
        cell: by_source.cell(
            made.opened, made.genome, cell, among=CELLS, window=WINDOW, split=SPLIT,
            negatives={"others": 1, "nobody": 1, "universal": 1}, ratio=3,
        )
        for cell in CELLS
    }  # fmt: skip
    examples = multiclass_examples(sets)
    assert examples.tasks == ("A", "B", "C", "none")
    assert (examples.labels.sum(axis=1) == 1).all()
    assert not examples.regions.duplicated(["chrom", "start"]).any()
    state = made.states(examples)
    number = sum(state[cell].astype(int) for cell in CELLS)
    for at, cell in enumerate(CELLS):
        assert ((examples.labels[:, at] == 1) == (state[cell] & (number == 1))).all()
    assert (examples.codes == made.genome.fetch(examples.regions)).all()
    union = {
        place
        for one in sets.values()
        for place in zip(one.regions["chrom"], one.regions["start"], strict=True)
    }
    assert len(examples.codes) == len(union)
    unfair = multiclass_examples(sets, negatives=False)
    none = unfair.labels[:, 3] == 1
    assert set(unfair.regions["source"][none]) == {"universal"}
    assert (unfair.labels[:, :3].sum(axis=0) == examples.labels[:, :3].sum(axis=0)).all()
    save_examples(tmp_path / "set", examples)
    assert open_examples(tmp_path / "set").content_hash() == examples.content_hash()


def test_sets_that_do_not_fit(made: Made) -> None:
    def of(cell: str, among: list[str], **other: object) -> ExampleSet:
        request = {"window": WINDOW, "split": SPLIT, **other}
        return by_source.cell(made.opened, made.genome, cell, among=among, **request)

    a, b = of("A", ["A", "B"]), of("B", ["A", "B"])
    with pytest.raises(InputError, match="examples of B have windows of 40 bp, those of A of 50"):
        multiclass_examples({"A": a, "B": of("B", ["A", "B"], window=40)})
    with pytest.raises(
        InputError, match=r"is in the \w+ part of the examples of [AB] and in another"
    ):
        multiclass_examples(
            {"A": a, "B": of("B", ["A", "B"], split=Split(valid=("c2",), test=("c1",)))}
        )
    with pytest.raises(InputError, match="is specific both to A and to B"):
        multiclass_examples({"A": of("A", ["A", "C"]), "B": of("B", ["B", "C"])})
    with pytest.raises(InputError, match="expected examples of the task 'A'"):
        multiclass_examples({"A": b})


@pytest.mark.parametrize(
    ("request_", "line"),
    [
        ({"cell": "F"}, "cell 'F' is not among the chosen cells; there are: A, B, C"),
        ({"among": ["A", "B", "HepG"]}, "no cell 'HepG' among the open regions; there are: A"),
        ({"negatives": {"shared": 1}}, "no kind of negatives 'shared'; there are: others"),
        ({"negatives": {}}, "expected at least one kind of negatives"),
        ({"negatives": {"others": -1}}, "expected a share of at least 0 for others, found -1"),
        ({"ratio": 0}, "expected at least one kind of negatives and a ratio above 0"),
        ({"split": Split(valid=("c9",), test=("c4",))}, "valid chromosome 'c9' has no region"),
    ],
)
def test_wrong_cell_requests(made: Made, request_: dict, line: str) -> None:
    request = {"cell": "A", "among": CELLS, "window": WINDOW, "split": SPLIT, **request_}
    with pytest.raises(InputError, match="^" + line):
        by_source.cell(made.opened, made.genome, **request)


def test_open_regions_of_a_file(world) -> None:
    """A matrix is read as its open regions are."""
    cells = world.matrix.cells[:3]
    made = [
        by_source.cell(opened, world.genome, cells[0], among=cells, window=100)
        for opened in (world.matrix.open_regions(), world.matrix_path)
    ]
    assert made[0].content_hash() == made[1].content_hash()


def test_a_cell_without_its_own(made: Made) -> None:
    same = OpenRegions(made.opened.regions, {**made.opened.open, "A": made.opened.open["B"]})
    with pytest.raises(InputError, match="no region is open in A and in no other of A, B"):
        by_source.cell(same, made.genome, "A", among=["A", "B"], window=WINDOW)


def test_wrong_pretraining_requests(made: Made) -> None:
    request = {"leave_out": CELLS, "window": WINDOW, "split": SPLIT}
    with pytest.raises(InputError, match="background: expected tiles or shuffled, found 'dust'"):
        by_source.pretraining(made.opened, made.genome, background="dust", **request)
    with pytest.raises(InputError, match=r"ratio: expected at least 0\.01, found 0"):
        by_source.pretraining(made.opened, made.genome, ratio=0, **request)
    every = {"Z": np.ones(len(made.opened.regions), dtype=bool)}
    with pytest.raises(InputError, match="every one of the 360 regions is open in one of the cell"):
        by_source.pretraining(
            OpenRegions(made.opened.regions, every), made.genome, leave_out=["Z"], window=WINDOW
        )


def test_the_real_matrix(real_matrix: BindingMatrix, shared_data: Path) -> None:
    """Six of ChromTransfer's lines; contiguous sequence is known on three of nine chromosomes."""
    cells = ["GM12878", "K562", "HepG2", "HCT116", "A549", "MCF-7"]
    opened = real_matrix.open_regions()
    windows = open_sequences(shared_data / "tf-binding-hg38" / "sequences")
    blocks = Genome(shared_data / "genome" / "hg38_blocks.fa.gz")
    trunk = by_source.pretraining(
        opened, windows, leave_out=cells, background_genome=blocks, window=200
    )
    split = split_from_card(trunk.facts["split"])
    assert split == Split(valid=("chr22",), test=("chr20",))  # chr21 has most of the tiles
    assert trunk.facts["tiles"] == {"chr20": 2_543, "chr21": 22_227, "chr22": 4_127}
    assert trunk.regions["source"].value_counts().to_dict() == {"open": 129_889, "tile": 28_897}
    assert trunk.facts["dropped"]["with_n"] == 4
    seen = trunk.regions[trunk.regions["part"] != "test"]
    hepg2 = by_source.cell(
        opened, windows, "HepG2", among=cells, window=200, split=split, trunk_regions=seen
    )
    assert int((hepg2.labels == 1).sum()) == 7_427
    assert hepg2.facts["dropped"]["seen_by_trunk"] == 0
    assert hepg2.facts["ratio_reached"]["train"] == pytest.approx(2.5, abs=0.001)


@pytest.mark.parametrize("by", ["random", "neighbours"])
def test_one_listed_window_is_in_one_part_of_all_cells(tmp_path: Path, by: str) -> None:
    rng = np.random.default_rng(0)
    write_fasta(tmp_path / "g.fa", {"c1": decode(rng.integers(0, 4, 4900, dtype=np.uint8))})
    (tmp_path / "lists").mkdir()
    for at, cell in enumerate("AB"):
        # 20 windows each of its own, of the other cell, of none; 5 off the chromosome's end.
        rows = [f"c1:{i * 60 + at * 20}-{i * 60 + at * 20 + 30},{cell}" for i in range(20)]
        rows += [f"c1:{i * 60 + 20 - at * 20}-{i * 60 + 50 - at * 20},{cell}_NEG" for i in range(5)]
        rows += [f"c1:{2000 + i * 40}-{2030 + i * 40},Negative" for i in range(60)]
        rows += [f"c1:{5000 + i * 40}-{5030 + i * 40},{cell}_NEG" for i in range(5 + at)]
        (tmp_path / "lists" / f"{cell}.csv").write_text("\n".join(rows) + "\n")
    lists, genome = read_lists(tmp_path / "lists"), Genome(tmp_path / "g.fa")
    sets = {
        cell: by_source.listed(lists, genome, cell, split=Split(by=by, fraction=0.2))
        for cell in "AB"
    }
    table = pd.concat([one.regions for one in sets.values()])
    assert len(sets["A"].codes) == len(sets["B"].codes) == 85
    assert (table.groupby(["chrom", "start"])["part"].nunique() == 1).all()
    assert set(multiclass_examples(sets).regions["part"]) == set(PARTS)
