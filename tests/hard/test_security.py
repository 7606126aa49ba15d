"""SECURITY.md: every sentence names or has a test that is there, every limit is the code's.

What a sentence says is tried in the tests that it names; what no other test tries is tried here.
"""

from __future__ import annotations

import json
import re
import zipfile
from collections.abc import Callable, Mapping
from pathlib import Path

import h5py
import pandas as pd
import pytest
from hard_targets import TARGETS, packed_words

from cistransfer import cpus
from cistransfer.binding.published import indices
from cistransfer.errors import InputError, MachineError
from cistransfer.models import packed
from cistransfer.motifs import files
from cistransfer.sharing.layers import read_keras_layers
from cistransfer.storage import parse_json, read_json, read_table, read_toml, reading, structured

ROOT, HERE = Path(__file__).parents[2], Path(__file__).parent
PAGE = (ROOT / "SECURITY.md").read_text(encoding="utf-8")

HELD: Mapping[str, str] = {
    "Data may.": "test_fuzz.py::test_spoiled_files",
    "A file that was made to harm": "test_packed.py::test_wrong_members",
    "Python files may not:": "test_hostile.py::test_no_code_of_a_record_is_run",
    "Each sentence names": "test_security.py::test_every_sentence_has_its_test",
    "A record also names the files": "tests/cli/test_record.py::"
    "test_what_is_not_an_earlier_output_is_replaced_only_where_asked",
    "What the manifest names": "tests/sharing/test_hub.py::"
    "test_what_is_not_as_the_manifest_says_is_refused",
    "names, sizes and hashes": "tests/sharing/test_hub.py::test_forged_bytes_names_and_sizes",
    "A file has its name only": "tests/downloads/test_data.py::"
    "test_nothing_is_kept_of_what_is_not_the_file",
    "Where no checksum": "tests/downloads/test_data.py::test_the_catalogue_is_sound",
    "Keras' files are read": "test_security.py::test_layers_that_are_code",
    "No honest file meets them": "test_packed.py::test_an_honest_file_unfolds_far_less",
    "A Python file that you have not read": "test_hostile.py::test_a_trusted_file_goes_on",
    "bigBed files from strangers": "test_fuzz.py::test_every_reader_is_fuzzed",
    "Hashes find damage": "test_security.py::test_who_changes_a_file_can_change_its_hash",
}
"""Beginnings of the sentences that name no test themselves → the test that holds them."""


def _sentences() -> list[str]:
    """Those of the page, without headings and tables; a list's item begins one."""
    plain = re.sub(r"(?m)^(#.*|\|.*)$", "", PAGE)
    items = re.split(r"\n\s*\n|\n(?=\* )", plain)
    texts = (" ".join(item.removeprefix("* ").split()) for item in items)
    return [
        sentence
        for text in texts
        for sentence in re.split(r"(?<=[.:])\*\* |(?<=[a-z)]\.) (?=[A-Z`])", text.strip())
        if sentence
    ]


def _is_there(name: str) -> bool:
    file, _, function = name.partition("::")
    path = ROOT / file if "/" in file else HERE / file
    return path.is_file() and (not function or f"def {function}(" in path.read_text())


def test_every_sentence_has_its_test() -> None:
    titles = re.compile(r"\*\*|^[A-Z][\w ,]+(\(|$)")
    for sentence in _sentences():
        held = [test for words, test in HELD.items() if words in sentence]
        assert held or "`test" in sentence or titles.match(sentence), sentence
    for words, test in HELD.items():
        assert words in " ".join(PAGE.split()), words
        assert _is_there(test), test


def test_the_limits_are_those_of_the_code() -> None:
    rows = dict(re.findall(r"(?m)^\| ([^|]+) \| ([^|]+) \| `[^|]+ \|$", PAGE))
    assert rows == {
        "JSON": f"{structured.MAX_JSON >> 20} MB, {structured.MAX_DEPTH} levels, whole numbers of "
        f"{structured.MAX_DIGITS} digits, a name once in an object",
        "TOML": f"{structured.MAX_TOML >> 10} KB, {structured.MAX_DEPTH} levels",
        "a Parquet table": f"{structured.MAX_ROWS // 10**6} million rows; "
        f"{structured._MAX_CELLS // 10**6} million cells, or 64 for each byte of the file",
        "a row of a published array": f"{structured.MAX_ROWS // 10**6} million regions",
        "a published index": f"{indices._MAX_BYTES // 10**6} million bytes",
        "motifs of one file, folder or archive": f"{files._MAX_BYTES // 10**6} million letters in "
        f"{files._MAX_LINES / 1e6:.1f} million lines, unpacked",
        "a packed bundle": f"{(packed.MAX_BYTES + 1) >> 30} GB; {packed.MAX_BUNDLES:,} bundles; "
        f"{packed.MAX_UNFOLDED} times its size unpacked, from {packed._UNFOLDED_FROM >> 20} MB on",
        "anything compressed": f"{reading.MAX_RATIO:,} times its size, from "
        f"{reading._RATIO_FROM // 10**6} million bytes on",
        "`--seed`": "63 bits",
    }


