"""What a study found, to read: a table in Markdown and figures."""

from __future__ import annotations

import os
from pathlib import Path

import pandas as pd

from cistransfer.evaluation.results import open_evaluation
from cistransfer.figures import save
from cistransfer.metrics.table import METRICS
from cistransfer.storage import write_text
from cistransfer.studies.accessibility_figures import gains, metrics_by_cell, train_against_test
from cistransfer.tables import markdown

__all__ = ["summarise_study", "write_overview"]

_PUBLISHED = ("weighted_f1", "f1", "f1_negative", "auroc", "aucpr", "mcc", "ece")


def _shown() -> list[str]:
    """The measures of Salvatore et al. 2023, then what summaries show besides."""
    summary = (name for name, metric in METRICS.items() if metric.shown == "summary")
    return list(dict.fromkeys((*_PUBLISHED, *summary)))


def summarise_study(results: pd.DataFrame) -> pd.DataFrame:
    """Mean over cells (and draws) of every model at each training size, on the test parts.

    Parameters
    ----------
    results : DataFrame
        Of `cistransfer.studies.accessibility.accessibility_study`.

    Returns
    -------
    DataFrame
        ``percent`` (text), ``model``, ``cells`` and the means of the metrics.
    """
    table = results[results["part"] == "test"]
    by_cell = table.groupby(["size", "strategy", "tf"], sort=False)[_shown()].mean()
    means = by_cell.groupby(["size", "strategy"], sort=False).mean()
    means.insert(0, "cells", by_cell.groupby(["size", "strategy"], sort=False).size())
    means = means.reset_index().sort_values("size", ascending=False, kind="stable")
    means["size"] = [f"{size:g}" for size in means["size"]]
    return means.rename(columns={"size": "percent", "strategy": "model"}).reset_index(drop=True)


def write_overview(folder: str | os.PathLike[str], results: pd.DataFrame) -> str:
    """Write ``summary.md`` and ``figures/*.png`` (and SVG) of a study; return the summary.

    The figures: every metric by cell, the gain of the first transferred model over models
    from scratch and multi-class, training against held-out chromosomes.
    """
    place = Path(folder)
    test = results[results["part"] == "test"]
    percents = sorted(test["size"].unique(), reverse=True)
    lines = [
        "Mean over cells, held-out chromosomes:",
        "",
        markdown(summarise_study(results)),
        "",
    ]
    for metric in ("weighted_f1", "auroc", "aucpr"):
        whole = test[test["size"] == percents[0]]
        wide = whole.pivot_table(index="tf", columns="strategy", values=metric, sort=False)
        wide = wide[list(dict.fromkeys(whole["strategy"]))].rename_axis("cell").reset_index()
        lines += [f"{metric}, {percents[0]:g} % of the training set:", "", markdown(wide), ""]
    if (place / "pretrained" / "metrics.json").exists():
        rows = [
            {"model": model.name, **{name: model.tasks["open"][name] for name in _shown()}}
            for model in open_evaluation(place / "pretrained").models
        ]
        lines += ["Open against background, held-out chromosomes:", ""]
        lines.append(markdown(pd.DataFrame(rows)))
    text = "\n".join(lines) + "\n"
    figures = {
        "metrics": metrics_by_cell(results),
        "train-against-test": train_against_test(results),
    }
    names = list(dict.fromkeys(test["strategy"]))
    scratch = [name for name in names if name.startswith("scratch")]
    others = tuple(name for name in (*scratch, "multi-class") if name in names)
    if others and names[0] not in others:
        figures["gain"] = gains(results, names[0], others)
    for name, made in figures.items():
        save(made, place / "figures" / name, ("png", "svg"))
    write_text(place / "summary.md", text)
    return text
