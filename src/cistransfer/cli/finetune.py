"""``cistransfer finetune``: a model for one TF, from a trunk or from scratch."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from cistransfer.cli.command import say
from cistransfer.cli.groups import Device, FromSet, Precision, Seed, is_python, is_toml, used_by
from cistransfer.cli.plan import goes_with
from cistransfer.cli.verb import Done, verb
from cistransfer.errors import InputError
from cistransfer.examples.draw import Matched
from cistransfer.examples.holdout import HoldOutOptions
from cistransfer.examples.sources import FromFasta, FromMatrix, FromPeaks, FromRegions
from cistransfer.options import option

if TYPE_CHECKING:
    from cistransfer.examples.dataset import ExampleSet
    from cistransfer.models.bundle import Bundle
    from cistransfer.motifs.pwm import PWM

__all__ = ["finetune", "register"]


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

    def open_trunk(self) -> Bundle | None:
        """The trunk; None for a network from scratch."""
        from cistransfer.models.bundle import open_bundle
        from cistransfer.models.user_file import is_file_spec

        if self.trunk == "scratch":
            return None
        if self.architecture and not is_file_spec(self.architecture):
            raise InputError(
                "--architecture NAME goes with --trunk scratch; a trunk brings its own"
            )
        return open_bundle(self.trunk, self.architecture)

    def network(self) -> dict[str, Any]:
        """What a network from scratch is made of."""
        from cistransfer.models.registry import read_arguments

        name = self.architecture or "cnn"
        read = read_arguments(name, self.settings) if self.settings else None
        return {"architecture": name, "arguments": read}


@dataclass(frozen=True)
class Motifs:
    """Motifs."""

    motifs: Path | None = option(
        None, help="Motifs of any format, or jaspar; the TF's are read by the head too."
    )
    motif_tf: str | None = option(
        None, needs=("motifs",), help="Whose motifs to take from --motifs [default: the TF's]."
    )

    def of(self, tf: str) -> tuple[Sequence[PWM], list[str]]:
        """The one motif of the file, or the TF's; and what was taken, in words."""
        from cistransfer.motifs.names import given_motifs

        if self.motifs is None:
            return (), []
        found = given_motifs(self.motif_tf or tf, self.motifs)
        return found.pwms, found.lines()


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
    from cistransfer.examples.dataset import counts, open_examples
    from cistransfer.examples.make import examples_for
    from cistransfer.training.finetune import finetune as train

    network, trunk = start.network(), start.open_trunk()
    if isinstance(source, FromSet):
        assert seen is not None
        guard, data = seen.guard, open_examples(source.examples)
    else:
        assert holdout is not None
        if trunk is None and holdout.guard is not None:
            raise InputError("--guard has no meaning with --trunk scratch; drop it")
        guard, held = holdout.guard, holdout.hold_out(trunk, seed.seed)
        data = examples_for(source, trunk, holdout=held, draw=draw, seed=seed.seed)
    say(*data.notes())
    table = counts(data)
    for part, tasks in table.items():
        bound = sum(row["bound"] for row in tasks.values())
        unbound = sum(row["unbound"] for row in tasks.values())
        say(f"{part}: {bound:,} bound, {unbound:,} unbound")
    pwms, taken = motifs.of(data.tasks[0])
    say(*taken)
    bundle = train(
        start.out,
        data,
        trunk,
        strategy=start.strategy,
        **network,
        motifs=pwms,
        guard=guard,
        seed=seed.seed,
        device=device.device,
        precision=precision.precision,
    )
    return _done(start.out, data, bundle, table, taken)


def _done(
    out: Path, data: ExampleSet, bundle: Bundle, table: dict[str, Any], motifs: list[str]
) -> Done:
    """What is said and recorded of a model."""
    known = [value for value in bundle.card.validation["aucpr"] if value is not None]
    aucpr = sum(known) / len(known)
    return Done(
        {
            "bundle": str(bundle.path),
            "tasks": list(bundle.tasks),
            "strategy": bundle.card.strategy.name,
            "examples": data.content_hash(),
            "counts": table,
            "dropped": data.facts.get("dropped"),
            "split": data.facts.get("split"),
            "epochs": bundle.card.epochs,
            "validation_aucpr": aucpr,
        },
        [
            f"model: {bundle.path}",
            f"validation AUCPR {aucpr:.3f} "
            f"(evaluate on the test part with 'cistransfer evaluate {out} --out …')",
        ],
        written=[out],
        used={**used_by(bundle, data), **({"motifs": motifs} if motifs else {})},
    )


def register(app: typer.Typer) -> None:
    """Add the verb to the application."""
    verb(app, "finetune", finetune)
