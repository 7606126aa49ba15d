"""The part of the report on what a model learned, out of a folder of ``cistransfer interpret``."""

from __future__ import annotations

import base64
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from cistransfer.interpretation.steps import METHODS, step_of

__all__ = ["Image", "interpretation_part"]


@dataclass(frozen=True)
class Image:
    """A figure as PNG in base64, with its caption; ``wide`` ones take a row of their own."""

    data: str
    caption: str
    wide: bool = False


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
    for method in METHODS:
        told = summary.get(method)
        if not isinstance(told, dict):
            continue
        step = step_of(method)
        steps.append(
            {
                "title": step.title,
                "text": step.words(told),
                "images": [
                    Image(
                        base64.b64encode((folder / f"{panel.file}.png").read_bytes()).decode(),
                        panel.caption,
                        panel.wide,
                    )
                    for panel in step.panels
                    if (folder / f"{panel.file}.png").exists()
                    and not (panel.file == "mutations" and told.get("method") != "mutagenesis")
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
