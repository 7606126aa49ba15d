"""Trunks that come with the package."""

from __future__ import annotations

from importlib import resources
from pathlib import Path

__all__ = ["shipped_trunk", "shipped_trunks"]


def shipped_trunks() -> tuple[str, ...]:
    """Names of the trunks that come with the package."""
    folder = _folder()
    found = folder.iterdir() if folder.is_dir() else ()
    return tuple(sorted(entry.name for entry in found if (entry / "card.json").is_file()))


def shipped_trunk(name: str) -> Path | None:
    """The bundle folder of a shipped trunk; None when there is none of this name."""
    return _folder() / name if name in shipped_trunks() else None


def _folder() -> Path:
    return Path(str(resources.files("cistransfer.models") / "trunks"))
