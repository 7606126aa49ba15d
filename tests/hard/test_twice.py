"""What has one name twice is refused or counted, never one of the two in silence; nor are numbers
made others that do not fit.
"""

from __future__ import annotations

import pickle
from collections.abc import Callable, Mapping
from pathlib import Path

import h5py
import numpy as np
import pandas as pd
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
import torch
from hard_targets import TARGETS, small_bundle

from cistransfer.binding.published.indices import read_index
from cistransfer.cli.study import _pairs
from cistransfer.errors import InputError
from cistransfer.evaluation.tidy import read_results
from cistransfer.examples.draw import read_shares
from cistransfer.genome.bed import as_regions, read_bed
from cistransfer.genome.fasta import Genome, open_sequences
from cistransfer.models.bundle import open_bundle
from cistransfer.motifs.tfclass import read_ensembl_symbols
from cistransfer.openness.dhs import read_dhs_sources
from cistransfer.openness.regions import read_chrom_sizes
from cistransfer.openness.samples import read_samples, read_table, read_ucsc2encode
from cistransfer.openness.signals import read_region_numbers
from cistransfer.prediction import track
from cistransfer.relatives.partners import read_string
from cistransfer.storage import parse_json, read_toml, read_tsv
from cistransfer.storage import read_table as read_parquet

BED = "chr1\t0\t100\ta\nchr1\t300\t400\tb\n"
LINKS = "protein1 protein2 combined_score\n1.E1 1.E2 900\n"
INFO = "#string_protein_id\tpreferred_name\n1.E1\tA\n1.E2\tB\n"

TWICE: Mapping[str, tuple[dict[str, str], Callable[[Path], object], str]] = {
    "a DHS source": ({"a": "1\tA\n01\tB\n"}, lambda f: read_dhs_sources(f / "a"), "line 2: source"),
    "a DHS source without a name": (
        {"a": "1\t \n"}, lambda f: read_dhs_sources(f / "a"), "line 1: expected a name of source 1",
    ),
    "a UCSC name": (
        {"a": "u\te\nA\tX\nA\tX\nA\tY\n"}, lambda f: read_ucsc2encode(f / "a"),
        "line 4: A is there twice, as X and Y",
    ),
    "a chromosome's size": (
        {"a": "c\t100\nc\t100\nc\t5000\n"}, lambda f: read_chrom_sizes(f / "a"),
        "line 3: c is there twice, with 100 and 5,000 bp",
    ),
    "a column of a sheet": (
        {"a": "cell\tx\tx\nA\t1\t2\n"}, lambda f: read_table(f / "a", ["cell"]),
        "two columns are called 'x'",
    ),
    "a cell of a table": (
        {"r": BED, "t": "region\tA\tA \na\t1\t2\nb\t3\t5\n"},
        lambda f: read_region_numbers(f / "r", f / "t"), "column 'A' is there twice",
    ),
    "a cell without a name": (
        {"r": BED, "t": "region\tA\t\na\t1\t2\nb\t3\t5\n"},
        lambda f: read_region_numbers(f / "r", f / "t"), "expected a cell's name over column 3",
    ),
    "a sequence": (
        {"a.fa": ">c\nACGT\n>c\nTT\n"}, lambda f: open_sequences(f / "a.fa"), "line 3: record 'c'",
    ),
    "a window with other bases": (
        {"a.fa": ">c:0-4\nACGT\n>c:0-4\nTTTT\n"}, lambda f: open_sequences(f / "a.fa"),
        "window c:0-4 is there twice, with other bases",
    ),
    "a gene": (
        {"a": "ensembl\tsymbol\nE1.2\tA\nE1\tB\n"}, lambda f: read_ensembl_symbols(f / "a"),
        "line 3: E1 is there twice, as A and B",
    ),
    "a protein": (
        {"l": LINKS, "i": INFO + "1.E1\tB\n"},
        lambda f: read_string(f / "l", f / "i", ["A", "B"]), "line 4: protein 1.E1 is there twice",
    ),
    "a column of results": (
        {"a.csv": "tf,strategy,auroc,auroc\nA,x,0.5,0.9\n"}, lambda f: read_results([f / "a.csv"]),
        "column 'auroc' is there twice",
    ),
    "a column of a table of ours": (
        {"a": "x\tx\n1\t2\n"}, lambda f: read_tsv(f / "a", ["x"]), "column 'x' is there twice",
    ),
    "a name in JSON": (
        {}, lambda f: parse_json('{"b": {"a": 1, "a": 2}}', "x.json"), "'a' is there twice",
    ),
    "a name in TOML": ({"a": "x = 1\nx = 2\n"}, lambda f: read_toml(f / "a"), "not valid TOML"),
    "a column of regions": (
        {}, lambda f: as_regions(pd.DataFrame([["c", 1, 9, 5]], columns=["chrom", "start", "end",
                                                                         "start"])),
        "two columns are called 'start'",
    ),
    "a share": (
        {}, lambda f: read_shares("others=0.5,others=0.2,nobody=0.3"), "others is there twice",
    ),
    "a file of a study": (
        {}, lambda f: _pairs(["matrix=a.h5", "matrix=b.h5"]), "'matrix' is named twice",
    ),
    "a column that is named": (
        {"a": "chrom\tstart\tend\tx\tx\nc\t1\t9\t5\t6\n"},
        lambda f: read_bed(f / "a", {"chrom": "1", "start": "2", "end": "x"}),
        "'x' for end; several are called so: give its number",
    ),
}  # fmt: skip


