"""Sequences and regions with the name of their class."""

from __future__ import annotations

from pathlib import Path

import by_source
import numpy as np
import pandas as pd
import pytest

from cistransfer.errors import InputError
from cistransfer.examples.from_classes import labelled_fasta
from cistransfer.examples.split import Split, split_from_card
from cistransfer.genome.codes import decode, encode, reverse_complement
from cistransfer.genome.fasta import Genome, open_sequences, write_fasta
from cistransfer.genome.intervals import overlaps_any
from cistransfer.openness.lists import read_lists

SPLIT = Split(valid=("c2",), test=("c3",))


def texts(n: int, length: int, seed: int = 0) -> list[str]:
    rng = np.random.default_rng(seed)
    return [decode(row) for row in rng.integers(0, 4, (n, length), dtype=np.uint8)]


def records(n: int = 30, length: int = 20) -> dict[str, str]:
    """Classes A, B, Negative in turn; chromosomes c1, c2, c3 in tens."""
    return {
        f"{('A', 'B', 'Negative')[at % 3]}::c{at * 3 // n + 1}:{at * 100}-{at * 100 + length}": text
        for at, text in enumerate(texts(n, length))
    }


def test_a_literal_file(tmp_path: Path) -> None:
    path = tmp_path / "few.fa"
    path.write_text(
        ">HEPG2::chr1:100-108\nACGTa\ncgt\n>HEPG2_NEG::chr2:0-8(-)\nAAAAACCC\n>Negative\nACGTNRYA\n"
    )
    regions, codes, placed = labelled_fasta(path)
    assert not placed
    assert regions.to_numpy().tolist() == [
        ["chr1", 100, 108, "HEPG2"],
        ["chr2", 0, 8, "HEPG2_NEG"],
        ["record 3", 0, 8, "Negative"],
    ]
    assert [decode(row) for row in codes] == ["ACGTACGT", "GGGTTTTT", "ACGTNNNA"]


def test_positives_are_the_named_class(tmp_path: Path) -> None:
    write_fasta(tmp_path / "f.fa", records())
    examples = by_source.fasta(tmp_path / "f.fa", "B", split=SPLIT)
    assert examples.tasks == ("B",)
    assert (examples.labels[:, 0] == (examples.regions["source"] == "B")).all()
    assert examples.regions["part"].tolist() == ["train"] * 10 + ["valid"] * 10 + ["test"] * 10
    assert [decode(row) for row in examples.codes] == list(records().values())
    assert examples.facts["classes"] == {"A": 10, "B": 10, "Negative": 10}


def test_case_does_not_matter(tmp_path: Path) -> None:
    write_fasta(tmp_path / "upper.fa", records())
    write_fasta(tmp_path / "lower.fa", {name: text.lower() for name, text in records().items()})
    hashes = {
        by_source.fasta(tmp_path / name, "A", split=SPLIT).content_hash()
        for name in ("upper.fa", "lower.fa")
    }
    assert len(hashes) == 1


def test_the_trunks_window_is_cut_out_of_the_middle(tmp_path: Path) -> None:
    write_fasta(tmp_path / "f.fa", records(length=21))
    examples = by_source.fasta(tmp_path / "f.fa", "A", split=SPLIT, window=8)
    assert [decode(row) for row in examples.codes] == [t[6:14] for t in records(length=21).values()]
    assert (examples.regions["start"] % 100 == 6).all()
    assert examples.window == 8
    with pytest.raises(InputError, match="its sequences are 21 bp long; the network reads 22 bp"):
        by_source.fasta(tmp_path / "f.fa", "A", split=SPLIT, window=22)


def test_n_and_repeated_records_are_dropped_and_counted(tmp_path: Path) -> None:
    given = records()
    first, second = list(given)[:2]
    given[first] = "N" + given[first][1:]
    text = "".join(f">{name}\n{text}\n" for name, text in given.items())
    (tmp_path / "f.fa").write_text(text + f">{second}\n{given[second]}\n")
    examples = by_source.fasta(tmp_path / "f.fa", "A", split=SPLIT)
    assert len(examples.codes) == 29
    assert examples.facts["dropped"] == {
        "with_n": 1, "there_before": 1, "no_sequence": 0, "seen_by_trunk": 0,
    }  # fmt: skip


