"""What it costs to have no open regions: negatives from tiles of the genome instead.

    python benchmarks/without_open_regions.py --data ../shared/data

ENCODE peaks inside 19 Mb of hg38, the trunk in the box, known motifs. Both models of a TF learn
from the same peaks, one against open regions without a peak (the peaks of the other TFs), one
against tiles of the genome; both are tested on held-out peaks against open regions and tiles.
"""

from __future__ import annotations

import argparse
import tempfile
from dataclasses import replace
from pathlib import Path

import numpy as np
import pandas as pd

from cistransfer.evaluation.runs import evaluate_runs
from cistransfer.examples.dataset import ExampleSet, save_examples
from cistransfer.examples.draw import Matched
from cistransfer.examples.holdout import HoldOut
from cistransfer.examples.make import examples_for
from cistransfer.examples.sources import FromPeaks
from cistransfer.examples.split import Split
from cistransfer.genome.bed import read_bed
from cistransfer.genome.fasta import open_sequences
from cistransfer.models.bundle import open_bundle
from cistransfer.motifs.files import read_motifs
from cistransfer.motifs.names import given_motifs
from cistransfer.training.finetune import finetune

TFS = ("HepG2.HNF4A", "HepG2.FOXA1", "GM12878.SPI1", "HCT116.JUND")
HELD_OUT = Split(valid=("chr9",), test=("chr17",))


def main() -> None:
    """Train, evaluate, print."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--data", type=Path, required=True)
    parser.add_argument("--tfs", nargs="*", default=TFS)
    arguments = parser.parse_args()
    data = arguments.data
    pwms = read_motifs(data / "motifs" / "JASPAR2020_CORE_vertebrates_non-redundant.meme")
    genome = open_sequences(data / "genome" / "hg38_blocks.fa.gz")
    trunk = open_bundle("general")
    files = sorted((data / "encode-peaks-hg38").glob("*.narrowPeak.gz"))
    place = ["chrom", "start", "end"]
    every = {file.name.split(".narrowPeak")[0]: read_bed(file) for file in files}
    opened = pd.concat([table[place] for table in every.values()], ignore_index=True)
    rows = []
    for name in arguments.tfs:
        tf = name.split(".")[1]
        sets: dict[str, ExampleSet] = {}
        for negatives, regions in (("open regions", opened), ("tiles", None)):
            source = FromPeaks(every[name], genome, regions, tf)
            held = HoldOut.of(trunk, HELD_OUT)
            sets[negatives] = examples_for(source, trunk, holdout=held, draw=Matched(1.0))
        known = given_motifs(tf, pwms).pwms
        with tempfile.TemporaryDirectory() as folder:
            runs = []
            for negatives, examples in sets.items():
                run = Path(folder) / negatives.replace(" ", "-")
                finetune(run, examples, trunk, motifs=known)
                runs.append(run)
            for tested, examples in sets.items():
                save_examples(Path(folder) / "set", replace(examples, facts={**examples.facts}))
                found = evaluate_runs(
                    Path(folder) / "evaluation", runs, examples=Path(folder) / "set", draws=0
                )
                for trained, model in zip(sets, found.models, strict=True):
                    rows.append((tf, trained, tested, model.tasks[tf]["aucpr"]))
        n = int((sets["tiles"].labels[sets["tiles"].rows("train")] == 1).sum())
        print(f"{tf}: {n} peaks train", flush=True)
    table = pd.DataFrame(rows, columns=["tf", "trained against", "tested against", "aucpr"])
    shown = table.pivot_table(index="tf", columns=["tested against", "trained against"])
    print(shown.round(3).to_string())
    print("mean", shown.mean().round(3).to_dict(), "n", len(np.unique(table["tf"])))


if __name__ == "__main__":
    main()
