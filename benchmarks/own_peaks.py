"""A user's own peaks, from the trunk in the box: seconds, and AUCPR beside simple baselines.

    python benchmarks/own_peaks.py --data ../shared/data

HepG2 HNF4A peaks inside 19 Mb of hg38; open regions are the peaks of six other TFs.
"""

from __future__ import annotations

import argparse
import tempfile
import time
from pathlib import Path

import pandas as pd

from cistransfer.evaluation.runs import evaluate_runs
from cistransfer.examples.make import examples_for
from cistransfer.examples.sources import FromPeaks
from cistransfer.genome.bed import read_bed
from cistransfer.genome.fasta import open_sequences
from cistransfer.models.bundle import open_bundle
from cistransfer.motifs.files import read_motifs
from cistransfer.motifs.names import given_motifs
from cistransfer.training.finetune import finetune

OTHERS = ("GM12878.EGR1", "GM12878.SPI1", "HCT116.JUND", "K562.MAX", "HepG2.FOXA1", "K562.MYC")


def main() -> None:
    """Train, evaluate, print."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--data", type=Path, required=True)
    data = parser.parse_args().data
    peaks = data / "encode-peaks-hg38"
    pwms = read_motifs(data / "motifs" / "JASPAR2020_CORE_vertebrates_non-redundant.meme")
    others = pd.concat([read_bed(peaks / f"{name}.narrowPeak.gz") for name in OTHERS])
    genome = open_sequences(data / "genome" / "hg38_blocks.fa.gz")
    began = time.monotonic()
    trunk = open_bundle("general")
    source = FromPeaks(
        peaks / "HepG2.HNF4A.narrowPeak.gz",
        genome,
        others[["chrom", "start", "end"]].reset_index(drop=True),
        "HNF4A",
    )
    examples = examples_for(source, trunk)
    with tempfile.TemporaryDirectory() as folder:
        run = Path(folder) / "transfer"
        finetune(run, examples, trunk, motifs=given_motifs("HNF4A", pwms).pwms)
        print(f"examples and model: {time.monotonic() - began:.1f} s")
        finetune(Path(folder) / "scratch", examples, None)
        result = evaluate_runs(
            Path(folder) / "evaluation",
            [run, Path(folder) / "scratch"],
            baselines=["gc", "kmer", "denovo", "motif"],
            pwms=pwms,
        )
    for part in ("train", "valid", "test"):
        chroms = sorted(set(examples.regions.loc[examples.rows(part), "chrom"]))
        print(f"{part}: {len(examples.rows(part)) // 2} peaks on {', '.join(chroms)}")
    for model in result.models:
        row = model.tasks["HNF4A"]
        print(f"{model.name:<10} AUCPR {row['aucpr']:.3f}  at 1:10 {row['aucpr_1to10']:.3f}")


if __name__ == "__main__":
    main()
