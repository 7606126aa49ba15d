"""``cistransfer learn``: from a lab's peaks to a model, a verdict and a page."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from cistransfer.cli.command import say
from cistransfer.cli.groups import Device, Seed
from cistransfer.cli.verb import Done
from cistransfer.errors import InputError
from cistransfer.examples.sources import FromPeaks
from cistransfer.options import option

if TYPE_CHECKING:
    from cistransfer.api.answers import Answer

__all__ = ["learn"]


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
    final: bool = option(
        False,
        help="Fit the model on the tested peaks too, once it was evaluated without them.",
    )
    no_interpretation: bool = option(False, help="Leave out what the model reads.")
    more: tuple[str, ...] = option(
        (),
        positional=True,
        path=True,
        help="Further peak files (--peaks *.narrowPeak): a model each, one table and one page.",
    )


def learn(source: FromPeaks, answers: Answers, seed: Seed, device: Device) -> Done:
    """Learn where a TF binds from its peaks, and say whether the model is worth having.

    Chromosomes are held out, the trunk is fine-tuned, and the model is compared with the TF's
    motif, a motif found in the peaks, k-mers and GC content. It is said which to use; a cheap way
    that the model does not beat is written as a model too (OUT/instead).
    Several peak files (--peaks *.narrowPeak) are learned from one after another; OUT/answers.tsv
    and OUT/report.html are about all of them.
    """
    from cistransfer.api.answers import learn as answer
    from cistransfer.api.answers import learn_each

    how: dict[str, Any] = {
        "open_regions": source.open_regions,
        "trunk": answers.trunk,
        "motifs": answers.motifs,
        "blacklist": source.blacklist,
        "columns": source.columns,
        "window": source.window,
        "final": answers.final,
        "interpret": not answers.no_interpretation,
        "seed": seed.seed,
        "device": device.device,
        "say": say,
    }
    report = f"report: {answers.out / 'report.html'}"
    if not answers.more:
        found = answer(source.peaks, source.genome, answers.out, tf=source.tf, **how)
        return Done(_result(found), [report], [answers.out], used={"notes": list(found.notes)})
    if source.tf is not None:
        raise InputError("--tf names one TF; with several peak files each file's name tells it")
    files = [source.peaks, *answers.more]
    each = learn_each(files, source.genome, answers.out, **how)
    if len(each) < len(files):
        raise InputError(
            f"{len(files) - len(each)} of {len(files)} peak files could not be learned from: see "
            f"the column 'error' of {answers.out / 'answers.tsv'}, where the others stand"
        )
    used = {"notes": {one.folder.name: list(one.notes) for one in each}}
    result = {"out": str(answers.out), "answers": [_result(one) for one in each]}
    return Done(result, [_line(one) for one in each] + [report], [answers.out], used=used)


def _result(found: Answer) -> dict[str, Any]:
    return {
        "out": str(found.folder),
        "tf": found.tf,
        "verdict": found.verdict,
        "sentence": found.sentence,
        "held_out": found.held_out,
        "evidence": found.bundle.card.evidence,
        "bundle": str(found.bundle.path),
        "instead": None if found.instead is None else str(found.instead.path),
        "report": str(found.folder / "report.html"),
    }


def _line(found: Answer) -> str:
    return f"{found.folder.name}: {found.verdict}; {found.sentence}"
