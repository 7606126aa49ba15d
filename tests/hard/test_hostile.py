"""Files made to harm: each sentence of SECURITY.md has its test here or is named there."""

from __future__ import annotations

import gzip
import io
import json
import pickle
import re
import tarfile
import time
import zipfile
from pathlib import Path

import numpy as np
import pandas as pd
import pytest

from cistransfer.binding.published.indices import read_index
from cistransfer.binding.published.read import npy_rows
from cistransfer.cli.command import run_app
from cistransfer.cli.main import app
from cistransfer.errors import InputError
from cistransfer.genome.bed import as_regions, read_bed
from cistransfer.motifs.files import read_motifs
from cistransfer.storage import open_npy, read_json, read_table, read_toml
from cistransfer.studies.store import Store

NETWORK = """
from pathlib import Path
Path({trace!r}).write_text("it ran")
"""


@pytest.fixture(autouse=True)
def _quick() -> object:
    began = time.process_time()
    yield
    assert time.process_time() - began < 10


def _record(folder: Path, network: Path) -> Path:
    folder.mkdir(exist_ok=True)
    arguments = {
        "architecture": f"{network}:Net", "matrix": "m.h5", "genome": "g.fa", "out": "x",
    }  # fmt: skip
    record = {"format": 2, "command": ["pretrain"], "arguments": arguments, "folder": "."}
    (folder / "config.json").write_text(json.dumps(record))
    return folder


@pytest.mark.parametrize("way", ["rerun", "--config"])
def test_no_code_of_a_record_is_run(
    way: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """Neither beside the record, trusted or not, nor elsewhere unless it is trusted."""
    trace = tmp_path / "trace"
    beside, elsewhere = tmp_path / "run" / "net.py", tmp_path / "net.py"
    (tmp_path / "run").mkdir()
    for file in (beside, elsewhere):
        file.write_text(NETWORK.format(trace=str(trace)))
    for file, trust, message in (
        (beside, [], "names a Python file beside it"),
        (beside, ["--trust-code"], "names a Python file beside it"),
        (elsewhere, [], "add --trust-code"),
    ):
        run = _record(tmp_path / "run", file)
        words = ["rerun", str(run)] if way == "rerun" else ["pretrain", "--config", str(run)]
        assert run_app(app, [*words, "--out", str(tmp_path / "o"), *trust]) == 2
        assert message in capsys.readouterr().err
        assert not trace.exists()


def test_a_trusted_file_goes_on(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    (tmp_path / "net.py").write_text("")
    run = _record(tmp_path / "run", tmp_path / "net.py")
    assert run_app(app, ["rerun", str(run), "--out", str(tmp_path / "o"), "--trust-code"]) == 2
    assert "trust-code" not in capsys.readouterr().err  # refused for the matrix, which is none


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("[" * 100_000, "nested too deeply"),
        ('{"a":' * 5_000 + "1" + "}" * 5_000, "nested too deeply"),
        ("[" * 70 + "]" * 70, "nested too deeply"),
        ("1" * 5_000, "a whole number of 5,000 digits"),
        ('{"a": 1' + "0" * 40 + "}", "a whole number of 41 digits"),
    ],
)
def test_json(text: str, message: str, tmp_path: Path) -> None:
    (tmp_path / "a.json").write_text(text)
    with pytest.raises(InputError, match=message):
        read_json(tmp_path / "a.json")


@pytest.mark.parametrize(
    "text",
    ["a = " + "[" * 9_000, "a = " + "{a=" * 4_000, ".".join("a" * 8_000) + " = 1", "x" * 20_000],
)
def test_toml(text: str, tmp_path: Path) -> None:
    (tmp_path / "a.toml").write_text(text)
    said = ""
    try:
        read_toml(tmp_path / "a.toml")
    except InputError as error:
        said = str(error)
    assert len(said) < 500


def test_a_pickle_of_a_billion_of_nothing(tmp_path: Path) -> None:
    with gzip.open(tmp_path / "i.pickle.gz", "wb") as handle:
        handle.write(b"\x80\x04](")
        for _ in range(130):
            handle.write(b"N" * (1 << 20))
        handle.write(b"e.")
    with pytest.raises(InputError, match="expected an index of at most 134,217,728 bytes"):
        read_index(tmp_path / "i.pickle.gz")


def test_a_pickle_that_asks_for_the_memory(tmp_path: Path) -> None:
    """Four bytes that name a place in the memo; the unpickler would make room up to there."""
    (tmp_path / "i.pickle").write_bytes(b"\x80\x03}r\xff\xff\xff\x7f.")
    with pytest.raises(InputError, match=r"opcode b'r' at byte 3"):
        read_index(tmp_path / "i.pickle")


