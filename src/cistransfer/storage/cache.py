"""Where what can be made again is kept."""

from __future__ import annotations

import os
import tempfile
from pathlib import Path

__all__ = ["cache_folder"]


def cache_folder() -> Path:
    """``$CISTRANSFER_CACHE``, else the user's cache folder, else one of the user's under TMPDIR."""
    explicit = os.environ.get("CISTRANSFER_CACHE")
    if explicit:
        return Path(explicit)
    home = os.environ.get("XDG_CACHE_HOME")
    if home:
        return Path(home) / "cistransfer"
    try:
        return Path.home() / ".cache" / "cistransfer"
    except RuntimeError:  # a user without a home, as in containers
        return Path(tempfile.gettempdir()) / f"cistransfer-{os.getuid()}"
