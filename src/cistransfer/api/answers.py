"""From a lab's peaks to a model and what to think of it, in one call."""

from __future__ import annotations

import os
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any

from cistransfer.errors import InputError
from cistransfer.examples.sources import FromPeaks
from cistransfer.storage import write_json

if TYPE_CHECKING:
    import pandas as pd

    from cistransfer.evaluation.results import Evaluation, TaskScore
    from cistransfer.examples.dataset import ExampleSet
    from cistransfer.genome.fasta import Sequences
    from cistransfer.models.bundle import Bundle
    from cistransfer.motifs.pwm import PWM

__all__ = ["EXPECTED", "Answer", "learn"]

PathLike = str | os.PathLike[str]

EXPECTED = {
    50: (0.865, 0.712, 0.928),
    125: (0.885, None, None),
    250: (0.895, None, None),
    500: (0.902, 0.785, 0.965),
    1000: (0.902, None, None),
}
"""AUCPR at one unbound region per bound one, by bound regions for training: mean of twelve TFs that
nothing here had seen, the least and the greatest of them (docs/results.md, the default with the
TF's motifs)."""

_BASELINES = {"motif": "its known motif", "denovo": "a motif found in the peaks", "kmer": "k-mers",
              "gc": "GC content"}  # fmt: skip


@dataclass(frozen=True)
class Answer:
    """A model and what to think of it.

    Attributes
    ----------
    folder : Path
        ``model/`` (the run with the bundle), ``evaluation/``, ``what-it-learned/``,
        ``predictions.tsv.gz``, ``report.html``, ``answer.json``.
    tf : str
    verdict : {"better", "undecided", "worse"}
        Whether the model ranks held-out regions better than every cheap baseline: its interval
        above, around or below the best one's AUCPR.
    sentence : str
        The verdict in words, with the numbers.
    notes : tuple of str
        What was found in the inputs, what was dropped, what to expect.
    evaluation : Evaluation
    bundle : Bundle
    """

    folder: Path
    tf: str
    verdict: str
    sentence: str
    notes: tuple[str, ...] = field(repr=False)
    evaluation: Evaluation = field(repr=False)
    bundle: Bundle = field(repr=False)


def learn(
    peaks: PathLike | pd.DataFrame,
    genome: PathLike | Sequences,
    out: PathLike,
    *,
    open_regions: PathLike | pd.DataFrame | None = None,
    tf: str | None = None,
    trunk: PathLike = "general",
    motifs: PathLike | None = None,
    blacklist: PathLike | pd.DataFrame | None = None,
    columns: str | None = None,
    window: int | None = None,
    interpret: bool = True,
    seed: int = 0,
    device: str = "auto",
    say: Any = None,
) -> Answer:
    """Learn where a TF binds from its peaks, and say whether the model is worth having.

    Examples are made (negatives from open regions, or tiles of the genome where there are none),
    chromosomes are held out, a trunk is fine-tuned, the model is compared with the cheap ways to do
    the same, what it reads is shown, and open regions are scored. Where peaks are too few for
    chromosomes to be held out, neighbouring windows stay together and a tenth of them is.

    Parameters
    ----------
    peaks : path or DataFrame
    genome : path or Sequences
    out : path
        Folder; a run that was interrupted goes on.
    open_regions : path or DataFrame, optional
    tf : str, optional
        The TF's name: with ``motifs`` its known motifs are read too.
    trunk : path or str
        A run folder, a bundle, or the name of a trunk in the box.
    motifs : path or str, optional
        Motif file, or ``jaspar``; by default ``jaspar`` where a TF is named and pyjaspar is
        installed.
    blacklist, columns, window
        See `cistransfer.examples.sources.FromPeaks`.
    interpret : bool
        Also write what the model reads.
    seed, device
    say : callable, optional
        Told each line as it is known.

    Returns
    -------
    Answer

    Raises
    ------
    InputError
        When the inputs do not fit together, or there are fewer than 20 usable peaks.

    Examples
    --------
    >>> import cistransfer as ct
    >>> answer = ct.learn("data/peaks/HNF4A.narrowPeak.gz", "data/genome.fa", "answer",
    ...                   open_regions="data/open/HepG2.bed.gz", trunk="trunk",
    ...                   interpret=False)
    >>> answer.verdict in ("better", "undecided", "worse")
    True
    """
    from cistransfer.evaluation.runs import evaluate_runs
    from cistransfer.models.bundle import open_bundle
    from cistransfer.training.finetune import finetune

    place, tell = Path(out), say or (lambda *lines: None)
    notes: list[str] = []

    def note(*lines: str) -> None:
        notes.extend(lines)
        tell(*lines)

    start = open_bundle(trunk)
    source = FromPeaks(
        peaks=peaks, genome=genome, open_regions=open_regions, tf=tf, blacklist=blacklist,
        columns=columns, window=window,
    )  # fmt: skip
    data = _examples(source, start, seed, note)
    name = data.tasks[0]
    pwms = _motifs(tf, motifs, note)
    bound = [int((data.labels[data.rows(part)] == 1).sum()) for part in ("train", "valid", "test")]
    note(
        f"{bound[0]:,} bound windows train, {bound[1]:,} validate, {bound[2]:,} test; "
        + expected(bound[0] + bound[1])
    )
    bundle = finetune(place / "model", data, start, motifs=pwms, seed=seed, device=device)
    found = evaluate_runs(
        place / "evaluation",
        [place / "model"],
        baselines=[one for one in _BASELINES if one != "motif" or pwms],
        pwms=pwms,
        device=device,
    )
    verdict, sentence = judge(found, name)
    note(sentence)
    answer = Answer(place, name, verdict, sentence, tuple(notes), found, bundle)
    _write(answer, source, motifs if pwms else None, interpret, device)
    return answer


