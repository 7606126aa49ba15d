"""What a bundle keeps of the sequences that it was trained on."""

from __future__ import annotations

import shutil
from pathlib import Path

import numpy as np
import pytest

from cistransfer.errors import InputError
from cistransfer.examples.dataset import ExampleSet
from cistransfer.genome.seen import SHARED, share_seen
from cistransfer.models.bundle import Bundle, open_bundle
from cistransfer.models.compact import compact_bundle


def test_training_windows_are_seen_and_held_out_ones_are_not(
    trunk: Bundle, trunk_examples: ExampleSet
) -> None:
    seen = trunk.seen()
    assert set(seen) == {"train", "valid"}
    for part in ("train", "valid"):
        assert (share_seen(trunk_examples.codes[trunk_examples.rows(part)], seen[part]) == 1).all()
        held_out = share_seen(trunk_examples.codes[trunk_examples.rows("test")], seen[part])
        assert (held_out >= SHARED).mean() < 0.02
        assert (np.diff(seen[part].astype(np.int64)) > 0).all()


def test_a_compact_copy_keeps_them(trunk: Bundle, tmp_path: Path) -> None:
    compact_bundle(trunk.path, tmp_path / "c")
    copied = open_bundle(tmp_path / "c").seen()
    assert {part: values.tolist() for part, values in copied.items()} == {
        part: values.tolist() for part, values in trunk.seen().items()
    }


@pytest.mark.parametrize("how", ["removed", "emptied", "of another"])
def test_an_altered_file_is_refused(trunk: Bundle, tmp_path: Path, how: str) -> None:
    folder = tmp_path / "b"
    shutil.copytree(trunk.path, folder)
    file = folder / "seen.parquet"
    if how == "removed":
        file.unlink()
    elif how == "emptied":
        file.write_bytes(b"")
    else:
        shutil.copy(open_bundle("general").path / "seen.parquet", file)
    with pytest.raises(InputError, match=r"seen\.parquet"):
        open_bundle(folder)


def test_the_trunk_in_the_box_has_them_and_names_its_assembly() -> None:
    general = open_bundle("general")
    assert general.card.assembly == "hg38"
    assert len(general.seen()["train"]) > 1_000_000