def test_without_places_the_split_is_random(tmp_path: Path) -> None:
    given = {f"{('A', 'B')[at % 2]}:{at}": text for at, text in enumerate(texts(200, 20))}
    write_fasta(tmp_path / "f.fa", given)
    examples = by_source.fasta(tmp_path / "f.fa", "A")
    assert examples.facts["split"]["by"] == "random"
    assert examples.regions["part"].value_counts().to_dict() == {
        "train": 160,
        "valid": 20,
        "test": 20,
    }
    again = by_source.fasta(tmp_path / "f.fa", "A", split=Split(by="random", seed=2))
    assert again.regions["part"].tolist() != examples.regions["part"].tolist()
    with pytest.raises(InputError, match="such sequences can only be split at random"):
        by_source.fasta(tmp_path / "f.fa", "A", split=SPLIT)


def test_without_places_a_sequence_is_known_by_itself(tmp_path: Path) -> None:
    """Copies, of either strand and case, are one example; a split cannot part them."""
    given = {f"{('A', 'B')[at % 2]}:{at}": text for at, text in enumerate(texts(100, 20))}
    copies = {}
    for name, text in given.items():
        turned = decode(reverse_complement(encode(text)))
        copies |= {name: text, f"{name} lower": text.lower(), f"{name} minus": turned}
    write_fasta(tmp_path / "once.fa", given)
    write_fasta(tmp_path / "thrice.fa", copies)
    once = by_source.fasta(tmp_path / "once.fa", "A")
    thrice = by_source.fasta(tmp_path / "thrice.fa", "A")
    assert thrice.content_hash() == once.content_hash()
    assert thrice.facts["dropped"]["there_before"] == 200
    turned = decode(reverse_complement(encode(given["A:0"])))
    write_fasta(tmp_path / "both.fa", {**given, "B:100": turned})
    with pytest.raises(
        InputError,
        match=rf"the sequence {given['A:0']} is there both as A and as another class \(1 such seq",
    ):
        by_source.fasta(tmp_path / "both.fa", "A")


def test_without_places_the_guard_is_off(tmp_path: Path) -> None:
    given = {f"{('A', 'B')[at % 2]}:{at}": text for at, text in enumerate(texts(100, 20))}
    write_fasta(tmp_path / "f.fa", given)
    trunk = pd.DataFrame({"chrom": ["c1"], "start": [0], "end": [20], "part": ["train"]})
    assert by_source.fasta(tmp_path / "f.fa", "A", trunk_regions=trunk).facts["guard"] == "off"
    with pytest.raises(InputError, match=r"names a place .* the guard 'all' needs one of them"):
        by_source.fasta(tmp_path / "f.fa", "A", trunk_regions=trunk, guard="all")


def test_without_places_the_seed_makes_the_split(tmp_path: Path) -> None:
    given = {f"{('A', 'B')[at % 2]}:{at}": text for at, text in enumerate(texts(100, 20))}
    write_fasta(tmp_path / "f.fa", given)
    of_seed = by_source.fasta(tmp_path / "f.fa", "A", seed=5)
    of_split = by_source.fasta(tmp_path / "f.fa", "A", split=Split(by="random", seed=5))
    assert of_seed.facts["split"]["seed"] == 5
    assert of_seed.content_hash() == of_split.content_hash()
    assert of_seed.content_hash() != by_source.fasta(tmp_path / "f.fa", "A").content_hash()


def test_the_trunks_chromosomes_are_not_there(tmp_path: Path) -> None:
    write_fasta(tmp_path / "f.fa", records())
    trunk = pd.DataFrame({"chrom": ["c1", "c2", "c3"], "start": 0, "end": 9, "part": "train"})
    with pytest.raises(
        InputError,
        match=r"no chromosome for validation: the trunk's are c8 for validation and c3, c9 for "
        r"test, found c1 \(4\), c2 \(3\), c3 \(3\); name others with --valid-chroms",
    ):
        by_source.fasta(
            tmp_path / "f.fa", "A", trunk_split=Split(valid=("c8",), test=("c3", "c9")),
            trunk_regions=trunk,
        )  # fmt: skip


def test_the_trunks_split_and_guard(tmp_path: Path) -> None:
    write_fasta(tmp_path / "f.fa", records())
    trunk = pd.DataFrame(
        {"chrom": ["c3", "c2", "c1"], "start": [2005, 1005, 5], "end": [2010, 1010, 10],
         "part": ["valid", "train", "train"]}
    )  # fmt: skip
    examples = by_source.fasta(tmp_path / "f.fa", "A", trunk_split=SPLIT, trunk_regions=trunk)
    assert examples.facts["split"] == SPLIT.as_dict()
    assert examples.facts["dropped"]["seen_by_trunk"] == 2
    held = examples.regions[examples.regions["part"] != "train"]
    assert not overlaps_any(held, trunk).any()


