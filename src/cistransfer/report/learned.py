"""The part of the report on what a model learned, out of a folder of ``cistransfer interpret``."""

from __future__ import annotations

import base64
import re
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from cistransfer.interpretation.steps import METHODS, step_of
from cistransfer.interpretation.subject import browser_place
from cistransfer.interpretation.tracks import sited
from cistransfer.motifs.files import read_motifs
from cistransfer.motifs.pwm import information_content
from cistransfer.report.inline import letters_svg, logo_svg
from cistransfer.storage import read_npz, read_tsv

__all__ = ["Image", "learned_part", "name_of_run"]

_MAX_LOGOS = 12
_INSIDE = ("filters", "influence", "refinement")  # for who wants to know: folded away


@dataclass(frozen=True)
class Image:
    """A figure as PNG in base64, with its caption; ``wide`` ones take a row of their own."""

    data: str
    caption: str
    wide: bool = False


def name_of_run(bundle: str) -> str:
    """What a run is called: its folder."""
    path = Path(bundle)
    return path.parent.name if path.name == "bundle" else path.name


def learned_part(folder: Path, summary: dict[str, Any]) -> dict[str, Any]:
    """Texts and figures of one folder.

    Parameters
    ----------
    folder : path
    summary : dict
        The content of its ``summary.json``.
    """
    part = summary.get("part")
    name = name_of_run(summary["bundle"])
    where = f" of the {part} part" if part in ("train", "valid", "test") else ""
    logos = _logos(folder) if isinstance(summary.get("patterns"), dict) else []
    attributed = summary.get("attribution")
    loci = []
    if isinstance(attributed, dict):
        loci = _loci(folder, -1 if attributed.get("method") == "mutagenesis" else 1)
    steps = []
    for method in METHODS:
        told = summary.get(method)
        if not isinstance(told, dict):
            continue
        step = step_of(method)
        instead = {"attribution"} if loci else set()
        instead |= {"patterns"} if logos else set()
        steps.append(
            {
                "title": step.title,
                "inside": method in _INSIDE,
                "text": step.words(told),
                "images": [
                    Image(
                        base64.b64encode((folder / f"{panel.file}.png").read_bytes()).decode(),
                        panel.caption,
                        panel.wide,
                    )
                    for panel in step.panels
                    if (folder / f"{panel.file}.png").exists()
                    and panel.file not in instead
                    and not (panel.file == "mutations" and told.get("method") != "mutagenesis")
                ],
            }
        )
    return {
        "name": name,
        "task": summary["task"],
        "title": f"What {'the model' if name == 'model' else name} learned: {summary['task']}",
        "text": f"{summary['sequences']:,} windows{where}, {summary['predicted_positive']:,} "
        "predicted positive. Explanations of predictions, not measurements: the model may have "
        "been trained on these windows.",
        "logos": logos,
        "loci": loci,
        "steps": steps,
    }


def _logos(folder: Path) -> list[dict[str, Any]]:
    """Rows of the table of patterns, each with its logo."""
    if not ((folder / "patterns.tsv").exists() and (folder / "patterns.meme").exists()):
        return []
    table = read_tsv(folder / "patterns.tsv", (), ("pattern", "match", "match_name"))
    pwms = {pwm.name: pwm for pwm in read_motifs(folder / "patterns.meme")}
    rows = []
    for row in table.to_dict("records"):
        pwm = pwms.get(str(row["pattern"]))
        if pwm is None:
            continue
        name = str(row["match_name"] or row["match"] or row["pattern"])
        likely = "".join("ACGT"[i] for i in pwm.probabilities.argmax(axis=1))
        drawn = logo_svg(
            pwm.probabilities, information_content(pwm), f"Logo like {name}, most likely {likely}"
        )
        rows.append({**row, "name": name, "logo": drawn})
    return rows[:_MAX_LOGOS]


def _loci(folder: Path, sign: int) -> list[dict[str, Any]]:
    """The windows of the highest scores, each drawn with the sites that carry its score."""
    files = [folder / name for name in ("attribution.npz", "attribution.tsv", "sites.tsv")]
    if not all(file.exists() for file in files[:2]):
        return []
    arrays = read_npz(files[0], {"codes": np.uint8, "contributions": np.floating})
    codes, contributions = arrays["codes"], arrays["contributions"]
    table = read_tsv(files[1], ("logit",), ("sequence", "label"))
    if "probability" not in table or len(table) != len(codes) or contributions.ndim != 2:
        return []
    sites = None
    if files[2].exists():
        sites = read_tsv(files[2], ("start", "end"), ("sequence", "name"))
    rows = []
    for rank, at in enumerate(sited(table["logit"], table["label"])):
        row = table.iloc[int(at)]
        window = str(row["sequence"])
        mine = [] if sites is None else sites[sites["sequence"] == window].to_dict("records")
        place = re.fullmatch(r".+:(\d+)-\d+", window)
        start = None if place is None else int(place[1])
        shown = browser_place(window)
        names = list(dict.fromkeys(str(site["name"]) for site in mine))
        words = f"Contribution of each base of {shown}; sites: {', '.join(names) or 'none named'}"
        drawn = letters_svg(codes[at], sign * contributions[at], mine, start, words)
        rows.append(
            {
                "rank": rank + 1,
                "place": shown,
                "probability": float(row["probability"]),
                "label": str(row["label"]),
                "names": names,
                "svg": drawn,
            }
        )
    return rows
