"""The matrix built from the real BED files equals the published one, state by state."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from cistransfer.binding.matrix import BindingMatrix


@pytest.mark.parametrize("rule", ["sparse", "less-sparse"])
def test_build_equals_published(real_matrix: BindingMatrix, shared_data: Path, rule: str) -> None:
    published = np.load(shared_data / "tf-binding-hg38" / "published_states.npz")
    assert list(real_matrix.tfs) == published["tfs"].tolist()
    assert (real_matrix.regions["chrom"].to_numpy(str) == published["chrom"]).all()
    np.testing.assert_array_equal(real_matrix.regions["start"], published["start"])
    assert (real_matrix.regions["end"] - real_matrix.regions["start"] == 200).all()
    states = real_matrix.states(rule=rule)
    assert states.shape == (259_003, 151)
    np.testing.assert_array_equal(states.T, published[rule.replace("-", "_")])
