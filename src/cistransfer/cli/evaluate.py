"""``cistransfer evaluate``: models on identical held-out examples."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

from cistransfer.cli.command import say
from cistransfer.cli.groups import Device, OwnNetworks
from cistransfer.cli.verb import Done
from cistransfer.options import option

__all__ = ["evaluate"]

_WITH_MOTIFS = ("baselines=motif", "baselines=mode-motif", "baselines=stack")


@dataclass(frozen=True)
class Evaluated:
    """What is evaluated."""

    runs: tuple[str, ...] = option(positional=True, path=True, help="Run folders, or NAME=FOLDER.")
    out: Path = option(help="Evaluation folder.")
    examples: Path | None = option(None, help="Example set [default: the one the runs share].")
    part: str = option("test", choices=("test", "valid", "train"), help="test, valid or train.")
    protocol: str = option(
        "own",
        flag="--as",
        choices=("own", "published"),
        help="own: both strands, each model's own threshold and temperature; published: the "
        "forward strand, called above a probability of 0.5.",
    )
    resamples: int | None = option(
        None,
        min=0,
        help="Resamples for the intervals of the AUCPR; 0: none [default: 1000; with more than ten "
        "tasks none].",
    )
    allow_seen: bool = option(False, help="Evaluate on regions a model was trained on.")


@dataclass(frozen=True)
class Baselines:
    """What the models have to beat."""

    baselines: tuple[str, ...] = option(
        (),
        help="Comma list of baselines, fitted on the training part: prevalence, gc, motif, "
        "mode-motif, denovo, kmer, lsgkm; with --trunk probe and stack; scratch.",
    )
    motifs: Path | None = option(
        None,
        needs=_WITH_MOTIFS,
        help="Motifs of any format, or jaspar for the baselines 'motif', 'mode-motif', 'stack'.",
    )
    modes: str | None = option(
        None,
        path=True,
        needs=("baselines=mode-motif",),
        help="Binding modes for 'mode-motif' (TSV, TFClass OBO, CIS-BP TSV, motifs) [default: "
        "--motifs, clustered].",
    )
    trunk: str | None = option(
        None,
        path=True,
        help="Also read this trunk's own output, of the TF or its nearest sibling; baselines "
        "'probe' and 'stack' read its features.",
    )


def evaluate(what: Evaluated, against: Baselines, device: Device, networks: OwnNetworks) -> Done:
    """Evaluate models on identical examples; thresholds come from each model's validation part.

    Runs that are folds of one test part (--fold) are evaluated on it together.
    """
    from cistransfer.api.results import evaluate as evaluate_runs
    from cistransfer.motifs.files import read_motifs

    networks.register()
    pwms = read_motifs(against.motifs) if against.motifs is not None else None
    used = {} if pwms is None else {"motifs": pwms.facts.said()}
    say(*used.values())
    found = evaluate_runs(
        what.runs,
        out=what.out,
        examples=what.examples,
        part=what.part,
        baselines=against.baselines,
        motifs=pwms,
        modes=against.modes,
        trunk=against.trunk,
        protocol=what.protocol,
        resamples=what.resamples,
        allow_seen=what.allow_seen,
        device=device.device,
    )
    rows = max(score.n for model in found.models for score in model.tasks.values())
    line = f"examples: {rows:,} windows of the {found.part} part ({found.examples[:19]}…)"
    told = {"what": "examples", "rows": rows, "examples": found.examples, "line": line}
    return Done(
        found.to_json(),
        [line, *found.lines()],
        written=[what.out],
        used={**used, "inputs": [told]},
    )
