"""One look: colours, files that are equal for equal figures, labels that lie on nothing."""

from __future__ import annotations

import os
import subprocess
import sys
from itertools import combinations
from pathlib import Path

import matplotlib as mpl
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from cistransfer.errors import InputError
from cistransfer.figures import (
    BOTH,
    PALETTE,
    as_png,
    colours,
    figure,
    finish,
    label_points,
    legend,
    save,
)


def drawn():
    made, panels = figure(3, 2, columns=2, grid=True)
    for panel in panels:
        panel.plot([0, 1], [1, 0], label="line")
        finish(panel, "x", "y", "title")
        legend(panel)
    return made


def test_colours_of_known_strategies_never_change() -> None:
    first, second = colours(["scratch", "finetune", "x"]), colours(["x", "y", "pwm", "scratch"])
    assert first["scratch"] == second["scratch"]
    assert first["x"] == second["x"]
    many = colours([f"s{n}" for n in range(len(PALETTE))])
    assert set(many.values()) == set(PALETTE)
    assert colours(["finetune", "transfer"])["transfer"] != colours(["finetune"])["finetune"]


@pytest.mark.parametrize("ending", ["png", "svg", "pdf"])
def test_equal_figures_are_equal_files_and_nothing_global_changes(
    tmp_path: Path, ending: str
) -> None:
    before = dict(mpl.rcParams)
    assert save(drawn(), tmp_path / f"a.{ending}") == [tmp_path / f"a.{ending}"]
    save(drawn(), tmp_path / f"b.{ending}")
    assert (tmp_path / f"a.{ending}").read_bytes() == (tmp_path / f"b.{ending}").read_bytes()
    assert dict(mpl.rcParams) == before
    assert len(list(tmp_path.iterdir())) == 2


def test_a_stem_and_formats(tmp_path: Path) -> None:
    made = drawn()
    paths = save(made, tmp_path / "v1.2", BOTH)
    assert [path.name for path in paths] == ["v1.2.png", "v1.2.svg"]
    assert paths[0].read_bytes() == as_png(made)
    for bad in ("x.gif", "x"):
        with pytest.raises(InputError, match=r"expected a figure in \.png, \.svg, \.pdf, found"):
            save(made, tmp_path / bad)


@pytest.mark.parametrize("backend", ["module://no_such_notebook.backend", "nonsense", "Agg", ""])
def test_a_notebooks_backend_does_not_matter(tmp_path: Path, backend: str) -> None:
    code = (
        "import os; from cistransfer.figures import figure, save; made, _ = figure();"
        f"save(made, {str(tmp_path / 'x.png')!r}); print(os.environ['MPLBACKEND'])"
    )
    done = subprocess.run(
        [sys.executable, "-c", code],
        env=os.environ | {"MPLBACKEND": backend},
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    assert done.stdout.strip() == backend
    assert (tmp_path / "x.png").read_bytes().startswith(b"\x89PNG")


def boxes(made, panel):
    renderer = made.canvas.get_renderer()
    return [text.get_window_extent(renderer) for text in panel.texts if text.get_text()]


@given(
    st.lists(st.tuples(st.floats(0, 1), st.floats(0, 1)), min_size=1, max_size=12),
    st.sampled_from(["linear", "log"]),
)
@settings(max_examples=15, deadline=None)
def test_no_label_lies_on_another(points: list[tuple[float, float]], scale: str) -> None:
    made, (panel,) = figure(5, 4)
    x, y = np.array(points).T
    panel.plot(x, y + 0.01, "o")
    panel.set_yscale(scale)
    label_points(panel, x, y + 0.01, [f"TF{i}" for i in range(len(x))])
    made.draw_without_rendering()
    shown = boxes(made, panel)
    assert len(shown) == len(x)
    for a, b in combinations(shown, 2):
        assert not a.overlaps(b)


def test_labels_stay_beside_their_points_and_off_others() -> None:
    made, (panel,) = figure(5, 4)
    x = np.array([0.0, 0.5, 0.54, 1.0])
    panel.plot(x, x, "o")
    label_points(panel, x[:3], x[:3], ["first", "second", "third"], avoid=(x, x))
    made.draw_without_rendering()
    frame = panel.get_window_extent()
    for box, at in zip(boxes(made, panel), x, strict=False):
        assert frame.x0 <= box.x0
        assert box.x1 <= frame.x1
        place = panel.transData.transform((at, at))
        assert np.hypot(*(box.min - place)) < 0.8 * made.dpi
        for other in panel.transData.transform(np.column_stack([x, x])):
            assert not box.contains(*other)
    label_points(panel, [], [], [])
