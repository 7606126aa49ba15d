"""Evaluate and compare models, draw, report."""

from __future__ import annotations

import os
from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from cistransfer.api.doors import as_motifs, as_path, as_paths, found, is_path
from cistransfer.api.writes import writes
from cistransfer.errors import InputError
from cistransfer.evaluation.compare_runs import compare_runs
from cistransfer.evaluation.results import Evaluation
from cistransfer.evaluation.runs import evaluate_runs
from cistransfer.figures import as_png, figure, save
from cistransfer.genome.codes import N, encode
from cistransfer.interpretation.locus import Locus, draw_locus
from cistransfer.models.bundle import Bundle, packed_bundles
from cistransfer.motifs.logo import draw_letters, draw_logo
from cistransfer.motifs.names import motifs_of
from cistransfer.motifs.pwm import PWM
from cistransfer.report.page import write_report as write_page

if TYPE_CHECKING:
    from matplotlib.figure import Figure

__all__ = ["compare", "evaluate", "plot_locus", "plot_logo", "write_report"]

PathLike = str | os.PathLike[str]


@writes("evaluate")
def evaluate(
    runs: Any,
    *,
    out: PathLike,
    examples: PathLike | None = None,
    part: str = "test",
    baselines: Any = (),
    motifs: Any = None,
    modes: PathLike | None = None,
    trunk: Any = None,
    protocol: str = "own",
    resamples: int | None = None,
    allow_seen: bool = False,
    device: str = "auto",
) -> Evaluation:
    """Evaluate models, and baselines, on identical held-out examples.

    Parameters
    ----------
    runs : path, Bundle, list of them, or dict
        Run folders, bundles or packed files; a dict gives them names:
        ``{"transfer": "model", "scratch": "control"}``.
    out : path
        Evaluation folder, for `compare` and `write_report`.
    examples : path, optional
        An example set; by default the one that the runs share.
    baselines : str or list of str
        ``gc``, ``motif``, ``kmer``, ``denovo`` …
    motifs : path, str or motifs, optional
        For baselines that read motifs.
    trunk : path, str or Bundle, optional
    part, modes, protocol, resamples, allow_seen, device
        See `cistransfer.evaluation.runs.evaluate_runs`.

    Examples
    --------
    >>> import cistransfer as ct
    >>> found = ct.evaluate({"transfer": "GABPA"}, baselines="gc", out="evaluation", resamples=0)
    >>> found
    Evaluation(transfer, gc on the test part: GABPA)
    >>> found["gc"].tasks["GABPA"]["positives"] > 10
    True
    """
    if isinstance(runs, Mapping):
        named = [f"{name}={_run(run)}" for name, run in runs.items()]
    else:
        several = runs if isinstance(runs, list | tuple) else [runs]
        named = [name for run in several for name in _packed(_run(run))]
    if not named:
        raise InputError("runs: expected at least one, found none")
    words = baselines.split(",") if isinstance(baselines, str) else list(baselines)
    return evaluate_runs(
        as_path(out, "out"),
        named,
        examples=None if examples is None else as_path(examples, "examples"),
        part=part,
        baselines=[word.strip() for word in words],
        pwms=as_motifs(motifs),
        modes=modes,
        trunk=None if trunk is None else _run(trunk),
        protocol=protocol,
        draws=resamples,
        allow_seen=allow_seen,
        device=device,
    )


def _packed(run: str) -> list[str]:
    """Each model of a packed file that holds several; else the run itself."""
    folders = packed_bundles(run)
    return [run] if len(folders) < 2 else [f"{name}={place}" for name, place in folders.items()]


def _run(run: Any) -> str:
    """Folder of a run (or ``NAME=FOLDER``)."""
    if isinstance(run, Bundle):
        return str(run.path.parent if run.path.name == "bundle" else run.path)
    if not is_path(run):
        raise InputError(f"runs: expected run folders or opened models, found {found(run)}")
    return os.fspath(run)


@writes("compare")
def compare(
    evaluations: Any,
    *,
    metric: str = "aucpr",
    reference: str | None = None,
    by_size: bool | None = None,
    confidence: float = 0.95,
    resamples: int = 1000,
    blocks: bool = False,
    motif_strategy: str = "pwm",
    full_strategy: str = "full",
    out: PathLike | None = None,
    figure_format: str = "png",
    seed: int = 0,
) -> dict[str, pd.DataFrame]:
    """Compare strategies on equal TFs, test regions and draws, with intervals and tests.

    Parameters
    ----------
    evaluations : path or list of path
        Folders that `evaluate` or a study wrote, or tables of results.
    metric, reference, by_size, seed
        See `cistransfer.evaluation.compare_runs.compare_runs`.
    confidence, resamples, blocks, motif_strategy, full_strategy, figure_format
        Its ``level``, ``draws``, ``by_blocks``, ``motif``, ``full``, ``figures``.
    out : path, optional
        Folder for tables and figures.

    Returns
    -------
    dict of str to DataFrame
        ``results``, ``comparison``, ``summary`` …

    Examples
    --------
    >>> import cistransfer as ct
    >>> _ = ct.evaluate({"transfer": "GABPA"}, baselines="gc", out="evaluation", resamples=0)
    >>> tables = ct.compare("evaluation", reference="gc", resamples=0)
    >>> sorted(tables["results"]["strategy"])
    ['gc', 'transfer']
    """
    return compare_runs(
        as_paths(evaluations, "evaluations"),
        metric=metric,
        reference=reference,
        motif=motif_strategy,
        full=full_strategy,
        by_size=by_size,
        level=confidence,
        draws=resamples,
        by_blocks=blocks,
        seed=seed,
        out=None if out is None else as_path(out, "out"),
        figures=figure_format,
    )


