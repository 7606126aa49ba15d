"""Interpretation folders in the report: what their summaries and figures say, and nothing stale."""

from __future__ import annotations

import base64
import json
import re
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest

from cistransfer.cli.command import run_app
from cistransfer.cli.main import app
from cistransfer.errors import InputError
from cistransfer.motifs.files import write_meme
from cistransfer.motifs.pwm import PWM
from cistransfer.report.page import write_report
from cistransfer.tables import write_tsv

PIXEL = base64.b64decode(
    "iVBORw0KGgoAAAANSUhEUgAAAAEAAAABCAYAAAAfFcSJAAAADUlEQVR42mNk+M9QDwADhgGAWjR9awAAAABJRU5ErkJggg=="
)
SUMMARY: dict[str, Any] = {
    "kind": "interpretation",
    "bundle": "/somewhere/<HNF4A>/bundle",
    "part": "test",
    "task": "HNF4A",
    "sequences": 1406,
    "predicted_positive": 674,
    "steps": ["filters", "influence", "refinement", "attribution", "patterns", "enrichment",
              "marginal", "spacing"],
    "filters": {"sequences": 9, "filters": 100, "with_sites": 98, "resembling_a_known_motif": 13},
    "influence": {"sequences": 9, "most_influential": [
        {"filter": 3, "influence": 0.1, "match": "RXRA"}, {"filter": 9, "influence": 0.1,
         "match": ""}]},
    "refinement": {"trunk": "t", "median_weight_change": 0.052,
                   "filters_resembling_the_task": {"before": 0, "after": 2}},
    "attribution": {"method": "deeplift", "on": "logit", "sequences": 150,
                    "largest_completeness_error": 3.8e-6},
    "patterns": {"note": "209 seqlets in 137 of 150 sequences",
                 "patterns": [{"match": "MA1", "match_name": "HNF4A", "seqlets": 99},
                              {"match": "", "match_name": "", "seqlets": 7}]},
    "enrichment": {"sites": 70726, "from": "hits at p ≤ 1e-05", "motifs_tested": 494,
                   "untested": 0, "enriched": 300, "depleted": 1,
                   "most_enriched": ["HNF4A", "RXRA"],
                   "most_depleted": ["ZNF384"],
                   "own": [{"motif": "HNF4A", "direction": "enriched", "d": 0.62}]},
    "comparison": {"a": "HNF4A", "b": "SPI1", "sequences": 1500, "more_in_a": ["HNF4A"],
                   "more_in_b": []},
    "marginal": {"motifs": 3, "top": [{"motif": "HNF4A", "effect": 4.1}]},
    "spacing": {"pair": ["HNF4A", "FOXA1"], "largest_interaction": 1.25,
                "at": {"side": "after", "orientation": "same", "gap": 8}},
}  # fmt: skip
DRAWN = ("filters", "influence", "refinement", "attribution", "mutations", "patterns", "enrichment",
         "ecdf", "comparison", "comparison_ranks", "comparison_ecdf", "comparison_loci", "marginal",
         "spacing")  # fmt: skip


def _folder(path: Path, summary: dict[str, Any]) -> Path:
    path.mkdir()
    (path / "summary.json").write_text(json.dumps(summary))
    for name in DRAWN:
        (path / f"{name}.png").write_bytes(PIXEL)
    return path


def _text(page: str) -> str:
    return re.sub(r"\s+", " ", re.sub(r"<[^>]+>", " ", page))


def test_every_step_has_its_words_and_figures(tmp_path: Path) -> None:
    folder = _folder(tmp_path / "learned", SUMMARY)
    page = write_report(tmp_path / "r.html", [folder]).read_text()
    assert page.count("data:image/png;base64,") == len(DRAWN) - 1  # no map: not by mutagenesis
    text = _text(page)
    for words in (
        "What &lt;HNF4A&gt; learned: HNF4A",
        "1,406 windows of the test part, 674 predicted positive",
        "98 of 100 filters fire; 13 resemble a known motif.",
        "Most influential filters: 3 (RXRA), 9.",
        "resemble the target's motif: 0 before, 2 after; median change of their weights 5 %",
        "deeplift on the logit, 150 windows. The contributions add up to within 4e-06.",
        "209 seqlets in 137 of 150 sequences. Seqlets: HNF4A (99), unnamed (7).",
        "494 motifs tested on 70,726 sites (hits at p ≤ 1e-05); 300 enriched at q &lt; 0.001, most "
        "HNF4A, RXRA; 1 depleted at q &lt; 0.001, most ZNF384. The task's own: HNF4A enriched (D "
        "+0.62).",
        "More in HNF4A: HNF4A; more in SPI1: none",
        "Largest effects on the logit: HNF4A (+4.10).",
        "the largest interaction is 1.25, 8 bp after, same orientation.",
    ):
        assert words in text.replace("&#39;", "'"), words
    assert "Every number was measured on regions" not in text  # nothing was measured here


