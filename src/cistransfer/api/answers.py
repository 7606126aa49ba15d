"""From a lab's peaks to a model and what to think of it, in one call."""

from __future__ import annotations

import os
import re
from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any

from cistransfer.api.writes import writes
from cistransfer.errors import InputError
from cistransfer.examples.sources import FromPeaks
from cistransfer.storage import safe_name, write_json

if TYPE_CHECKING:
    import pandas as pd

    from cistransfer.evaluation.results import Evaluation
    from cistransfer.examples.dataset import ExampleSet
    from cistransfer.genome.fasta import Sequences
    from cistransfer.models.bundle import Bundle
    from cistransfer.motifs.pwm import PWM

__all__ = ["Answer", "learn", "learn_each"]

PathLike = str | os.PathLike[str]

_BASELINES = ("motif", "denovo", "kmer", "gc")
_MARKERS = ("answer.json", "model/examples/dataset.json", "held-out/1/examples/dataset.json")
_ATTRIBUTED = 200  # positive predictions that are explained; `interpret` takes more by itself


@dataclass(frozen=True)
class Answer:
    """A model and what to think of it.

    Attributes
    ----------
    folder : Path
        ``model/`` (the run with the bundle), ``evaluation/``, ``what-it-learned/``,
        ``predictions.tsv.gz``, ``report.html``, ``answer.json``; ``instead/`` where the model is
        not better than what is cheap; ``held-out/`` where the model that is handed out is not one
        of those that were evaluated.
    tf : str
    verdict : {"better", "undecided", "worse"}
        Whether the model ranks held-out regions better than every cheap baseline: the interval of
        the difference of their AUCPR above, around or below 0
        (`cistransfer.evaluation.verdict.Verdict`).
    sentence : str
        The verdict in words, with the numbers.
    notes : tuple of str
        What was found in the inputs, what was dropped, what to expect.
    evaluation : Evaluation
    bundle : Bundle
    instead : Bundle or None
        The best cheap way as a model, where the network is not better (``undecided``, ``worse``):
        with ``worse`` it is what predicted the open regions.
    held_out : str
        What was held out, in words.
    """

    folder: Path
    tf: str
    verdict: str
    sentence: str
    notes: tuple[str, ...] = field(repr=False)
    evaluation: Evaluation = field(repr=False)
    bundle: Bundle = field(repr=False)
    instead: Bundle | None = field(default=None, repr=False)
    held_out: str = field(default="", repr=False)


