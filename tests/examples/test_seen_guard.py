"""The guard compares what a trunk has seen, whatever chromosomes and assemblies are called."""

from __future__ import annotations

from pathlib import Path
from types import SimpleNamespace

import numpy as np
import pandas as pd
import pytest

from cistransfer.examples.draw import Matched
from cistransfer.examples.holdout import HoldOut
from cistransfer.examples.make import examples_for, leaking_examples
from cistransfer.examples.seen import Seen
from cistransfer.examples.sources import FromFasta, FromMatrix, FromPeaks
from cistransfer.examples.split import Split
from cistransfer.genome.codes import decode
from cistransfer.genome.fasta import Genome, open_sequences, read_fasta, write_fasta
from cistransfer.genome.intervals import overlaps_any
from cistransfer.models.bundle import Bundle, open_bundle


def renamed_world(world, tmp_path: Path, insert: int = 0) -> Genome:
    """The same genome with Ensembl's names, maybe with bases put in front of each chromosome."""
    sequences = {
        header.split()[0].removeprefix("chr"): "A" * insert + text
        for header, text in read_fasta(world.genome_path)
    }
    write_fasta(tmp_path / "ensembl.fa", sequences)
    return Genome(tmp_path / "ensembl.fa")


def moved(table: pd.DataFrame, by: int = 0) -> pd.DataFrame:
    return table.assign(
        chrom=table["chrom"].str.removeprefix("chr"), start=table["start"] + by,
        end=table["end"] + by,
    )  # fmt: skip


@pytest.fixture(scope="module")
def own(world) -> SimpleNamespace:
    states = world.matrix.states(["GABPA"], rule="sparse")[:, 0]
    table = world.matrix.regions
    return SimpleNamespace(peaks=table[states == 1], opened=table)


SPLITS = [None, Split(by="random", seed=2), Split(by="neighbours", seed=1)]


@pytest.mark.parametrize("split", SPLITS)
def test_other_names_and_another_assembly_change_nothing(
    world, own, trunk: Bundle, tmp_path: Path, split: Split | None
) -> None:
    """Same examples by chr1 and 1; shifted by 999 bp the same windows leak, told by their bases."""
    made = []
    for genome, by in (
        (world.genome, None),
        (renamed_world(world, tmp_path), 0),
        (renamed_world(world, tmp_path, insert=999), 999),
    ):
        peaks = own.peaks if by is None else moved(own.peaks, by)
        opened = own.opened if by is None else moved(own.opened, by)
        source = FromPeaks(peaks=peaks, open_regions=opened, genome=genome)
        holdout = HoldOut.of(trunk, split, "heldout")
        made.append(examples_for(source, trunk, holdout=holdout, draw=Matched(5.0)))
    one, named, shifted = made
    assert (named.codes == one.codes).all()
    assert one.regions["part"].tolist() == named.regions["part"].tolist()
    assert one.facts["guard_compares_by"] == named.facts["guard_compares_by"] == "place"
    lost = [found.facts["dropped"]["seen_by_trunk"] for found in made]
    assert lost[0] == lost[1]
    assert (lost[0] > 0) == (split is not None)  # its own split holds nothing that it has seen
    assert abs(lost[2] - lost[0]) <= 0.05 * lost[0]
    assert set(named.regions["chrom"]) == {c.removeprefix("chr") for c in one.regions["chrom"]}
    assert shifted.facts["guard_compares_by"] == "sequence"
    known = trunk.regions()
    back = shifted.regions.assign(
        chrom="chr" + shifted.regions["chrom"], start=shifted.regions["start"] - 999,
        end=shifted.regions["end"] - 999,
    )  # fmt: skip
    held = back[back["part"] == "test"]
    assert len(held)
    assert not overlaps_any(held, known).any()


def test_fasta_without_places_is_guarded_by_its_sequence(
    world, trunk: Bundle, tmp_path: Path
) -> None:
    table = world.matrix.regions
    codes = world.genome.fetch(table)
    write_fasta(
        tmp_path / "f.fa",
        {f"{'AB'[i % 2]}:{i}": decode(row) for i, row in enumerate(codes)},
    )
    made = examples_for(FromFasta(fasta=tmp_path / "f.fa", positive="A"), trunk)
    assert made.facts["guard_compares_by"] == "sequence"
    assert made.facts["guard"] == "all"
    seen = overlaps_any(table, trunk.regions())
    assert made.facts["dropped"]["seen_by_trunk"] == seen.sum() > 0
    assert not leaking_examples(made, trunk).any()
    off = examples_for(
        FromFasta(fasta=tmp_path / "f.fa", positive="A"),
        trunk,
        holdout=HoldOut.of(trunk, guard="off"),
    )
    assert leaking_examples(off, trunk).any()