def test_only_what_the_last_run_did_is_shown(tmp_path: Path) -> None:
    few = {
        **{key: value for key, value in SUMMARY.items() if not isinstance(value, dict)},
        "part": None,
        "attribution": {"method": "mutagenesis", "on": "logit", "sequences": 5},
        "enrichment": {"note": "no motif has 100 sites in 5 sequences (the most is 7)"},
    }
    folder = _folder(tmp_path / "few", few)
    (folder / "enrichment.png").unlink()
    (folder / "ecdf.png").unlink()
    page = write_report(tmp_path / "r.html", [folder]).read_text()
    assert page.count("data:image/png;base64,") == 2  # tracks and the map of substitutions
    text = _text(page)
    assert "No motif has 100 sites in 5 sequences" in text
    assert "Filters" not in text
    assert "1,406 windows, 674" in text
    again = _folder(tmp_path / "again", few)
    two = write_report(tmp_path / "two.html", [folder, again]).read_text()
    assert re.findall(r'<h2 id="learned-\d">[^(]*(\(.*?\))</h2>', two) == ["(few)", "(again)"]


def test_motifs_and_loci_are_drawn_in_the_page(tmp_path: Path) -> None:
    """From the tables of the folder; then their pictures are not needed."""
    folder = _folder(tmp_path / "learned", SUMMARY)
    codes = np.tile(np.array([0, 1, 2, 3, 4], np.uint8), (3, 4))
    strength = np.linspace(-0.2, 1, 20, dtype=np.float32) * np.ones((3, 1), np.float32)
    np.savez(folder / "attribution.npz", codes=codes, contributions=strength)
    names = ["chr1:100-120", "chr2:0-20", "<b>"]
    write_tsv(
        folder / "attribution.tsv",
        pd.DataFrame({"sequence": names, "logit": [1.0, 3.0, 2.0], "probability": [0.7, 0.9, 0.8],
                      "label": ["unbound", "bound", ""]}),
    )  # fmt: skip
    write_tsv(
        folder / "sites.tsv",
        pd.DataFrame({"sequence": names[1:2], "start": [5], "end": [15], "name": ["HNF4A & co"]}),
    )
    motif = PWM("pattern0", np.full((3, 4), 0.01) + 0.96 * np.eye(4)[:3])
    write_meme(folder / "patterns.meme", [motif])
    row = {"pattern": "pattern0", "match": "MA1", "match_name": "HNF4A", "seqlets": 99,
           "sequences": 80, "mean_contribution": 2.5, "q": 1e-4}  # fmt: skip
    write_tsv(folder / "patterns.tsv", pd.DataFrame([row]))
    page = write_report(tmp_path / "r.html", [folder]).read_text()
    assert page.count("data:image/png;base64,") == len(DRAWN) - 3
    loci = re.findall(r'<details name="loci.*?</details>', page, re.DOTALL)
    assert [re.findall(r'class="place">(.*?)<', each)[0] for each in loci] == [
        "chr2:1-20", "&lt;b&gt;", "chr1:101-120",
    ]  # fmt: skip
    assert ["open" in each[:60] for each in loci] == [True, False, False]
    assert "✓ bound" in loci[0]
    assert "✗ unbound" in loci[2]
    assert "HNF4A &amp; co</text>" in loci[0]
    shown = int((np.abs(strength[0]) * (110 / 1.2) >= 0.3)[codes[0] < 4].sum())
    assert loci[0].count("<use") == shown  # an N has no letter
    (logo,) = re.findall(r'<svg [^>]*class="logo".*?</svg>', page)
    assert 'aria-label="Logo like HNF4A, most likely ACG"' in logo
    assert [re.findall(r'class="([ACGT])"', logo)][0] == list("ACG")
    assert len(re.findall(r'id="glyph-[ACGT]"', page)) == 4


def test_other_folders_are_refused(tmp_path: Path) -> None:
    folder = _folder(tmp_path / "other", {"kind": "something"})
    with pytest.raises(InputError, match=r"summary.json: expected the summary of an interpret"):
        write_report(tmp_path / "r.html", [folder])
    (tmp_path / "empty").mkdir()
    with pytest.raises(InputError, match=r"metrics\.json"):
        write_report(tmp_path / "r.html", [tmp_path / "empty"])
    assert not (tmp_path / "r.html").exists()


def test_the_command(tmp_path: Path) -> None:
    folder = _folder(tmp_path / "learned", SUMMARY)
    assert run_app(app, ["report", str(folder), "--out", str(tmp_path / "r.html")]) == 0
    assert "learned: HNF4A" in (tmp_path / "r.html").read_text()