@writes("report")
def write_report(
    evaluations: Any,
    *,
    out: PathLike,
    title: str = "Transfer and scratch on held-out regions",
) -> Path:
    """Write one self-contained HTML page about evaluations.

    Parameters
    ----------
    evaluations : path or list of path
        Folders that `evaluate`, `interpret` or `learn` wrote.
    out : path
        The HTML file.
    title : str

    Examples
    --------
    >>> import cistransfer as ct
    >>> _ = ct.evaluate({"transfer": "GABPA"}, out="evaluation", resamples=0)
    >>> ct.write_report("evaluation", out="report.html").name
    'report.html'
    """
    return write_page(as_path(out, "out"), as_paths(evaluations, "evaluations"), title=title)


@writes("plot")
def plot_logo(
    what: Any, sequence: str | None = None, *, tf: str | None = None, out: PathLike | None = None
) -> Figure:
    """Draw a logo: a motif in bits, or a sequence with letters as high as its attributions.

    Parameters
    ----------
    what : PWM, motifs, path, str or array
        A motif; or motifs (a file, ``"jaspar"``), of which the one that ``tf`` names is drawn; or
        heights of A, C, G, T at each position, shape (length, 4), or with ``sequence`` of its
        letters, shape (length,).
    sequence : str, optional
    tf : str, optional
    out : path, optional
        Write it too: ``….png``, ``….svg`` or ``….pdf``.

    Returns
    -------
    matplotlib Figure
        A notebook shows it.

    Examples
    --------
    >>> import cistransfer as ct
    >>> drawn = ct.plot_logo("data/motifs.meme", tf="HNF4A", out="HNF4A.png")
    >>> word = "ACGTT" * 20
    >>> drawn = ct.plot_logo(ct.attribute("trunk", word, task="SPI1").contributions[0], word)
    """
    if isinstance(what, np.ndarray | pd.DataFrame) or (
        isinstance(what, list) and not any(isinstance(each, PWM) for each in what)
    ):
        heights = _heights(what, sequence)
        made, panels = figure(max(2.5, 0.16 * len(heights)), 1.6)
        draw_letters(panels[0], heights)
        return _shown(made, out)
    motifs = as_motifs(what)
    if tf is not None:
        motifs = motifs_of(tf, motifs)
    if len(motifs) == 0 or (len(motifs) > 1 and tf is None):
        raise InputError(f"logo: expected one motif, found {len(motifs):,}; name the tf")
    made, panels = figure(max(2.5, 0.3 * motifs[0].width), 1.6)
    draw_logo(panels[0], motifs[0])
    panels[0].set_title(f"{motifs[0].name} {motifs[0].alt_name}".strip(), fontsize=10, loc="left")
    return _shown(made, out)


def _heights(what: Any, sequence: str | None) -> NDArray[np.float64]:
    """Heights of letters, shape (length, 4)."""
    try:
        heights = np.asarray(what, dtype=float)
    except (TypeError, ValueError) as error:
        raise InputError(f"heights: expected numbers, found {found(what)}") from error
    if heights.ndim != 1:
        return heights
    if not isinstance(sequence, str) or len(sequence) != len(heights):
        raise InputError(
            f"sequence: expected the {len(heights)} letters whose heights these are, found "
            + found(sequence)
        )
    codes = encode(sequence)
    drawn = np.zeros((len(heights), 4))
    known = np.flatnonzero(codes < N)
    drawn[known, codes[known]] = heights[known]
    return drawn


@writes("plot")
def plot_locus(locus: Locus, *, out: PathLike | None = None) -> Figure:
    """Draw a locus of `explain_locus`: the score along it, letters, mutants, motifs.

    Parameters
    ----------
    locus : Locus
    out : path, optional
        Write it too: ``….png``, ``….svg`` or ``….pdf``.

    Examples
    --------
    >>> import cistransfer as ct
    >>> locus = ct.explain_locus("trunk", "chr1:1,001-1,060", "data/genome.fa", task="SPI1",
    ...                          shuffles=2)
    >>> drawn = ct.plot_locus(locus, out="locus.svg")
    """
    if not isinstance(locus, Locus):
        raise InputError(f"locus: expected what explain_locus gives, found {found(locus)}")
    return _shown(draw_locus(locus), out)


def _shown(made: Figure, out: PathLike | None) -> Figure:
    """A figure that a notebook shows, written where that is asked for."""
    if out is not None:
        save(made, as_path(out, "out"))
    made._repr_png_ = lambda: as_png(made)  # type: ignore[attr-defined]
    return made
