"""Titles say what is drawn, and how much of how much; nothing is hidden behind something else."""

from __future__ import annotations

from typing import Any

import numpy as np
import pandas as pd

from cistransfer.interpretation.enrichment import draw_densities, draw_ecdfs, draw_enrichment
from cistransfer.interpretation.influence import draw_influence
from cistransfer.interpretation.marginal import draw_marginal, draw_spacing
from cistransfer.interpretation.two_models import draw_two_models


def title(made: Any, panel: int = 0) -> str:
    return str(made.axes[panel].get_title(loc="left"))


def effects(n: int) -> pd.DataFrame:
    names = [f"M{i}" for i in range(n)]
    return pd.DataFrame({"motif": names, "name": names, "effect": np.linspace(-1, 2, n),
                         "sd": 0.1, "n": 40})  # fmt: skip


def ranked(n: int) -> pd.DataFrame:
    d = np.linspace(0.9, -0.9, n)
    return pd.DataFrame({"motif": [f"M{i}" for i in range(n)], "d": d,
                         "q": np.where(abs(d) > 0.5, 1e-6, 0.5)})  # fmt: skip


def test_so_many_of_so_many() -> None:
    assert "30 largest effects of 50 motifs" in title(draw_marginal(effects(50)))
    assert "into 40 neutral sequences" in title(draw_marginal(effects(50)))
    table = ranked(40)
    good = int((table["d"] > 0.5).sum())
    says = f"{good} enriched, {good} depleted of 40 motifs tested"
    assert title(draw_enrichment({"": table})) == f"Attribution at sites of known motifs:\n{says}"
    assert title(draw_enrichment({"A": table, "A − B": table}), 1) == f"A − B: {says}"
    two = table.assign(d_a=table["d"], d_b=-table["d"], d_difference=table["d"], q_a=table["q"],
                       q_b=table["q"])  # fmt: skip
    drawn = draw_two_models(two, ("A", "B"))
    assert title(drawn).startswith(f"{2 * good} of 40 motifs have q < 0.001 in either model")
    assert "above the dashed line: attribution lies on their sites more in A" in title(drawn)
    filters = pd.DataFrame({"information": [5.0, 6.0, 0.0], "influence": [0.1, 0.2, 0.0],
                            "q": [0.01, np.nan, np.nan], "match": ["a", "", ""],
                            "match_name": ["A", "", ""]})  # fmt: skip
    says = title(draw_influence(filters))
    assert says.startswith("2 of 3 filters fire and change the output")
    assert "named: the 1 most influential" in says


def test_significant_motifs_lie_above_the_others() -> None:
    dots = draw_enrichment({"": ranked(40)}).axes[0].collections
    assert [len(each.get_offsets()) for each in dots] == [22, 9, 9]  # grey is drawn first


def test_equal_curves_are_both_seen() -> None:
    sites = pd.DataFrame({"name": ["A", "B"] * 20})
    scores = np.repeat(np.arange(20.0), 2)
    lines = draw_ecdfs(sites, {"": scores}, ["A", "B"]).axes[0].lines
    assert (lines[1].get_ydata() == lines[2].get_ydata()).all()
    assert lines[1].get_linestyle() != lines[2].get_linestyle()
    assert "Attribution of sites" in title(draw_densities(sites, scores, ["A"]))


def test_curves_of_a_palindrome_are_one_with_all_their_names() -> None:
    rows = [
        (gap, side, orientation, 1.0, 0.5, np.sin(gap) + 0.5 * (side == "before"))
        for orientation in ("same", "opposite")
        for side in ("after", "before")
        for gap in range(10)
    ]
    columns = ["gap", "side", "orientation", "effect", "alone", "interaction"]
    panel = draw_spacing(pd.DataFrame(rows, columns=columns), "JUN", "MAX").axes[0]
    legend = panel.get_legend()
    assert legend is not None
    assert legend.get_title().get_text() == "MAX lies"
    assert [text.get_text() for text in legend.get_texts()] == [
        "after JUN, same orientation\n= after JUN, opposite orientation",
        "before JUN, same orientation\n= before JUN, opposite orientation",
    ]
    assert len(panel.lines) == 3  # and the line at 0