def _examples(source: FromPeaks, trunk: Bundle, seed: int, note: Any) -> ExampleSet:
    """Hold out chromosomes; where peaks are too few for that, neighbourhoods."""
    from cistransfer.examples.holdout import HoldOut
    from cistransfer.examples.make import examples_for
    from cistransfer.examples.split import NoPartsError, Split

    try:
        data = examples_for(source, trunk, seed=seed)
    except NoPartsError as error:
        held = HoldOut.of(trunk, Split(by="neighbours", seed=seed), "heldout")
        data = examples_for(source, trunk, holdout=held, seed=seed)
        note(
            *data.notes(),
            f"chromosomes cannot be held out ({error}); held out instead: a tenth of all "
            "windows, neighbours together",
        )
        return data
    note(*data.notes())
    return data


def _motifs(tf: str | None, motifs: PathLike | None, note: Any) -> Sequence[PWM]:
    """The TF's known motifs, where there are any."""
    from importlib.util import find_spec

    from cistransfer.motifs.names import given_motifs

    if motifs is not None:
        if tf is None:
            raise InputError("motifs are chosen by the TF's name; name it (--tf)")
        given = given_motifs(tf, motifs)
        note(given.line())
        return given.pwms
    if tf is None or find_spec("pyjaspar") is None:
        note("no known motif is read: name the TF (--tf) and a motif file (--motifs), or jaspar")
        return ()
    try:
        given = given_motifs(tf, "jaspar")
    except InputError as error:
        note(f"no known motif is read: {error}")
        return ()
    note(given.line())
    return given.pwms


def expected(bound: int) -> str:
    """What to expect of so many bound regions, from TFs that were measured.

    >>> expected(60)
    'twelve TFs reached an AUCPR of 0.865 on average from 50 (0.71 to 0.93)'
    """
    size = max([n for n in EXPECTED if n <= bound], default=min(EXPECTED))
    mean, low, high = EXPECTED[size]
    spread = "" if low is None or high is None else f" ({low:.2f} to {high:.2f})"
    return f"twelve TFs reached an AUCPR of {mean:.3f} on average from {size}{spread}"


def judge(found: Evaluation, tf: str) -> tuple[str, str]:
    """Whether the model is better than every baseline, in a word and in a sentence."""
    model, *others = found.models
    score = model.tasks[tf]
    aucpr, ends = _number(score, "aucpr"), score.interval("aucpr")
    rated = [(_number(other.tasks[tf], "aucpr"), other.name) for other in others]
    best, name = max(rated, default=(float("nan"), ""))
    low, high = ends or (aucpr, aucpr)
    verdict = "better" if low > best else "worse" if high < best else "undecided"
    says = {
        "better": "use the model",
        "undecided": "on so few held-out regions the two cannot be told apart",
        "worse": f"use {_BASELINES.get(name, name)} instead of the model",
    }[verdict]
    area = _number(score, "auroc")
    return verdict, (
        f"from {tf}'s peaks the model ranks a bound region above an unbound one "
        f"{100 * area:.0f} times in 100; AUCPR {aucpr:.3f} ({low:.2f} to {high:.2f}), the best "
        f"cheap way ({_BASELINES.get(name, name)}) {best:.3f}: {says}"
    )


def _number(score: TaskScore, name: str) -> float:
    value = score[name]
    return float("nan") if value is None else float(value)


def _write(
    answer: Answer, source: FromPeaks, motifs: PathLike | None, interpret: bool, device: str
) -> None:
    """Interpretation, predictions of the open regions, the report and the record."""
    from cistransfer.examples.candidates import as_sequences
    from cistransfer.genome.bed import as_regions
    from cistransfer.prediction.table import predict_regions, write_predictions
    from cistransfer.report.page import write_report

    pages: list[Path] = [answer.folder / "evaluation"]
    if interpret:
        from cistransfer.interpretation.interpret import interpret as explain
        from cistransfer.interpretation.steps import Methods

        learned = answer.folder / "what-it-learned"
        explain(answer.folder / "model", learned, Methods(motifs=motifs), device=device)
        pages.append(answer.folder / "what-it-learned")
    if source.open_regions is not None:
        regions = as_regions(source.open_regions)
        sequences = as_sequences(source.genome)
        table = predict_regions(answer.bundle, regions, sequences)
        write_predictions(answer.folder / "predictions.tsv.gz", table)
    write_report(answer.folder / "report.html", pages, title=f"{answer.tf}: what its peaks taught")
    write_json(
        answer.folder / "answer.json",
        {
            "tf": answer.tf,
            "verdict": answer.verdict,
            "sentence": answer.sentence,
            "notes": list(answer.notes),
            "bundle": str(answer.bundle.path),
        },
    )
