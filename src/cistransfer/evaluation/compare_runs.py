"""Compare evaluated runs: read them, make every table and figure that they allow, write them."""

from __future__ import annotations

import os
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import pandas as pd

from cistransfer.errors import InputError
from cistransfer.evaluation.compare import (
    compare,
    compare_groups,
    differences,
    recovery,
    summarise,
    summarise_recovery,
)
from cistransfer.evaluation.regions import compare_regions
from cistransfer.evaluation.tidy import (
    read_results,
    reference_of,
    shares_sizes,
    size_rank,
    tidy,
)
from cistransfer.figures import FORMATS, save
from cistransfer.metrics.table import display
from cistransfer.storage import Kind, check_folder, whole_folder, write_text
from cistransfer.tables import markdown, write_tsv

if TYPE_CHECKING:
    from matplotlib.figure import Figure

__all__ = ["compare_runs", "in_words"]

_TABLES = ["results", "comparison", "summary", "regions", "groups", "recovery", "recovery_by_tf"]
_FIGURES = ("boxes_by_tf", "boxes_by_size", "size_curve", "difference_by_size", "recovery")
_COMPARISON = Kind(
    "comparison",
    "comparison.md",
    (
        *(f"{name}.tsv" for name in _TABLES),
        *(f"{name}.{form}" for name in _FIGURES for form in FORMATS),
        "config.json",
    ),
)
_MOST_ROWS = 200  # nobody pastes more into a paper; the TSV has them all


def compare_runs(
    paths: Sequence[str | os.PathLike[str]],
    *,
    metric: str = "aucpr",
    reference: str | None = None,
    motif: str = "pwm",
    full: str = "full",
    by_size: bool | None = None,
    level: float = 0.95,
    draws: int = 1000,
    by_blocks: bool = False,
    seed: int = 0,
    out: str | os.PathLike[str] | None = None,
    figures: str = "png",
) -> dict[str, pd.DataFrame]:
    """Compare what evaluation folders or tables of results hold.

    Parameters
    ----------
    paths : sequence of path
        As in `cistransfer.evaluation.tidy.read_results`.
    reference : str, optional
        What every strategy is compared with, by its label or by a model's name in the evaluations;
        ``scratch`` by default where there is one.
    motif, full : str
        Anchors of the recovery, made when the results hold both.
    by_size : bool, optional
        As in `cistransfer.evaluation.compare.summarise`.
    level, seed
        Of the intervals.
    draws : int
        Resamples of the test regions, for evaluation folders with several models; 0 for none.
    by_blocks : bool
        Resample blocks of neighbouring regions, not single ones.
    out : path, optional
        Folder that receives the tables (``<name>.tsv``), ``comparison.md`` and the figures.
    figures : {"png", "svg", "pdf"}

    Returns
    -------
    dict of str to DataFrame
        ``results`` (tidy), ``comparison`` and ``summary``; where the results allow, ``regions``
        (`compare_regions`), ``groups`` (`compare_groups`) and ``recovery`` (summary over TFs).

    Raises
    ------
    InputError
        When there is nothing to compare, or ``out`` holds something else.
    """
    if out is not None:
        check_folder(out, _COMPARISON)
    if figures not in FORMATS:
        raise InputError(f"figures: {figures!r}; expected one of {', '.join(FORMATS)}")
    results = read_results(paths)
    tables = {"results": results}
    known = list(dict.fromkeys(results["strategy"].astype(str)))
    reference = reference_of(known, _label(results, reference))
    tables["comparison"] = compare(
        results, metric, reference, by_size=by_size, level=level, seed=seed
    )
    tables["summary"] = summarise(results, metric, by_size=by_size, level=level, seed=seed)
    options = {"draws": draws, "level": level, "seed": seed, "by_blocks": by_blocks}
    regions = _regions(paths, metric, reference, **options)
    if regions is not None:
        tables["regions"] = regions
    plain = tidy(results, metric, spread=())
    if len(known) > 2 and plain["draw"].nunique() + plain["seed"].nunique() > 2:
        tables["groups"] = compare_groups(results, metric)
    by_tf = None
    if {motif, full} < set(known):
        by_tf = recovery(results, metric, motif=motif, full=full)
        tables["recovery"] = summarise_recovery(by_tf, level=level, seed=seed)
    if out is not None:
        _write(out, tables, by_tf, metric, reference, level, figures, by_blocks)
    return tables


def _label(results: pd.DataFrame, name: str | None) -> str | None:
    """What a model of this name is called in the comparison; the name itself where it is one."""
    if name is None or "model" not in results or (results["strategy"] == name).any():
        return name
    found = results.loc[results["model"] == name, "strategy"].unique()
    return str(found[0]) if len(found) == 1 else name


