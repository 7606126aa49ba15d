"""Every figure that is drawn, as an object: axes, numbers, three formats."""

from __future__ import annotations

from pathlib import Path

import matplotlib
import numpy as np
import pandas as pd
import pytest

import cistransfer as ct
from cistransfer.api.drawings import numbers_of
from cistransfer.errors import InputError
from cistransfer.figures import STYLE, figure, save
from cistransfer.motifs.logo import draw_letters


def test_whatever_is_written_is_kept(tmp_path: Path) -> None:
    made, (panel,) = figure()
    panel.plot([1, 2], [3, 4], label="a")
    table = pd.DataFrame({"n": [1]})
    with ct.drawings() as drawn:
        save(made, tmp_path / "one.png", table=table)
        save(made, tmp_path / "one.svg")  # the same figure once more
        other, _ = figure()
        save(other, tmp_path / "deep.er" / "one", ("png", "pdf"))
    save(figure()[0], tmp_path / "after.png")
    assert list(drawn) == ["one", "one-2"]
    assert repr(drawn) == "<Drawings: one, one-2>"
    assert drawn["one"].axes == [panel]
    assert drawn["one"].table is table
    assert drawn["one-2"].table.empty
    assert drawn["one"]._repr_png_().startswith(b"\x89PNG")
    with pytest.raises(InputError, match="no figure 'two' was drawn"):
        drawn["two"]


def test_three_formats_and_the_table_beside(tmp_path: Path) -> None:
    with ct.drawings() as drawn:
        ct.plot_logo(np.eye(4), out=tmp_path / "logo.png")
    written = drawn["logo"].save(tmp_path / "x.1", ("png", "svg", "pdf"))
    assert [path.name for path in written] == ["x.1.png", "x.1.svg", "x.1.pdf", "x.1.tsv"]
    heads = [path.read_bytes()[:4] for path in written[:3]]
    assert heads == [b"\x89PNG", b"<?xm", b"%PDF"]
    table = pd.read_csv(written[3], sep="\t")
    assert list(table["name"]) == list("ACGT")
    with pytest.raises(InputError, match="expected a figure in"):
        drawn["logo"].save(tmp_path / "x.gif")


def test_numbers_are_read_back_from_what_is_drawn() -> None:
    made, (lines, bars, letters, image) = figure(columns=4)
    lines.plot([0, 1], [2, 3], label="model")
    lines.scatter([5], [6], label="dots")
    lines.stairs([7, 8], [0, 1, 2], label="steps")
    bars.barh([0, 1], [4, -5])
    draw_letters(letters, [[0, 2, 0, 0], [0, 0, 0, -1]])
    image.imshow([[1.5, 2.5]])
    found = numbers_of(made)
    rows = [tuple(row) for row in found.itertuples(index=False)]

    def of(kind: str) -> list[tuple[object, ...]]:
        return [(row[0], *row[2:5]) for row in rows if row[1] == kind]

    assert of("line")[:2] == [(0, "model", 0, 2), (0, "model", 1, 3)]
    assert of("points") == [(0, "dots", 5, 6)]
    assert of("steps") == [(0, "steps", 0.5, 7), (0, "steps", 1.5, 8)]
    assert of("bar") == [(1, "", 0, 4), (1, "", 1, -5)]
    assert [(row[1], round(float(row[2])), round(float(row[3]), 6)) for row in of("letter")] == [
        ("C", 1, 2), ("T", 2, -1),
    ]  # fmt: skip
    assert found[found["kind"] == "image"]["value"].tolist() == [1.5, 2.5]
    assert "value" not in numbers_of(figure()[0])


def test_one_style_file_whatever_a_user_has_set() -> None:
    """The look is the file's, the user's settings stay as they were, and the file is theirs too."""
    plain = save_bytes()
    with matplotlib.rc_context({"axes.facecolor": "pink", "font.size": 30, "grid.color": "red"}):
        before = dict(matplotlib.rcParams)
        assert save_bytes() == plain
        assert dict(matplotlib.rcParams) == before
    with matplotlib.rc_context(fname=STYLE):
        assert matplotlib.rcParams["axes.spines.top"] is False
    (panel,) = figure()[1]
    assert panel.plot([0, 1])[0].get_color().lower().lstrip("#") == "0072b2"


def save_bytes() -> bytes:
    from cistransfer.figures import as_png

    made, (panel,) = figure(grid=True)
    panel.plot([1, 2])
    panel.set_xlabel("x")
    return as_png(made)
