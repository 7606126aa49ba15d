"""The part of the report on what a model learned, out of a folder of ``cistransfer interpret``."""

from __future__ import annotations

import base64
from dataclasses import dataclass
from pathlib import Path
from typing import Any

__all__ = ["Image", "interpretation_part"]


@dataclass(frozen=True)
class Image:
    """A figure as PNG in base64, with its caption; ``wide`` ones take a row of their own."""

    data: str
    caption: str
    wide: bool = False


_FIGURES: dict[str, tuple[tuple[str, str], ...]] = {
    "filters": (("filters", "First-layer filters as motifs, best known match first."),),
    "influence": (
        ("influence", "What silencing a filter changes, against its information content."),
    ),
    "refinement": (
        ("refinement", "The same filters before (left) and after (right) fine-tuning."),
    ),
    "attribution": (
        ("attribution", "Contribution of each base, in the windows of the highest scores."),
        ("mutations", "Change of the output by every substitution."),
    ),
    "patterns": (("patterns", "Motifs that the attributed stretches make."),),
    "enrichment": (
        ("enrichment", "Motifs ranked by how far attribution lies on their sites."),
        ("ecdf", "Attribution of the sites of single motifs."),
    ),
    "comparison": (
        ("comparison", "Motifs in the two models; above the diagonal: more in the first."),
        ("comparison_ranks", "Motifs ranked in each model, and in the difference."),
        ("comparison_ecdf", "Attribution of the sites of single motifs, in each model."),
        ("comparison_loci", "Sites at which the two models differ most."),
    ),
    "marginal": (("marginal", "What one site, planted into neutral sequence, changes."),),
    "spacing": (("spacing", "What a second motif adds, at every distance."),),
}
_WIDE = ("attribution", "mutations", "comparison_ranks", "comparison_ecdf", "comparison_loci")
_TITLES = {
    "filters": "Filters",
    "influence": "Influence of the filters",
    "refinement": "What fine-tuning changed",
    "attribution": "Attribution",
    "patterns": "Patterns",
    "enrichment": "Motifs under the attribution",
    "comparison": "Two models compared",
    "marginal": "Effect of single motifs",
    "spacing": "Two motifs at a distance",
}


def interpretation_part(folder: Path, summary: dict[str, Any]) -> dict[str, Any]:
    """Texts and figures of one folder.

    Parameters
    ----------
    folder : path
    summary : dict
        The content of its ``summary.json``.
    """
    part = summary.get("part")
    bundle = Path(summary["bundle"])
    name = bundle.parent.name if bundle.name == "bundle" else bundle.name
    where = f" of the {part} part" if part in ("train", "valid", "test") else ""
    steps = []
    for step, images in _FIGURES.items():
        told = summary.get(step)
        if not isinstance(told, dict):
            continue
        steps.append(
            {
                "title": _TITLES[step],
                "text": _words(step, told),
                "images": [
                    Image(
                        base64.b64encode((folder / f"{image}.png").read_bytes()).decode("ascii"),
                        caption,
                        wide=image in _WIDE,
                    )
                    for image, caption in images
                    if (folder / f"{image}.png").exists()
                    and not (image == "mutations" and told.get("method") != "mutagenesis")
                ],
            }
        )
    return {
        "title": f"What {name} learned: {summary['task']}",
        "text": f"{summary['sequences']:,} windows{where}, {summary['predicted_positive']:,} "
        "predicted positive. Explanations of predictions, not measurements: the model may have "
        "been trained on these windows.",
        "steps": steps,
    }


def _words(step: str, told: dict[str, Any]) -> str:
    """One or two sentences on a step, from its summary."""
    if "note" in told and step != "patterns":
        return f"{str(told['note'])[:1].upper()}{str(told['note'])[1:]}."
    if step == "filters":
        return (
            f"{told['with_sites']} of {told['filters']} filters fire; "
            f"{told['resembling_a_known_motif']} resemble a known motif."
        )
    if step == "influence":
        named = [
            f"{row['filter']}{' (' + row['match'] + ')' if row['match'] else ''}"
            for row in told["most_influential"]
        ]
        return f"Most influential filters: {', '.join(named)}."
    if step == "refinement":
        counts = told["filters_resembling_the_task"]
        return (
            f"Filters that resemble the target's motif: {counts['before']} before, "
            f"{counts['after']} after; median change of their weights "
            f"{100 * told['median_weight_change']:.0f} %."
        )
    if step == "attribution":
        error = told.get("largest_completeness_error")
        return f"{told['method']} on the {told['on']}, {told['sequences']:,} windows." + (
            f" The contributions add up to within {error:.1g}." if error is not None else ""
        )
    if step == "patterns":
        names = [
            f"{row['match_name'] or row['match'] or 'unnamed'} ({row['seqlets']})"
            for row in told["patterns"]
        ]
        return f"{told['note']}. " + (f"Seqlets: {', '.join(names)}." if names else "")
    if step == "enrichment":
        return (
            f"{told['motifs_tested']:,} motifs tested on {told['sites']:,} sites "
            f"({told['from']}); {told['significant']:,} at q < 0.001. "
            f"Most: {', '.join(told['top'])}."
        )
    if step == "comparison":
        return (
            f"{told['a']} and {told['b']} on {told['sequences']:,} windows that either calls "
            f"positive. More in {told['a']}: {', '.join(told['more_in_a']) or 'none'}; more in "
            f"{told['b']}: {', '.join(told['more_in_b']) or 'none'} (q < 0.001)."
        )
    if step == "marginal":
        named = [f"{row['motif']} ({row['effect']:+.2f})" for row in told["top"]]
        return f"Largest effects on the logit: {', '.join(named)}."
    at = told["at"]
    return (
        f"{told['pair'][0]} and {told['pair'][1]}: the largest interaction is "
        f"{told['largest_interaction']:.2f}, {at['gap']} bp {at['side']}, {at['orientation']} "
        "orientation."
    )
