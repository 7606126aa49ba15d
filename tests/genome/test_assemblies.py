"""Names of chromosomes and assemblies."""

from __future__ import annotations

import doctest

import numpy as np
import pandas as pd
import pytest

from cistransfer.errors import InputError
from cistransfer.genome import assemblies as module
from cistransfer.genome.assemblies import (
    assemblies,
    assembly_of_names,
    fitting_assemblies,
    match_names,
    place,
    recognise,
)

HG38 = assemblies()["hg38"]
SMALL = {"chr1": 10_000, "chr2": 8_000, "chrX": 5_000}


def table(*rows: tuple[str, int, int]) -> pd.DataFrame:
    return pd.DataFrame(rows, columns=["chrom", "start", "end"])


def test_examples_in_the_docstrings() -> None:
    assert doctest.testmod(module).failed == 0


@pytest.mark.parametrize("name", assemblies())
def test_an_assembly_is_recognised_under_any_names(name: str) -> None:
    one = assemblies()[name]
    assert recognise(one.sizes) == name
    other = {alias: one.sizes[chrom] for alias, chrom in one.aliases.items()}
    if other:
        assert recognise(other) == name


def test_part_of_an_assembly_is_recognised_and_what_two_share_is_not() -> None:
    assert recognise({"21": 46_709_983}) == "hg38"
    assert recognise({"chrM": 16_569}) is None  # hg19, hg38 and hs1
    assert recognise({"chr1": 7_000_000, "chr2": 2_300_000, "chr21": 46_709_983}) is None


@pytest.mark.parametrize("name", assemblies())
def test_every_alias_of_an_assembly_finds_its_chromosome(name: str) -> None:
    one = assemblies()[name]
    match = match_names(one.aliases, one.sizes)
    assert match.to == dict(one.aliases)
    assert match.unknown == ()


@pytest.mark.parametrize(
    ("name", "known", "found"),
    [
        ("1", "chr1", "chr1"),
        ("chr1", "1", "1"),
        ("Chr1", "chr1", "chr1"),
        ("chr01", "chr1", "chr1"),
        ('"chr1"', "chr1", "chr1"),
        ("b'chr1'", "chr1", "chr1"),
        ("MT", "chrM", "chrM"),
        ("chrM", "MT", "MT"),
        ("NC_000001.11", "chr1", "chr1"),
        ("CM000663.2", "1", "1"),
        ("x", "chrX", "chrX"),
        ("chrUn_KI270757v1", "KI270757.1", "KI270757.1"),
        ("GL000195.1", "chrUn_GL000195v1", "chrUn_GL000195v1"),
        ("chr2L", "2L", "2L"),
        ("IV", "chrIV", "chrIV"),
    ],
)
def test_names_of_one_chromosome(name: str, known: str, found: str) -> None:
    assert match_names([name], [known]).to == {name: found}


@pytest.mark.parametrize(("name", "known"), [("1", "11"), ("chr1", "chr1_alt"), ("I", "1")])
def test_names_of_two_chromosomes(name: str, known: str) -> None:
    assert match_names([name], [known]).unknown == (name,)


def test_numbers_that_are_no_chromosome() -> None:
    assert match_names(["chr" + "9" * 5000], ["chr9"]).renamed == {}
    assert match_names(["chr\u0663"], ["chr3"]).renamed == {}  # an Arabic three
    assert match_names(["chr007"], ["7"]).renamed == {"chr007": "7"}


def test_a_name_that_may_be_two_is_refused() -> None:
    with pytest.raises(InputError, match="'CHR1' may be '1' or 'chr1'"):
        match_names(["CHR1"], ["1", "chr1"])
    assert match_names(["1"], ["1", "chr1"]).to == {"1": "1"}


def test_placing_renames_and_counts_and_drops_nothing() -> None:
    rows = table(("1", 10, 20), ("2", -5, 20), ("2", 7_990, 8_010), ("9", 0, 5), ("X", 0, 5_000))
    placed, facts = place(rows, SMALL, "peaks")
    assert placed["chrom"].tolist() == ["chr1", "chr2", "chr2", "9", "chrX"]
    assert (facts.rows, facts.placed, facts.chromosomes, facts.off_end) == (5, 2, 2, 2)
    assert facts.unknown == {"9": 1}
    assert facts.renamed == {"1": "chr1", "2": "chr2", "X": "chrX"}
    assert rows["chrom"].tolist() == ["1", "2", "2", "9", "X"]
    assert "only 2 of 5 rows" in facts.warnings[0]


def test_nothing_placed_is_refused_with_both_sides() -> None:
    with pytest.raises(InputError, match=r"none of the 1 rows.*name ctg0; the genome has chr1"):
        place(table(("ctg0", 0, 9)), SMALL, "peaks")
    _, facts = place(table(("ctg0", 0, 9)), SMALL, "blacklist", needed=False)
    assert facts.placed == 0
    beyond = table(("chr1", 10**6, 10**6 + 9), ("ctg0", 0, 9))
    with pytest.raises(InputError, match=r"1 of 2 rows lie beyond .* chr1:1000000-1000009"):
        place(beyond, SMALL, "peaks")


def test_rows_beyond_the_ends_name_the_assembly_that_fits() -> None:
    end = assemblies()["hg19"].sizes["chr1"]
    rows = table(*[("chr1", 10 * i, 10 * i + 5) for i in range(99)], ("chr1", end - 9, end))
    _, facts = place(rows, HG38.sizes, "peaks", assembly="hg38")
    assert len(facts.warnings) == 1
    assert "1 of 100 rows lie beyond" in facts.warnings[0]
    assert "hg19" in facts.warnings[0]
    with pytest.raises(InputError, match="rows fit hg19"):
        place(rows.iloc[90:], HG38.sizes, "peaks", assembly="hg38")


def test_accessions_of_another_assembly_are_refused() -> None:
    hg19 = table(("NC_000001.10", 10, 20))
    assert assembly_of_names(hg19["chrom"]) == "hg19"
    with pytest.raises(InputError, match="are those of hg19"):
        place(hg19, HG38.sizes, "peaks", assembly="hg38")


def test_fitting_assemblies_have_every_chromosome_long_enough() -> None:
    assert fitting_assemblies(table(("chr22", 51_000_000, 51_000_500))) == ["hg19", "hs1"]
    assert fitting_assemblies(table(("chrZZ", 0, 5))) == []


def test_unknown_lengths_place_by_name_alone() -> None:
    _, facts = place(table(("1", 10, 10**9)), {"chr1": None}, "peaks")
    assert facts.placed == 1


def test_order_of_rows_changes_nothing() -> None:
    rng = np.random.default_rng(0)
    rows = table(
        *[
            (["1", "chr2", "7"][i % 3], int(s), int(s) + 9)
            for i, s in enumerate(rng.integers(0, 9_000, 60))
        ]
    )
    facts = place(rows, SMALL, "peaks")[1]
    again = place(rows.iloc[::-1], SMALL, "peaks")[1]
    assert (facts.placed, facts.off_end) == (again.placed, again.off_end)