def _json(folder: Path) -> object:
    (folder / "a.json").write_text(json.dumps(["x" * 2_000]))
    return read_json(folder / "a.json")


def _rows(folder: Path) -> object:
    pd.DataFrame({"a": range(2_000)}).to_parquet(folder / "t.parquet")
    return read_table(folder / "t.parquet")


def _letters(folder: Path) -> object:
    return TARGETS["motifs"].files(folder) and TARGETS["motifs"].read(folder)


def _bytes(folder: Path) -> object:
    packed_words(folder)
    return packed.read_manifest(folder / "p.zip")


LIMITS: tuple[tuple[object, str, Callable[[Path], object], str], ...] = (
    (structured, "MAX_JSON", _json, "expected JSON of at most 100 bytes"),
    (structured, "MAX_ROWS", _rows, "more than this file can hold"),
    (files, "_MAX_BYTES", _letters, "expected at most"),
    (packed, "MAX_BYTES", _bytes, "the bundles are larger than 100 bytes together"),
)


@pytest.mark.parametrize("at", range(len(LIMITS)), ids=[str(row[1]) for row in LIMITS])
def test_limits(at: int, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Each refuses where it is smaller than the file."""
    module, name, read, message = LIMITS[at]
    read(tmp_path)
    monkeypatch.setattr(module, name, 100)
    (tmp_path / "again").mkdir()
    with pytest.raises(InputError, match=message):
        read(tmp_path / "again")


def test_a_long_toml(tmp_path: Path) -> None:
    (tmp_path / "a.toml").write_text("".join(f"a{i} = 1\n" for i in range(2_000)))
    with pytest.raises(InputError, match="expected TOML of at most 16,384 bytes"):
        read_toml(tmp_path / "a.toml")


def test_more_bundles_than_there_may_be(tmp_path: Path) -> None:
    packed_words(tmp_path)
    with zipfile.ZipFile(tmp_path / "p.zip") as archive:
        content = json.loads(archive.read("manifest.json"))
    content["bundles"] = [f"b{number}" for number in range(packed.MAX_BUNDLES + 1)]
    with pytest.raises(InputError, match="the manifest is wrong: bundles"):
        packed.Manifest.from_json(parse_json(json.dumps(content), "m"), "m")


def test_layers_that_are_code(tmp_path: Path) -> None:
    """Keras writes a layer of code (Lambda) as text: nothing reads it."""
    TARGETS["weights of Keras"].files(tmp_path)
    trace = tmp_path / "trace"
    config = {"name": "dense", "function": f"open({str(trace)!r}, 'w')"}
    code = {"class_name": "Lambda", "config": config}
    with h5py.File(tmp_path / "m.h5", "r+") as file:
        file.attrs["model_config"] = json.dumps({"config": {"layers": [code]}})
    assert [layer.kind for layer in read_keras_layers(tmp_path / "m.h5")][-1] == "linear"
    assert not trace.exists()


def test_who_changes_a_file_can_change_its_hash(tmp_path: Path) -> None:
    target = TARGETS["bundle"]
    target.files(tmp_path)
    example = tmp_path / "bundle" / "example.json"
    example.write_text(example.read_text() + "\n")
    with pytest.raises(InputError, match=r"example\.json"):
        target.read(tmp_path)
    assert target.mend is not None
    target.mend(tmp_path)
    target.read(tmp_path)


def test_a_heap_in_which_hdf5_would_go_round_for_ever(tmp_path: Path) -> None:
    TARGETS["weights of Keras"].files(tmp_path)
    raw = bytearray((tmp_path / "m.h5").read_bytes())
    first = raw.index(b"GCOL") + 16
    raw[first : first + 16] = bytes(16)  # a free place of no size
    (tmp_path / "m.h5").write_bytes(raw)
    with pytest.raises(InputError, match="a heap of texts at byte"):
        read_keras_layers(tmp_path / "m.h5")


def test_hdf5_that_breaks_down_on_a_keras_file(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """It does on some of ten thousand damaged ones, in a process of its own."""

    def broken(killed: bool) -> Callable[..., None]:
        def read(*_: object) -> None:
            raise cpus.BrokenDownError(killed)

        return read

    monkeypatch.setattr(cpus, "elsewhere", broken(killed=False))
    with pytest.raises(InputError, match=r"m\.h5: damaged: the library that reads HDF5 broke down"):
        read_keras_layers(tmp_path / "m.h5")
    monkeypatch.setattr(cpus, "elsewhere", broken(killed=True))
    with pytest.raises(MachineError, match=r"m\.h5: the process that read it was killed"):
        read_keras_layers(tmp_path / "m.h5")
