"""``cistransfer pretrain``: a trunk on many TFs, or on open chromatin."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

from cistransfer.cli.command import say
from cistransfer.cli.groups import Device, FromSet, Precision, Seed, is_python, is_toml, used_by
from cistransfer.cli.plan import goes_with
from cistransfer.cli.verb import Done
from cistransfer.examples.holdout import SplitOptions
from cistransfer.examples.sources import FromTFs
from cistransfer.options import option
from cistransfer.relatives.options import GroupOptions, Sources

if TYPE_CHECKING:
    from cistransfer.examples.dataset import ExampleSet
    from cistransfer.models.bundle import Bundle

__all__ = ["pretrain"]


@dataclass(frozen=True)
class Network:
    """Model."""

    out: Path = option(help="Run folder.")
    strategy: str = option(
        "pretrain", path=is_toml, help="pretrain, pretrain-published, or a TOML file."
    )
    architecture: str = option("cnn", path=is_python, help="See 'cistransfer models'.")
    settings: tuple[str, ...] = option(
        (),
        flag="--set",
        repeat=True,
        metavar="KEY=VALUE",
        help="Argument of the architecture, such as variant=paper (repeatable).",
    )
    motifs: Path | None = option(
        None, help="Motifs of any format, or jaspar, for strategies that start filters as motifs."
    )
    epochs: int | None = option(None, min=1, help="Most epochs.")


@dataclass(frozen=True)
class Choose:
    """TFs that are chosen."""

    target: str | None = option(
        None, help="Choose the TFs for this target (see 'cistransfer relatives')."
    )
    group: str | None = option(
        None,
        help="Group of TFs: relatives (default with --target), cofactors, co-binders, "
        "binding-mode …; general and most-resolved need no target.",
    )


def pretrain(
    network: Network,
    source: Annotated[FromTFs | FromSet, "source of examples"],
    choose: Annotated[Choose | None, goes_with(FromTFs)],
    choosing: Annotated[GroupOptions | None, goes_with("target", "group")],
    evidence: Annotated[Sources | None, goes_with("target", "group")],
    split: Annotated[SplitOptions | None, goes_with(FromTFs)],
    seed: Seed,
    device: Device,
    precision: Precision,
) -> Done:
    """Pre-train a network on several TFs of a binding matrix, or on an example set."""
    from cistransfer.api.learn import pretrain as train
    from cistransfer.examples.dataset import open_examples
    from cistransfer.models.registry import read_arguments
    from cistransfer.motifs.files import read_motifs

    pwms = None if network.motifs is None else read_motifs(network.motifs)
    taken = [] if pwms is None else [pwms.facts.said()]
    say(*taken)
    bundle = train(
        source.examples if isinstance(source, FromSet) else source,
        out=network.out,
        target=None if choose is None else choose.target,
        group=None if choose is None else choose.group,
        choosing=choosing,
        evidence=evidence,
        split=None if split is None else split.split(seed.seed),
        strategy=network.strategy,
        architecture=network.architecture,
        arguments=read_arguments(network.architecture, network.settings),
        epochs=network.epochs,
        motifs=pwms,
        seed=seed.seed,
        device=device.device,
        precision=precision.precision,
    )
    return _done(network.out, open_examples(network.out / "examples"), bundle, taken)


def _done(out: Path, data: ExampleSet, bundle: Bundle, motifs: list[str]) -> Done:
    """What is said and recorded of a trunk."""
    aucpr, auroc = (mean_known(bundle.card.validation[name]) for name in ("aucpr", "auroc"))
    return Done(
        {
            "bundle": str(bundle.path),
            "tasks": list(bundle.tasks),
            "regions": len(data.codes),
            "dropped": data.facts.get("dropped"),
            "split": data.facts.get("split"),
            "epochs": bundle.card.epochs,
            "validation_aucpr": aucpr,
            "validation_auroc": auroc,
        },
        [
            f"trunk: {bundle.path}",
            f"validation, mean over tasks: AUROC {auroc or float('nan'):.3f}, "
            f"AUCPR {aucpr or float('nan'):.3f}",
        ],
        written=[out],
        used={**used_by(bundle, data), **({"motifs": motifs} if motifs else {})},
    )


def mean_known(values: Sequence[float | None]) -> float | None:
    """Mean of the values that exist; None when none does."""
    known = [value for value in values if value is not None]
    return sum(known) / len(known) if known else None
