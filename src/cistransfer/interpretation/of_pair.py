"""The step that compares two models' attributions at motif sites."""

from __future__ import annotations

import os
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from cistransfer.errors import InputError, nearest
from cistransfer.figures import BOTH, save
from cistransfer.interpretation import site_figures
from cistransfer.interpretation.of_sequences import sites_of
from cistransfer.interpretation.shared import Run
from cistransfer.interpretation.two_models import TwoModels, compare_models, contrasting_loci
from cistransfer.models.bundle import Bundle, open_bundle
from cistransfer.models.score import score_codes
from cistransfer.progress import bar
from cistransfer.storage import whole_file
from cistransfer.tables import write_tsv

__all__ = ["Other", "open_other", "write_comparison"]

_FOCUS = 3  # motifs of each end whose distributions are drawn


@dataclass(frozen=True)
class Other:
    """The other model; ``task`` is None where it is not clear which of its tasks to take."""

    bundle: Bundle
    task: int | None
    names: tuple[str, str]


def open_other(
    bundle: Bundle,
    task: int,
    path: str | os.PathLike[str],
    other_task: str | None,
    needed: bool,
) -> Other:
    """Open the model to compare with, and find the task that answers to ``task``.

    Raises
    ------
    InputError
        When the windows differ, a named task is not there, or (``needed``) none can be told.
    """
    other = open_bundle(path)
    if other.window != bundle.window:
        raise InputError(
            f"{other.path}: reads {other.window} bp; the model reads {bundle.window} bp"
        )
    wanted = other_task if other_task is not None else bundle.tasks[task]
    number: int | None = None
    if wanted in other.tasks:
        number = other.tasks.index(wanted)
    elif other_task is not None:
        raise InputError(f"{other.path}: no task {wanted!r}; {nearest(wanted, other.tasks)}")
    elif len(other.tasks) == 1:
        number = 0
    elif needed:
        raise InputError(
            f"{other.path}: the other model has {len(other.tasks)} tasks and none is {wanted!r}; "
            f"name one with --other-task ({nearest(wanted, other.tasks)})"
        )
    other.model.to(next(bundle.model.parameters()).device)
    names = _names(bundle, task, other, number or 0)
    return Other(other, number, (names[0], names[1]))


def write_comparison(
    run: Run,
    other: Other,
    explain: dict[str, Any],
    hits: str | os.PathLike[str] | None,
    min_sites: int,
    hit_p: float,
) -> dict[str, Any]:
    """Write ``comparison.tsv``, both models' attributions and the figures."""
    if other.task is None:
        return {
            "note": f"not compared: none of the {len(other.bundle.tasks)} tasks of "
            f"{other.bundle.path} is {run.bundle.tasks[run.task]}; name one with --other-task"
        }
    with bar("scoring (other model)", len(run.material.codes)) as running:
        logits = score_codes(other.bundle.model, run.material.codes, tick=running.advance)
    of_a = run.logits[:, run.task] >= run.bundle.thresholds[run.task]
    of_b = logits[:, other.task] >= other.bundle.thresholds[other.task]
    rows = run.sample(np.flatnonzero(of_a | of_b), run.most)
    codes = np.asarray(run.material.codes[rows])
    sites, where = sites_of(run, rows, hits, hit_p)
    found = compare_models(
        run.bundle.model, other.bundle.model, codes, tasks=(run.task, other.task), sites=sites,
        min_sites=min_sites, **explain,
    )  # fmt: skip
    write_tsv(run.out / "comparison.tsv", found.table)
    with (
        whole_file(run.out / "comparison.npz") as temporary,
        open(temporary, "wb") as handle,
    ):
        np.savez_compressed(
            handle, codes=codes, contributions_a=found.contributions_a,
            contributions_b=found.contributions_b,
        )  # fmt: skip
    table = found.table
    summary: dict[str, Any] = {
        "a": other.names[0],
        "b": other.names[1],
        "sequences": len(rows),
        "positive_in_a": int(of_a[rows].sum()),
        "positive_in_b": int(of_b[rows].sum()),
        "sites": len(sites),
        "from": where,
        "motifs_tested": len(table),
        "significant_difference": int((table["q_difference"] < 1e-3).sum()),
        "more_in_a": _names_of(found, 1),
        "more_in_b": _names_of(found, -1),
    }
    if len(table):
        _draw(run, found, other.names, codes, rows)
    else:
        summary["note"] = f"no motif has {min_sites} sites in {len(rows)} sequences"
    return summary


def _draw(
    run: Run,
    found: TwoModels,
    names: tuple[str, str],
    codes: NDArray[np.uint8],
    rows: NDArray[np.int64],
) -> None:
    table, sites = found.table, found.sites
    save(site_figures.draw_two_models(table, names), run.out / "comparison", BOTH)
    titles = {"a": names[0], "b": names[1], "difference": f"{names[0]} − {names[1]}"}
    ranked = {
        title: table.rename(columns={f"d_{suffix}": "d", f"q_{suffix}": "q"})[["motif", "d", "q"]]
        for suffix, title in titles.items()
    }
    save(site_figures.draw_enrichment(ranked), run.out / "comparison_ranks", BOTH)
    focus = list(dict.fromkeys([*table["motif"].head(_FOCUS), *table["motif"].tail(_FOCUS)]))
    scores = dict(
        zip(
            titles.values(),
            (sites[column].to_numpy() for column in ("score_a", "score_b", "difference")),
            strict=True,
        )
    )
    save(site_figures.draw_ecdfs(sites, scores, focus), run.out / "comparison_ecdf", BOTH)
    loci = contrasting_loci(found)
    if len(loci):
        places = [run.material.names[rows[at]] for at in loci["sequence"]]
        drawn = site_figures.draw_loci(
            codes, (found.contributions_a, found.contributions_b), loci, places, names
        )
        save(drawn, run.out / "comparison_loci", BOTH)


def _names_of(found: TwoModels, side: int) -> list[str]:
    """The five motifs most on one side, of those that differ significantly."""
    table = found.table[found.table["q_difference"] < 1e-3]
    value = table["d_difference"] * side
    return [str(name) for name in table.loc[value[value > 0].nlargest(5).index, "motif"]]


def _names(bundle: Bundle, task: int, other: Bundle, other_task: int) -> list[str]:
    """What figures call two models: their tasks where these differ, else their run folders."""
    tasks = [bundle.tasks[task], other.tasks[other_task]]
    if tasks[0] != tasks[1]:
        return tasks
    names = []
    for each in (bundle, other):
        folder = each.path.resolve()
        names.append(folder.parent.name if folder.name == "bundle" else folder.name)
    return names if names[0] != names[1] else [f"{names[0]} (A)", f"{names[1]} (B)"]