@pytest.mark.parametrize("name", TWICE)
def test_what_is_named_twice(name: str, tmp_path: Path) -> None:
    files, read, message = TWICE[name]
    for file, text in files.items():
        (tmp_path / file).write_text(text)
    with pytest.raises(InputError) as caught:
        read(tmp_path)
    assert message in str(caught.value)


def test_what_may_be_named_twice(tmp_path: Path) -> None:
    """Rows of one cell are its names together; of columns of a BED file the first is said."""
    (tmp_path / "s").write_text("cell\tdhs_source\nA\tx\nA\ty\n")
    assert [sample.dhs_sources for sample in read_samples(tmp_path / "s")] == [("x", "y")]
    (tmp_path / "a").write_text("chrom\tstart\tend\tstart\nchr1\t10\t90\t33\n")
    table = read_bed(tmp_path / "a")
    assert table["start"].tolist() == [10]
    assert "of several columns called 'start' the first counts" in table.attrs["read"].line()


def test_columns_of_parquet(tmp_path: Path) -> None:
    twice = pa.Table.from_arrays([pa.array([1]), pa.array([2])], names=["a", "a"])
    pq.write_table(twice, tmp_path / "t.parquet")
    with pytest.raises(InputError, match="column 'a' is there twice"):
        read_parquet(tmp_path / "t.parquet")


@pytest.mark.parametrize("of", ["Keras", "PyTorch"])
@pytest.mark.parametrize(
    ("value", "kind", "message"),
    [
        (1e300, "float64", "holds a number that is none in single precision"),
        (np.nan, "float32", "holds a number that is none in single precision"),
        (1j, "complex64", "holds complex64, no real numbers"),
    ],
)
def test_weights_that_do_not_fit(
    of: str, value: complex, kind: str, message: str, tmp_path: Path
) -> None:
    target = TARGETS[f"weights of {of}"]
    (file,) = target.files(tmp_path)
    if of == "Keras":
        with h5py.File(tmp_path / file, "r+") as opened:
            group = opened["model_weights/conv/conv"]
            del group["bias:0"]
            group["bias:0"] = np.array([value, 1], kind)
    else:
        wrong = torch.tensor([[value, 1]], dtype=getattr(torch, kind))
        torch.save({"a.weight": wrong}, tmp_path / file)
    with pytest.raises(InputError, match=message):
        target.read(tmp_path)


def test_an_index_of_one_number_for_two_names(tmp_path: Path) -> None:
    (tmp_path / "n").write_bytes(pickle.dumps({"a": 0, "b": 0}))
    with pytest.raises(InputError, match="each once"):
        read_index(tmp_path / "n")


def test_a_chromosome_that_no_bigwig_holds(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "g.fa").write_text(">c\n" + "ACGT" * 50 + "\n")
    bundle, genome = open_bundle(small_bundle(tmp_path / "b")), open_sequences(tmp_path / "g.fa")
    assert isinstance(genome, Genome)
    monkeypatch.setattr(track, "_MOST_BIGWIG", 150)
    with pytest.raises(InputError, match=r"positions up to 150, c of g\.fa has 200 bp; write a"):
        track.predict_track([bundle], genome, tmp_path / "t.bw", task="A")
