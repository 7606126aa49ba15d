"""``cistransfer finetune``: a model for one TF, from a trunk or from scratch."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

from cistransfer.cli.groups import Device, FromSet, Precision, Seed, is_python, is_toml, used_by
from cistransfer.cli.plan import goes_with
from cistransfer.cli.verb import Done
from cistransfer.examples.draw import Matched
from cistransfer.examples.holdout import HoldOutOptions
from cistransfer.examples.sources import FromFasta, FromMatrix, FromPeaks, FromRegions
from cistransfer.options import option

if TYPE_CHECKING:
    from cistransfer.examples.dataset import ExampleSet
    from cistransfer.models.bundle import Bundle

__all__ = ["finetune"]


@dataclass(frozen=True)
class Start:
    """Model."""

    trunk: str = option(
        path=lambda text: text != "scratch", help="Trunk (run folder or bundle), or 'scratch'."
    )
    out: Path = option(help="Run folder.")
    strategy: str | None = option(
        None, path=is_toml, help="Strategy or TOML file [default: finetune; scratch: scratch]."
    )
    architecture: str | None = option(
        None,
        path=is_python,
        help="Network from scratch: see 'cistransfer models', or FILE.py:CLASS [default: cnn]; "
        "with a trunk, the file of one whose network is your own.",
    )
    settings: tuple[str, ...] = option(
        (),
        flag="--set",
        repeat=True,
        metavar="KEY=VALUE",
        needs=("trunk=scratch",),
        help="Argument of the architecture, such as variant=paper (repeatable).",
    )

    def network(self) -> dict[str, Any]:
        """What a network from scratch is made of."""
        from cistransfer.models.registry import read_arguments

        read = None
        if self.settings:
            read = read_arguments(self.architecture or "cnn", self.settings)
        return {"architecture": self.architecture, "arguments": read}


@dataclass(frozen=True)
class Motifs:
    """Motifs."""

    motifs: Path | None = option(
        None, help="Motifs of any format, or jaspar; the TF's are read by the head too."
    )
    motif_tf: str | None = option(
        None, needs=("motifs",), help="Whose motifs to take from --motifs [default: the TF's]."
    )


@dataclass(frozen=True)
class AllowSeen:
    """Training, validation and test."""

    guard: str | None = option(
        None, choices=("off",), help="Of --examples: off trains although the trunk has seen them."
    )


def finetune(
    start: Start,
    source: Annotated[
        FromPeaks | FromMatrix | FromFasta | FromRegions | FromSet, "source of examples"
    ],
    draw: Annotated[Matched | None, goes_with(FromPeaks, FromMatrix)],
    holdout: Annotated[
        HoldOutOptions | None, goes_with(FromPeaks, FromMatrix, FromFasta, FromRegions)
    ],
    seen: Annotated[AllowSeen | None, goes_with(FromSet)],
    motifs: Motifs,
    seed: Seed,
    device: Device,
    precision: Precision,
) -> Done:
    """Fine-tune a trunk for one TF of a matrix (--matrix, --tf) or for your own peaks (--peaks).

    Or for one class of your own sequences or regions against the others: --fasta or --labelled with
    --positive.

    The split is the trunk's unless you name another one. '--trunk scratch' is the control; give it
    '--examples RUN/examples' to train on exactly the examples of another run.
    """
    from cistransfer.api.learn import finetune as train
    from cistransfer.examples.dataset import open_examples
    from cistransfer.motifs.files import read_motifs
    from cistransfer.motifs.names import given_motifs

    pwms = None if motifs.motifs is None else read_motifs(motifs.motifs)
    bundle = train(
        source.examples if isinstance(source, FromSet) else source,
        trunk=start.trunk,
        out=start.out,
        strategy=start.strategy,
        **start.network(),
        motifs=pwms,
        motif_tf=motifs.motif_tf,
        split=None if holdout is None else holdout.split(seed.seed),
        guard=(holdout or seen or AllowSeen()).guard,
        draw=draw,
        seed=seed.seed,
        device=device.device,
        precision=precision.precision,
    )
    data = open_examples(start.out / "examples")
    taken = [] if pwms is None else given_motifs(motifs.motif_tf or data.tasks[0], pwms).lines()
    return _done(start.out, data, bundle, taken)


def _done(out: Path, data: ExampleSet, bundle: Bundle, motifs: list[str]) -> Done:
    """What is said and recorded of a model."""
    from cistransfer.examples.dataset import counts

    known = [value for value in bundle.card.validation["aucpr"] if value is not None]
    aucpr = sum(known) / len(known)
    return Done(
        {
            "bundle": str(bundle.path),
            "tasks": list(bundle.tasks),
            "strategy": bundle.card.strategy.name,
            "examples": data.content_hash(),
            "counts": counts(data),
            "dropped": data.facts.get("dropped"),
            "split": data.facts.get("split"),
            "epochs": bundle.card.epochs,
            "validation_aucpr": aucpr,
            "prevalence": bundle.card.prevalence,
            "evidence": bundle.card.evidence,
        },
        [
            f"model: {bundle.path}",
            f"validation AUCPR {aucpr:.3f} "
            f"(evaluate on the test part with 'cistransfer evaluate {out} --out …')",
        ],
        written=[out],
        used={**used_by(bundle, data), **({"motifs": motifs} if motifs else {})},
    )