def _regions(
    paths: Sequence[str | os.PathLike[str]], metric: str, reference: str, **options: Any
) -> pd.DataFrame | None:
    if not options["draws"]:
        return None
    frames = []
    for path in map(Path, paths):
        folder = path.parent if path.name == "metrics.json" else path
        if not (folder / "metrics.json").is_file():
            continue
        if not (folder / "predictions.parquet").is_file():
            continue
        rows = read_results([folder])
        strategies = list(dict.fromkeys(rows["strategy"]))
        if len(strategies) < 2:
            continue
        folds = rows.duplicated(["tf", "strategy"]).any()  # then models go by their own names
        own = reference if reference in strategies else reference_of(strategies)
        found = compare_regions(folder, metric, None if folds else own, **options)
        if len(paths) > 1:
            found.insert(0, "run", folder.absolute().name)
        frames.append(found)
    return pd.concat(frames, ignore_index=True) if frames else None


def in_words(
    tables: dict[str, pd.DataFrame],
    metric: str,
    reference: str,
    level: float,
    by_blocks: bool = False,
) -> str:
    """Word a comparison: every table under a sentence that says what it is."""
    share = f"{100 * level:g} %"
    name = display(metric)
    said = {
        "comparison": (
            f"{name} against {reference}. Differences are paired on TF, test regions, size and "
            f"draw; a TF is one observation where there are several (else a draw). Intervals: "
            f"{share} bootstrap over these. p: Wilcoxon signed-rank, adjusted by Bonferroni over "
            "the rows; Welch's test ignores the pairs."
        ),
        "summary": f"{name}, means over TFs with {share} bootstrap intervals.",
        "regions": (
            f"{name} on the test regions, with {share} intervals from resampling "
            f"{'blocks of neighbouring regions' if by_blocks else 'the regions'} (stratified): "
            "what other test regions would give, not other trainings."
        ),
        "groups": (
            "All strategies at once for each TF: Kruskal-Wallis over its draws, adjusted by "
            "Bonferroni over the rows."
        ),
        "recovery": (
            f"Recovery, ({name} − the motif's) / (with all peaks − the motif's), over TFs; TFs "
            "whose motif is nearly as good as all their peaks are left out (undefined)."
        ),
    }
    if "regions" in tables and (tables["comparison"]["pairs"] == 1).all():
        # one result each: only the regions say how sure the difference is
        said = {key: text for key, text in said.items() if key not in ("comparison", "summary")}
    return "\n".join(
        f"{text}\n\n{markdown(tables[key])}" for key, text in said.items() if key in tables
    )


def _write(
    out: str | os.PathLike[str],
    tables: dict[str, pd.DataFrame],
    by_tf: pd.DataFrame | None,
    metric: str,
    reference: str,
    level: float,
    figures: str,
    by_blocks: bool,
) -> None:
    worded = {name: table for name, table in tables.items() if len(table) <= _MOST_ROWS}
    with whole_folder(out, _COMPARISON) as place:
        for name, table in tables.items():
            write_tsv(place / f"{name}.tsv", table)
        if by_tf is not None:
            write_tsv(place / "recovery_by_tf.tsv", by_tf)
        for name, draw in _figures(tables["results"], by_tf, metric, reference).items():
            save(draw(), place / f"{name}.{figures}")
        write_text(place / "comparison.md", in_words(worded, metric, reference, level, by_blocks))


def _figures(
    results: pd.DataFrame, by_tf: pd.DataFrame | None, metric: str, reference: str
) -> dict[str, Callable[[], Figure]]:
    """Choose the figures that these results allow."""
    from cistransfer.evaluation import comparison_figures as draw

    table = tidy(results, metric, spread=())
    ranks = table["size"].map(size_rank).astype(float)
    sizes = set(ranks[np.isfinite(ranks)])
    found: dict[str, Callable[[], Figure]] = {}
    if len(sizes) < 2 or not shares_sizes(table):
        found["boxes_by_tf"] = lambda: draw.box_plots(results, metric, by="tf")
    else:
        found["boxes_by_size"] = lambda: draw.box_plots(results, metric, by="size")
        found["size_curve"] = lambda: draw.size_curve(results, metric)
    paired = (
        differences(results, metric, name, reference)["size"]
        for name in table["strategy"].unique()
        if name != reference
    )
    if any(np.isfinite(pair.map(size_rank).astype(float)).any() for pair in paired):
        found["difference_by_size"] = lambda: draw.difference_by_size(results, metric, reference)
    if by_tf is not None:
        numbered = by_tf[
            np.isfinite(by_tf["size"].map(size_rank).astype(float)) & by_tf["recovery"].notna()
        ]
        if len(numbered):
            found["recovery"] = lambda: draw.recovery_curve(by_tf)
    return found
