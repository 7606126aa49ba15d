"""``cistransfer compare``: evaluated runs against each other, with intervals and tests."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

from cistransfer.cli.groups import Seed
from cistransfer.cli.verb import Done
from cistransfer.options import option

__all__ = ["compare"]


@dataclass(frozen=True)
class Comparison:
    """What is compared."""

    runs: tuple[Path, ...] = option(
        positional=True, help="Evaluation folders, study folders, or tables of results."
    )
    metric: str = option("aucpr", help="aucpr, aucpr_1to10, auroc, mcc …")
    reference: str | None = option(
        None,
        help="Strategy, or a model's name, to compare with [default: scratch, else the first].",
    )
    motif_strategy: str = option("pwm", help="Strategy that is the motif, for recovery.")
    full_strategy: str = option("full", help="Strategy with all peaks, for recovery.")
    by_size: bool | None = option(
        None,
        flag="--by-size/--pooled",
        help="A row per training size [default: where TFs share sizes].",
    )


@dataclass(frozen=True)
class Intervals:
    """Intervals."""

    confidence: float = option(0.95, help="Coverage of the intervals.")
    resamples: int = option(1000, min=0, help="Resamples of test regions; 0: none.")
    blocks: bool = option(False, help="Resample blocks of neighbouring test regions (1 Mb).")


@dataclass(frozen=True)
class Tables:
    """Output."""

    out: Path | None = option(None, help="Folder for tables, comparison.md and figures.")
    figure_format: str = option(
        "png", choices=("png", "svg", "pdf"), needs=("out",), help="png, svg or pdf, with --out."
    )


def compare(what: Comparison, intervals: Intervals, seed: Seed, tables: Tables) -> Done:
    """Compare strategies on equal TFs, test regions and draws; print the table for a paper."""
    from cistransfer.api.results import compare as compare_runs
    from cistransfer.evaluation.compare_runs import in_words
    from cistransfer.tables import records

    out = tables.out
    made = compare_runs(
        what.runs,
        metric=what.metric,
        reference=what.reference,
        motif_strategy=what.motif_strategy,
        full_strategy=what.full_strategy,
        by_size=what.by_size,
        confidence=intervals.confidence,
        resamples=intervals.resamples,
        blocks=intervals.blocks,
        seed=seed.seed,
        out=out,
        figure_format=tables.figure_format,
    )
    used = str(made["comparison"]["reference"].iloc[0])
    shown = {name: records(table) for name, table in made.items() if name != "results"}
    printed = {name: table for name, table in made.items() if name != "groups"}
    text = in_words(printed, what.metric, used, intervals.confidence, intervals.blocks).rstrip()
    return Done(
        {"metric": what.metric, "reference": used, "out": str(out) if out else None, **shown},
        [text, *([f"\nwritten: {out}"] if out else [])],
        written=[out] if out else [],
        used={"reference": used},
    )