@pytest.mark.parametrize(
    ("content", "message"),
    [
        ({"study": "s", "files": {}, "trials": {"../x": {}}, "rows": []}, "KeyError"),
        ({"study": "s", "files": {}, "trials": {"../x": {
            "step": "a", "arguments": {}, "cistransfer": "0"}}, "rows": [], "kept": [],
          "notes": [], "inputs": {}}, "no trial '../x'"),
    ],
)  # fmt: skip
def test_a_trial_is_no_path(content: dict[str, object], message: str, tmp_path: Path) -> None:
    (tmp_path / "study.json").write_text(json.dumps(content))
    with pytest.raises(InputError, match=message):
        Store(tmp_path).plan()


@pytest.mark.parametrize("position", [2**40 + 1, 2**62])
def test_a_position_behind_any_chromosome(position: int, tmp_path: Path) -> None:
    (tmp_path / "a.bed").write_text(f"chr1\t5\t{position}\n")
    with pytest.raises(InputError, match="no chromosome is that long"):
        read_bed(tmp_path / "a.bed")
    with pytest.raises(InputError, match="expected a whole number as end"):
        as_regions(pd.DataFrame({"chrom": ["chr1"], "start": [5], "end": [position]}))


class _Runs:
    def __reduce__(self) -> tuple[object, tuple[str]]:
        return eval, ("1/0",)


def test_a_pickle_that_runs_code(tmp_path: Path) -> None:
    (tmp_path / "i.pickle").write_bytes(pickle.dumps({"a": _Runs()}))
    with pytest.raises(InputError, match="refused: an index may hold nothing but"):
        read_index(tmp_path / "i.pickle")
    np.save(tmp_path / "a.npy", np.array([_Runs()], dtype=object), allow_pickle=True)
    with pytest.raises(InputError, match="no array of numbers"):
        open_npy(tmp_path / "a.npy", np.uint8, (None,))


def test_an_array_wider_than_any_genome(tmp_path: Path) -> None:
    stream = io.BytesIO()
    head = {"descr": "<f8", "fortran_order": False, "shape": (1, 800_000_000)}
    np.lib.format.write_array_header_1_0(stream, head)  # type: ignore[arg-type]
    with zipfile.ZipFile(tmp_path / "m.npz", "w", zipfile.ZIP_DEFLATED) as archive:
        archive.writestr("arr_0.npy", stream.getvalue() + bytes(1 << 20))
    with pytest.raises(InputError, match="more regions than there can be"):
        list(npy_rows(tmp_path / "m.npz"))


def test_a_table_that_unfolds(tmp_path: Path) -> None:
    import pyarrow as pa
    import pyarrow.parquet as pq

    one = pa.table({name: pa.array(np.zeros(3_000_000, np.int8)) for name in "abcdefgh"})
    with pq.ParquetWriter(tmp_path / "t.parquet", one.schema, compression="zstd") as writer:
        for _ in range(6):
            writer.write_table(one)
    assert (tmp_path / "t.parquet").stat().st_size < 1_000_000
    with pytest.raises(InputError, match="more than this file can hold"):
        read_table(tmp_path / "t.parquet")
    pd.DataFrame({"a": [1]}).to_parquet(tmp_path / "honest.parquet")
    assert read_table(tmp_path / "honest.parquet")["a"].tolist() == [1]


def test_an_archive_of_blank_lines(tmp_path: Path) -> None:
    block = gzip.compress(b"\n" * (1 << 24), 9)
    entry = tarfile.TarInfo("a.meme")
    entry.size = 80 << 24
    rest = gzip.compress(entry.tobuf())
    (tmp_path / "m.tar.gz").write_bytes(rest + block * 80)
    with pytest.raises(InputError, match="expected at most"):
        read_motifs(tmp_path / "m.tar.gz")


def test_one_line_of_fifty_million_bytes(tmp_path: Path) -> None:
    with gzip.open(tmp_path / "a.bed.gz", "wb") as handle:
        for _ in range(50):
            handle.write(b"x" * 1_000_000)
    with pytest.raises(InputError) as caught:
        read_bed(tmp_path / "a.bed.gz")
    assert len(str(caught.value)) < 1_000


@pytest.mark.parametrize("page", ["SECURITY.md", "docs/reliability.md"])
def test_the_tests_that_a_page_names_are_there(page: str) -> None:
    root, here = Path(__file__).parents[2], Path(__file__).parent
    named = re.findall(r"`([\w/]*test_\w+)(\.py)?(?:::(\w+))?`", (root / page).read_text())
    assert len(named) > 5
    for first, ending, function in named:
        files = [each for each in (root / f"{first}.py", here / f"{first}.py") if each.is_file()]
        if not ending:
            files, function = sorted(here.glob("test_*.py")), first
        assert any(f"def {function}" in each.read_text() for each in files), (first, function)


@pytest.mark.parametrize("seed", [2**63, 2**70])
def test_a_seed_of_more_than_63_bits(
    seed: int, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    words = ["pretrain", "--matrix", "m.h5", "--genome", "g.fa", "--out", str(tmp_path / "o")]
    assert run_app(app, [*words, "--seed", str(seed)]) == 2
    assert "seed" in capsys.readouterr().err
