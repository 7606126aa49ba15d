"""Groups of options that several verbs share."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from cistransfer.cli.command import say
from cistransfer.options import option

if TYPE_CHECKING:
    import pandas as pd

    from cistransfer.examples.dataset import ExampleSet
    from cistransfer.models.bundle import Bundle

__all__ = [
    "GENOME",
    "Device",
    "Ensemble",
    "FromSet",
    "OneBundle",
    "OwnNetworks",
    "Precision",
    "Regions",
    "Seed",
    "Sequences",
    "WholeGenome",
    "is_python",
    "is_toml",
    "used_by",
]

GENOME = "Genome FASTA, or FASTA file or folder of windows."


def is_toml(text: str) -> bool:
    """Whether a text is a file of a strategy, not the name of one."""
    return text.endswith(".toml")


def is_python(text: str) -> bool:
    """Whether a text is ``FILE.py:CLASS``, not the name of an architecture."""
    return ".py:" in text


@dataclass(frozen=True)
class Seed:
    """Computing."""

    seed: int = option(0, min=0, max=2**63 - 1, help="Seed of everything random.")


@dataclass(frozen=True)
class Device:
    """Computing."""

    device: str = option("auto", help="auto, cpu, cuda, cuda:1 …")


@dataclass(frozen=True)
class Precision:
    """Computing."""

    precision: str = option("auto", help="auto (bf16 where that is faster), float32 or bf16.")


@dataclass(frozen=True)
class OneBundle:
    """Model."""

    bundle: str = option(
        positional=True,
        path=True,
        help="Run folder, bundle, packed file, hf:owner/name or trunk in the box.",
    )


@dataclass(frozen=True)
class Ensemble:
    """Models."""

    bundles: tuple[str, ...] = option(
        positional=True,
        path=True,
        help="Run folders, bundles, packed files or hf:owner/name; several are an ensemble, whose "
        "mean counts.",
    )


@dataclass(frozen=True)
class WholeGenome:
    """Genome."""

    genome: Path = option(help="Genome (FASTA or 2bit).")


@dataclass(frozen=True)
class OwnNetworks:
    """Model."""

    architecture: tuple[str, ...] = option(
        (),
        repeat=True,
        path=is_python,
        help="FILE.py:CLASS of a bundle whose network is your own (repeatable).",
    )

    def register(self) -> None:
        """Read the files, so that bundles find their networks."""
        from cistransfer.models.registry import register_architecture

        for spec in self.architecture:
            register_architecture(spec)


@dataclass(frozen=True)
class Regions:
    """Regions of a genome."""

    regions: Path = option(help="Regions (BED, narrowPeak …).")
    genome: Path = option(help=GENOME)
    columns: str | None = option(
        None,
        metavar="PART=COLUMN,…",
        help="Columns of --regions where its format is not known: chrom=1,start=2,end=3 (numbers "
        "or names).",
    )

    def table(self, keep: bool = False) -> pd.DataFrame:
        """The regions, with all their columns or those that are needed; says how they were read."""
        from cistransfer.genome.bed import read_bed

        read = read_bed(self.regions, self.columns, keep=keep)
        say(read.attrs["read"].line())
        return read


@dataclass(frozen=True)
class Sequences:
    """Sequences."""

    fasta: Path = option(help="FASTA of sequences.")


@dataclass(frozen=True)
class FromSet:
    """Examples: a set that was made before."""

    examples: Path = option(help="Example set of another run (RUN/examples).")


def used_by(bundle: Bundle, data: ExampleSet) -> dict[str, Any]:
    """What a training settled, for its record."""
    return {
        "examples": data.content_hash(),
        "tasks": list(bundle.tasks),
        "window": bundle.window,
        "split": data.facts.get("split"),
        "guard": data.facts.get("guard"),
        "assembly": data.facts.get("assembly"),
        "inputs": data.facts.get("inputs", []),
        "strategy": bundle.card.strategy.name,
        "architecture": bundle.card.architecture.model_dump(mode="json"),
        "device": bundle.card.device,
        "precision": bundle.card.precision,
    }