@writes("learn", _MARKERS)
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
    final: bool = False,
    interpret: bool = True,
    seed: int = 0,
    device: str = "auto",
    say: Any = None,
) -> Answer:
    """Learn where a TF binds from its peaks, and say whether the model is worth having.

    Examples are made (negatives from open regions, or tiles of the genome where there are none),
    chromosomes are held out, a trunk is fine-tuned, the model is compared with the cheap ways to do
    the same, what it reads is shown, and open regions are scored. Where fewer than 30 bound
    regions would be held out, models are cross-validated by chromosome, and the one that is handed
    out is fitted on the tested ones too; where even that cannot be, a tenth of the windows is held
    out, neighbours together.

    Parameters
    ----------
    peaks : path or DataFrame
    genome : path or Sequences
    out : path
        Folder; a run that was interrupted goes on.
    open_regions : path or DataFrame, optional
    tf : str, optional
        The TF's name: its known motifs are read too. By default what the file's name says, where
        that is the name of a TF.
    trunk : path or str
        A run folder, a bundle, or the name of a trunk in the box.
    motifs : path or str, optional
        Motif file, or ``jaspar``; by default ``jaspar`` where the TF is known and pyjaspar is
        installed.
    blacklist, columns, window
        See `cistransfer.examples.sources.FromPeaks`.
    final : bool
        Fit the model that is handed out on the held-out regions too, after it was evaluated
        without; its card keeps what was measured.
    interpret : bool
        Also write what the model reads (up to 200 of its positive predictions are explained).
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
    from cistransfer.evaluation.verdict import measured, verdict_of
    from cistransfer.examples.held_out import examples_held_out, with_test
    from cistransfer.models.bundle import open_bundle
    from cistransfer.relatives.families import tf_of_file
    from cistransfer.training.cheap import cheap_run
    from cistransfer.training.probe import evidence_line

    place, tell = Path(out), say or (lambda *lines: None)
    notes: list[str] = []

    def note(*lines: str) -> None:
        notes.extend(lines)
        tell(*lines)

    start = open_bundle(trunk)
    if tf is None and isinstance(peaks, str | os.PathLike):
        tf = tf_of_file(peaks)
        if tf is not None:
            note(f"TF: {tf}, by the name of the file (--tf says otherwise)")
    source = FromPeaks(
        peaks=peaks, genome=genome, open_regions=open_regions, tf=tf, blacklist=blacklist,
        columns=columns, window=window,
    )  # fmt: skip
    held = examples_held_out(source, start, seed)
    note(*held.lines)
    pwms = _motifs(tf, motifs, note)
    note(_sizes(held.sets))

    def fit(folder: Path, data: ExampleSet, facts: Mapping[str, Any] | None = None) -> Bundle:
        from cistransfer.training.finetune import finetune

        return finetune(
            folder, data, start, motifs=pwms, seed=seed, device=device, facts=facts
        )  # fmt: skip

    final = final or len(held.sets) > 1
    found = _evaluated(place, held.sets, fit, final, pwms, device)
    name = held.sets[0].tasks[0]
    verdict = verdict_of(place / "evaluation", name)
    note(verdict.sentence)
    examples = held.sets[0]
    if final:
        note("the model is now fitted on the tested regions too; the numbers are those without")
        examples = with_test(examples)
    facts = measured(found, name, held.how)
    bundle = fit(place / "model", examples, {"held_out": facts} if final else None)
    if bundle.card.evidence:
        notes.append(evidence_line(bundle.card.evidence))  # told while it was trained
    instead = None
    if verdict.instead is not None:
        facts = measured(found, name, held.how, verdict.instead.name)
        kind = verdict.instead.name.split(" ")[0]
        instead = cheap_run(
            place / "instead", examples, kind, pwms=pwms, seed=seed, facts={"held_out": facts}
        )
        note(
            f"{place / 'instead'}: {verdict.instead.words}, as a model that predict, track, "
            "variants and locus take"
        )
    answer = Answer(
        place, name, verdict.word, verdict.sentence, tuple(notes), found, bundle, instead, held.how
    )
    asked = {
        "peaks": peaks, "genome": genome, "open_regions": open_regions, "tf": tf, "trunk": trunk,
        "motifs": motifs, "blacklist": blacklist, "columns": columns, "window": window,
        "final": final, "seed": seed,
    }  # fmt: skip
    known = (motifs or "jaspar") if pwms else None
    _write(answer, source, known, interpret, device, asked)
    return answer


@writes("learn", ("answers.tsv", *(f"*/{name}" for name in _MARKERS)))
def learn_each(
    peaks: Sequence[PathLike] | Mapping[str, PathLike | pd.DataFrame],
    genome: PathLike | Sequences,
    out: PathLike,
    *,
    say: Any = None,
    **options: Any,
) -> list[Answer]:
    """Learn from several peak files: a model each, one table and one page over all of them.

    A file that cannot be learned from stops no other; its reason stands in the table.

    Parameters
    ----------
    peaks : sequence of path, or mapping of name to path or DataFrame
        Names are the files' by default, without what says their format.
    genome : path or Sequences
    out : path
        Folder: one of `learn` for each name, ``answers.tsv`` and ``report.html``.
    say : callable, optional
    **options
        Of `learn`; not ``tf``, which is told by each file's name.

    Returns
    -------
    list of Answer
        Of those that could be learned from.

    Raises
    ------
    InputError
        When two files have one name, or none could be learned from.

    Examples
    --------
    >>> import cistransfer as ct
    >>> answers = ct.learn_each({"HNF4A": "data/peaks/HNF4A.narrowPeak.gz"}, "data/genome.fa",
    ...                         "answers", open_regions="data/open.bed.gz", trunk="trunk",
    ...                         interpret=False)
    >>> [answer.tf for answer in answers]
    ['HNF4A']
    """
    import pandas as pd

    from cistransfer.evaluation.verdict import measured, rated
    from cistransfer.relatives.families import tf_of_file
    from cistransfer.report.page import write_report
    from cistransfer.tables import write_tsv

    if "tf" in options:
        raise InputError("tf is told by each file's name where there are several")
    place, tell = Path(out), say or (lambda *lines: None)
    named = dict(peaks) if isinstance(peaks, Mapping) else _named(peaks)
    answers, rows = [], []
    for name, one in named.items():
        tell(f"== {name}")
        tf = tf_of_file(name)
        try:
            answer = learn(one, genome, place / safe_name(name), tf=tf, say=say, **options)
        except InputError as error:
            tell(f"{name}: {error}")
            rows.append({"name": name, "error": str(error)})
            continue
        answers.append(answer)
        score = measured(answer.evaluation, answer.tf, answer.held_out)
        best: dict[str, Any] = {"baseline": "", "baseline_aucpr": None}
        if cheap := rated(answer.evaluation, answer.tf):
            best = {"baseline": cheap[0][1], "baseline_aucpr": cheap[0][0]}
        score.pop("baselines")
        rows.append(
            {"name": name, "tf": answer.tf, "verdict": answer.verdict, **score, **best,
             "model": str(answer.bundle.path),
             "instead": "" if answer.instead is None else str(answer.instead.path), "error": ""}
        )  # fmt: skip
    if not answers:
        raise InputError(
            f"none of {len(named)} peak files could be learned from; the first, "
            f"{rows[0]['name']}: {rows[0]['error']}"
        )
    write_tsv(place / "answers.tsv", pd.DataFrame(rows)[list(rows_of(rows))])
    pages = [answer.folder for answer in answers]
    write_report(place / "report.html", pages, title=f"{len(answers)} TFs: what their peaks taught")
    return answers


def rows_of(rows: Sequence[Mapping[str, Any]]) -> dict[str, None]:
    """The columns of rows, in the order in which they are met in the fullest row."""
    return dict.fromkeys(key for row in sorted(rows, key=len, reverse=True) for key in row)


def _named(paths: Sequence[PathLike]) -> dict[str, PathLike]:
    """Peak files by their names without what says the format."""
    names = [re.sub(r"(\.(gz|bz2|xz|zst|bed|narrowPeak|broadPeak|txt|xls|bb))+$", "", Path(p).name,
                    flags=re.IGNORECASE) or Path(p).name for p in paths]  # fmt: skip
    twice = [name for name, n in Counter(names).items() if n > 1]
    if twice:
        raise InputError(f"two peak files are called {twice[0]!r}; give them different names")
    return dict(zip(names, paths, strict=True))


def _evaluated(
    place: Path,
    sets: Sequence[ExampleSet],
    fit: Callable[[Path, ExampleSet], Bundle],
    final: bool,
    pwms: Sequence[PWM],
    device: str,
) -> Evaluation:
    """Train without what is held out, and score that; with folds, each what it has not seen."""
    from cistransfer.evaluation.pooled import pool_evaluations
    from cistransfer.evaluation.runs import evaluate_runs

    folders = [place / "held-out" / str(i + 1) for i in range(len(sets))] if final else [place]
    results = place / "evaluation"
    for folder, data in zip(folders, sets, strict=True):
        fit(folder / "model", data)
        found = evaluate_runs(
            folder / "evaluation" if len(sets) > 1 else results,
            [folder / "model"],
            baselines=[one for one in _BASELINES if one != "motif" or pwms],
            pwms=pwms,
            draws=0 if len(sets) > 1 else None,
            device=device,
        )
    if len(sets) == 1:
        return found
    return pool_evaluations(results, [folder / "evaluation" for folder in folders])


def _sizes(sets: Sequence[ExampleSet]) -> str:
    """How many bound windows train, validate and test, and what to expect of so many."""
    from cistransfer.evaluation.verdict import expected
    from cistransfer.examples.held_out import n_bound

    first = sets[0]
    train, valid, test = (n_bound(first, part) for part in ("train", "valid", "test"))
    if len(sets) > 1:
        tested = sum(n_bound(data, "test") for data in sets)
        words = f"{tested:,} bound windows are tested, {train:,} train in the first fold"
    else:
        words = f"{train:,} bound windows train, {valid:,} validate, {test:,} test"
    return f"{words}; {expected(train + valid)}"


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


def _write(
    answer: Answer,
    source: FromPeaks,
    motifs: PathLike | None,
    interpret: bool,
    device: str,
    asked: Mapping[str, Any],
) -> None:
    """Interpretation, predictions of the open regions, the report and the record."""
    from cistransfer.api.data import read_regions
    from cistransfer.examples.candidates import as_sequences
    from cistransfer.prediction.output import write_predictions
    from cistransfer.prediction.table import predict_regions
    from cistransfer.report.page import write_report

    if interpret:
        from cistransfer.interpretation.interpret import interpret as explain
        from cistransfer.interpretation.steps import Methods

        learned = answer.folder / "what-it-learned"
        methods = Methods(motifs=motifs, max_sequences=_ATTRIBUTED)
        explain(answer.folder / "model", learned, methods, device=device)
    if source.open_regions is not None:
        regions = read_regions(source.open_regions, keep=True)
        sequences = as_sequences(source.genome)
        worse = answer.verdict == "worse"
        bundle = (answer.instead if worse else None) or answer.bundle
        table = predict_regions(bundle, regions, sequences)
        write_predictions(answer.folder / "predictions.tsv.gz", table, regions)
    write_json(
        answer.folder / "answer.json",
        {
            "tf": answer.tf,
            "verdict": answer.verdict,
            "sentence": answer.sentence,
            "evidence": answer.bundle.card.evidence,
            "notes": list(answer.notes),
            "bundle": str(answer.bundle.path),
            "instead": None if answer.instead is None else str(answer.instead.path),
            "asked": {name: _said(value) for name, value in asked.items()},
        },
    )
    title = f"{answer.tf}: what its peaks taught"
    write_report(answer.folder / "report.html", [answer.folder], title=title)


def _said(value: Any) -> Any:
    """A value that was asked for, as JSON; nothing of a table or a genome that was given opened."""
    if isinstance(value, os.PathLike):
        return os.fspath(value)
    return value if isinstance(value, str | int) else None
