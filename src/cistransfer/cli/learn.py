"""``cistransfer learn``: from a lab's peaks to a model, a verdict and a page."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

import typer

from cistransfer.cli.command import say
from cistransfer.cli.groups import Device, Seed
from cistransfer.cli.verb import Done, verb
from cistransfer.examples.sources import FromPeaks
from cistransfer.options import option

__all__ = ["learn", "register"]


@dataclass(frozen=True)
class Answers:
    """Result."""

    out: Path = option(help="Folder: model, evaluation, what it learned, predictions, report.html.")
    trunk: str = option("general", path=True, help="Trunk: in the box, a run folder or a bundle.")
    motifs: Path | None = option(
        None,
        help="Motifs of any format, or jaspar; the TF's (--tf) are read [default: jaspar, where "
        "pyjaspar is installed].",
    )
    no_interpretation: bool = option(False, help="Leave out what the model reads.")


def learn(source: FromPeaks, answers: Answers, seed: Seed, device: Device) -> Done:
    """Learn where a TF binds from its peaks, and say whether the model is worth having.

    Chromosomes are held out, the trunk is fine-tuned, and the model is compared with the TF's
    motif, a motif found in the peaks, k-mers and GC content. The last line says which to use.
    """
    from cistransfer.api.answers import learn as answer

    found = answer(
        source.peaks,
        source.genome,
        answers.out,
        open_regions=source.open_regions,
        tf=source.tf,
        trunk=answers.trunk,
        motifs=answers.motifs,
        blacklist=source.blacklist,
        columns=source.columns,
        window=source.window,
        interpret=not answers.no_interpretation,
        seed=seed.seed,
        device=device.device,
        say=say,
    )
    result = {
        "out": str(found.folder),
        "tf": found.tf,
        "verdict": found.verdict,
        "sentence": found.sentence,
        "bundle": str(found.bundle.path),
        "report": str(found.folder / "report.html"),
    }
    return Done(
        result,
        [f"report: {result['report']}"],
        written=[answers.out],
        used={"notes": list(found.notes)},
    )


def register(app: typer.Typer) -> None:
    """Add the verb to the application."""
    verb(app, "learn", learn)
