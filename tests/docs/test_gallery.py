"""The gallery: a small picture for every name that it lists, and the figures that methods draw."""

from __future__ import annotations

import re
from typing import get_args, get_type_hints

from pages import DOCS

from cistransfer.interpretation.steps import METHODS, step_of
from cistransfer.studies.schema import Figure

PAGE = (DOCS / "gallery.md").read_text(encoding="utf-8")
SHOWN = dict(re.findall(r"!\[([^\]]+)\]\((figures/gallery/[^)]+)\)", PAGE))


def test_every_picture_is_shown_and_small() -> None:
    files = {f"figures/gallery/{path.name}" for path in (DOCS / "figures" / "gallery").iterdir()}
    assert files == set(SHOWN.values())
    sizes = {name: (DOCS / name).stat().st_size for name in files}
    assert max(sizes.values()) < 120_000, max(sizes, key=lambda name: sizes[name])
    assert sum(sizes.values()) < 1_200_000
    for name in files:
        assert (DOCS / name).read_bytes().startswith(b"\x89PNG")


def test_no_figure_of_interpretation_is_left_out() -> None:
    drawn = {panel.file for method in METHODS for panel in step_of(method).panels}
    assert drawn - set(SHOWN) == set()


def test_the_figures_of_the_report_are_there() -> None:
    kinds = {name.split(" ")[0] for name in SHOWN}
    assert {"models", "precision-recall", "roc", "calibration", "probabilities", "gc"} <= kinds


def test_every_kind_of_a_study_s_figures_is_there() -> None:
    kinds = {name.removeprefix("study-") for name in SHOWN if name.startswith("study-")}
    assert {*get_args(get_type_hints(Figure)["kind"])} == kinds | {"parts"}