def test_what_a_trunk_without_fingerprints_has_seen_is_compared_by_place(world, trunk) -> None:
    table = world.matrix.regions
    found = Seen(trunk.regions()).compare_by(
        table, lambda rows: (rows, world.genome.fetch(table.iloc[rows]))
    )
    assert found == "place"
    assert Seen(trunk.regions()).compare_by(table, lambda rows: (rows, None), placed=False) is None  # type: ignore[arg-type,return-value]


@pytest.mark.parametrize(
    ("mine", "theirs", "by"),
    [("hg38", "hg38", "place"), ("hg38", "hg19", "sequence"), ("hg38", "mm10", "sequence")],
)
def test_known_assemblies_decide(trunk: Bundle, mine: str, theirs: str, by: str) -> None:
    seen = Seen(trunk.regions(), trunk.seen(), mine)

    def fetch(rows: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        raise AssertionError("the assemblies say it")

    assert seen.compare_by(trunk.regions(), fetch, assembly=theirs) == by
    assert seen.is_foreign(trunk.regions(), fetch, by, theirs) == (theirs == "mm10")


def test_real_peaks_with_ensembl_names_and_the_trunk_in_the_box(
    shared_data: Path, tmp_path: Path
) -> None:
    """Without the trunk's names its test and validation windows must still not be training ones."""
    genome = open_sequences(shared_data / "genome" / "hg38_blocks.fa.gz")
    peaks = pd.read_csv(
        shared_data / "encode-peaks-hg38" / "HepG2.FOXA1.narrowPeak.gz", sep="\t", header=None
    )
    peaks = pd.DataFrame({"chrom": peaks[0], "start": peaks[1], "end": peaks[2]})
    dhs = pd.read_csv(
        shared_data / "tf-binding-hg38" / "wgEncodeRegDnaseClustered.txt.gz", sep="\t", header=None
    )
    opened = pd.DataFrame({"chrom": dhs[1], "start": dhs[2], "end": dhs[3]})
    known = pd.read_csv(shared_data / "genome" / "hg38_blocks.known.bed", sep="\t", header=None)
    tiles = pd.concat(
        pd.DataFrame({"chrom": c, "start": range(s, e - 200, 5000)}).eval("end = start + 200")
        for c, s, e in known.itertuples(index=False)
        if e - s > 10_000
    )
    opened = pd.concat([opened[opened["chrom"].isin(["chr20", "chr22"])], tiles, peaks])
    trunk = open_bundle("general")
    write_fasta(
        tmp_path / "g.fa",
        {
            name.removeprefix("chr"): decode(_whole(genome, name))
            for name in ("chr1", "chr2", "chr9", "chr17", "chr20", "chr22")
        },
    )
    source = FromPeaks(
        peaks=moved(peaks), open_regions=moved(opened), genome=Genome(tmp_path / "g.fa")
    )
    made = examples_for(source, trunk)
    assert not {"20", "22"} & {*made.facts["split"]["test"], *made.facts["split"]["valid"]}
    assert made.facts["guard_compares_by"] == "place"
    table = made.regions.assign(chrom="chr" + made.regions["chrom"])
    learned = trunk.regions()
    assert not overlaps_any(table[table["part"] == "test"], learned).any()
    trained = learned[learned["part"] == "train"]
    assert not overlaps_any(table[table["part"] == "valid"], trained).any()


def _whole(genome: Genome, name: str) -> np.ndarray:
    return genome.fetch(pd.DataFrame({"chrom": [name], "start": [0], "end": [genome.sizes[name]]}))[
        0
    ]


def test_matrix_and_genome_may_name_chromosomes_differently(world, trunk, tmp_path: Path) -> None:
    one = examples_for(FromMatrix(matrix=world.matrix, tf="GABPA", genome=world.genome), trunk)
    other = examples_for(
        FromMatrix(matrix=world.matrix, tf="GABPA", genome=renamed_world(world, tmp_path)), trunk
    )
    assert (one.codes == other.codes).all()
    assert one.regions["part"].tolist() == other.regions["part"].tolist()
    assert set(other.facts["inputs"][0]["renamed"]) == {f"chr{i}" for i in range(1, 6)}


def test_few_chance_likenesses_elsewhere_do_not_move_the_comparison_off_places(
    world, trunk
) -> None:
    """Held-out windows alone, of which a few look like seen ones: by place, so none is refused."""
    table = world.matrix.regions
    held = table[~overlaps_any(table, trunk.regions())].reset_index(drop=True)
    codes = world.genome.fetch(held)
    seen = Seen(trunk.regions(), trunk.seen())
    like = world.genome.fetch(trunk.regions().iloc[: len(held) // 30])

    def fetch(rows: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        shown = codes.copy()
        shown[: len(like)] = like
        return rows, shown[rows]

    assert seen.compare_by(held, fetch) == "place"
    assert not seen.hits(held, "place")[0].any()
