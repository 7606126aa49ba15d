"""Files: read once from the front whatever the shell hands in, written whole or not at all."""

from __future__ import annotations

from cistransfer.storage.cache import cache_folder
from cistransfer.storage.ours import check_output, output, record_of, write_record
from cistransfer.storage.reading import fingerprint, open_bytes, open_text
from cistransfer.storage.structured import (
    MAX_ROWS,
    TAR_DAMAGE,
    ZIP_DAMAGE,
    npy_header,
    open_npy,
    parse_json,
    read_json,
    read_npz,
    read_table,
    read_toml,
    read_tsv,
    shaped,
)
from cistransfer.storage.writing import (
    Kind,
    before_placing,
    check_folder,
    files_into,
    held_in,
    is_stdout,
    is_stream,
    overwriting,
    remove_folder,
    safe_name,
    whole_file,
    whole_folder,
    write_json,
    write_text,
)

__all__ = [
    "MAX_ROWS",
    "TAR_DAMAGE",
    "ZIP_DAMAGE",
    "Kind",
    "before_placing",
    "cache_folder",
    "check_folder",
    "check_output",
    "files_into",
    "fingerprint",
    "held_in",
    "is_stdout",
    "is_stream",
    "npy_header",
    "open_bytes",
    "open_npy",
    "open_text",
    "output",
    "overwriting",
    "parse_json",
    "read_json",
    "read_npz",
    "read_table",
    "read_toml",
    "read_tsv",
    "record_of",
    "remove_folder",
    "safe_name",
    "shaped",
    "whole_file",
    "whole_folder",
    "write_json",
    "write_record",
    "write_text",
]
