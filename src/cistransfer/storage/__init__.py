"""Files: read once from the front whatever the shell hands in, written whole or not at all."""

from __future__ import annotations

from cistransfer.storage.reading import fingerprint, open_bytes, open_text, read_json
from cistransfer.storage.writing import (
    Kind,
    check_folder,
    is_stdout,
    is_stream,
    remove_folder,
    safe_name,
    whole_file,
    whole_folder,
    write_json,
    write_text,
)

__all__ = [
    "Kind",
    "check_folder",
    "fingerprint",
    "is_stdout",
    "is_stream",
    "open_bytes",
    "open_text",
    "read_json",
    "remove_folder",
    "safe_name",
    "whole_file",
    "whole_folder",
    "write_json",
    "write_text",
]
