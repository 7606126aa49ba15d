"""Every reader, handed spoiled files, accepts them or refuses them in one short line."""

from __future__ import annotations

import ast
import re
from pathlib import Path

import pytest
from hard_fuzz import fuzz
from hard_targets import TARGETS

import cistransfer

CASES = 500
READER = re.compile(r"(read|open|load|check|import)_|npy_rows|parse_")
NO_FILES_OF_THEIR_OWN = {
    "check_strands": "a word",
    "check_content": "only hashes it, and unpacks it to its end; tested with downloads",
    "import_bundle": "hands on to read_keras_layers and read_torch_layers",
    "import_matrix": "hands on to import_published",
    "open_hub": "the manifest of read_manifest; tested with sharing",
    "read_repository": "a word of the command line",
    "read_shares": "a word of the command line",
    "read_open_regions": "hands on to read_open",
    "read_open_table": "read_region_numbers with numbers compared",
    "read_dhs_clusters": "rows of a table by open_rows",
    "read_lists": "read_list on each file of a folder",
    "read_columns": "columns of rows already read",
    "read_regions": "the door of read_bed",
    "open_genome": "the door of open_sequences",
    "open_in": "no file",
    "open_form": "the first line of what read_open reads",
    "open_predictions": "a table by read_table",
    "parse_columns": "a word of the command line",
    "read_arguments": "words of the command line",
    "read_config": "Config with the names of before",
    "read_sites": "read_bed, or the library of bigBed",
    "read_jaspar_release": "a library's data base",
    "read_user_file": "runs a file that the user names; never from a record or a bundle",
    "read_modes": "hands on to the readers of modes",
    "read_profiles": "hands on to read_motifs",
    "import_published": "a folder of indices and npz files, whose readers are here",
    "check_architecture": "no file",
    "check_contract": "no file",
    "check_options": "no file",
    "check_assembly_names": "no file",
    "check_sites": "the first bytes",
    "import_network": "hands on to read_keras_layers and read_torch_layers",
    "check_partners": "no file",
    "check_place": "hands on to check_output",
    "check_output": "of a record only 'command', by read_json",
    "check_step": "an entry of what load_study reads",
    "check_claim": "no file",
    "check_same_assembly": "no file",
    "check_folder": "no content is read",
    "check_form": "no file",
}


def readers() -> set[str]:
    """Names of the public functions of the package that open, read, load, check or import."""
    found = set()
    for path in Path(cistransfer.__file__).parent.rglob("*.py"):
        if path.parts[-2] == "cli" and path.name != "record.py":
            continue
        for node in ast.parse(path.read_text(encoding="utf-8")).body:
            if isinstance(node, ast.FunctionDef | ast.ClassDef) and READER.match(node.name):
                found.add(node.name)
    return found


def test_every_reader_is_fuzzed() -> None:
    covered = {name for target in TARGETS.values() for name in target.covers}
    assert readers() - covered - NO_FILES_OF_THEIR_OWN.keys() == set()
    assert covered - readers() - {"open_text", "open_bytes", "open_raw"} == set()
    assert NO_FILES_OF_THEIR_OWN.keys() - readers() == set()


@pytest.mark.parametrize("name", TARGETS)
def test_spoiled_files(name: str) -> None:
    tally = fuzz(name, TARGETS[name], CASES)
    assert tally.faults == []
    assert tally.tried == tally.accepted + tally.refused == CASES
    assert tally.refused > 0