@pytest.mark.parametrize(
    ("text", "line"),
    [
        (">A::c1:0-4\nACGT\n>B::c1:9-14\nACGTA\n", r"record 2 \('>B::c1:9-14'\): expected 4 bp "),
        (">A::c1:0-5\nACGT\n", r"record 1 \('>A::c1:0-5'\): names 5 bp but holds 4"),
        (">A::c1:0-4\nACGT\n>B::c1:0-4\nACGT\n", "c1:0-4 is there both as A and as another class"),
        (">A::c1:0-4\nACGT\n", "every sequence is of class 'A'; others are needed too"),
        (">a::c1:0-4\nACGT\n", "no class 'A'; nearest: a"),
        (">A::c1:0-4\nACNT\n", "every one of its 1 sequences holds an N"),
        ("ACGT\n", r"line 1: expected a FASTA header \('>…'\), found 'ACGT'"),
    ],
)
def test_wrong_files(tmp_path: Path, text: str, line: str) -> None:
    (tmp_path / "f.fa").write_text(text)
    with pytest.raises(InputError, match=line) as caught:
        by_source.fasta(tmp_path / "f.fa", "A")
    assert "\n" not in str(caught.value)


def test_a_part_without_a_class(tmp_path: Path) -> None:
    given = {name: text for name, text in records().items() if not name.startswith("A::c3")}
    write_fasta(tmp_path / "f.fa", given)
    with pytest.raises(
        InputError, match=r"the test part \(chromosomes c3\) has 0 of A and 7 of other classes"
    ):
        by_source.fasta(tmp_path / "f.fa", "A", split=SPLIT)


def test_a_bed_file_equals_its_fasta(tmp_path: Path) -> None:
    genome = {f"c{at + 1}": text for at, text in enumerate(texts(3, 4000))}
    write_fasta(tmp_path / "genome.fa", genome)
    rows, given = [], {}
    for name in records():
        label, place = name.split("::")
        chrom, span = place.split(":")
        start, end = (int(at) for at in span.split("-"))
        rows.append(f"{chrom}\t{start}\t{end}\t{label}\n")
        given[name] = genome[chrom][start:end]
    (tmp_path / "f.bed").write_text("".join(rows) + "c9\t0\t20\tA\n")
    write_fasta(tmp_path / "f.fa", given)
    source = Genome(tmp_path / "genome.fa")
    of_bed = by_source.bed(tmp_path / "f.bed", source, "A", window=20, split=SPLIT)
    of_fasta = by_source.fasta(tmp_path / "f.fa", "A", split=SPLIT)
    assert of_bed.content_hash() == of_fasta.content_hash()
    assert of_bed.facts["dropped"]["no_sequence"] == 1
    (tmp_path / "three.bed").write_text("c1\t0\t20\n")
    with pytest.raises(InputError, match="expected the class of each region in column 4, found 3"):
        by_source.bed(tmp_path / "three.bed", source, "A", window=20)


def test_the_reverse_strand_is_turned(tmp_path: Path) -> None:
    given = records()
    minus = {f"{name}(-)": decode(reverse_complement(encode(text))) for name, text in given.items()}
    write_fasta(tmp_path / "plus.fa", given)
    write_fasta(tmp_path / "minus.fa", minus)
    assert (
        by_source.fasta(tmp_path / "minus.fa", "A", split=SPLIT).content_hash()
        == by_source.fasta(tmp_path / "plus.fa", "A", split=SPLIT).content_hash()
    )


def test_the_real_windows(shared_data: Path) -> None:
    """ChromTransfer's FASTA gives what its lists and the same windows give."""
    folder = shared_data / "chromtransfer-hg38"
    path = folder / "windows" / "HEPG2.600bp.fa.gz"
    lists = read_lists(folder)
    sequences = open_sequences(path)
    of_list = by_source.listed(lists, sequences, "HEPG2")
    split = split_from_card(of_list.facts["split"])
    assert split.test == ("chr2", "chr3")
    of_fasta = by_source.fasta(path, "HEPG2", split=split)
    assert of_fasta.content_hash() == of_list.content_hash()
    assert of_list.window == 600
    assert of_list.facts["dropped"]["no_sequence"] > 80_000
    fold = by_source.listed(lists, sequences, "HEPG2", split=Split(fold="1/3")).facts["split"]
    assert fold["test"] == ["chr2", "chr3"]
    assert fold["fold"] == "1/3"
