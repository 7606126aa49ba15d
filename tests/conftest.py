"""Fixtures for all tests."""

from __future__ import annotations

from pathlib import Path

import pytest

SHARED = Path(__file__).resolve().parents[2] / "shared" / "data"


@pytest.fixture(scope="session")
def shared_data() -> Path:
    """The folder of real data beside the checkout; skips where it is missing."""
    if not SHARED.is_dir():
        pytest.skip("the real data (../shared/data beside the checkout) is not here")
    return SHARED
