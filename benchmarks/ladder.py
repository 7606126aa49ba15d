"""The ladder: everything a model has to beat, on one TF at several training sizes, in one command.

    python benchmarks/ladder.py --matrix M.h5 --genome SEQUENCES --trunk RUN --motifs JASPAR.meme \
        --tfs HNF4A,TEAD4 --sizes 50,500,all --draws 3 --out FOLDER

For each TF and size, bound regions are drawn outside the trunk's test chromosomes (a size counts
training and validation together; ``all`` is one draw), negatives are GC-matched one to one, the
default strategy is trained without and with the TF's motifs, and `cistransfer evaluate` puts every
baseline beside them. The test part keeps all bound regions of the test chromosomes at every size;
its GC-matched negatives are drawn anew in every draw.

Each evaluation is kept (FOLDER/TF-SIZE-DRAW); a stopped run goes on where it was. Printed, and
written to FOLDER/ladder.md: the mean over draws with its range, and the 95 % interval of the first
draw over blocks of neighbouring test regions. FOLDER/results.tsv is for `cistransfer compare`.
"""

from __future__ import annotations

import argparse
import shutil
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd

from cistransfer.errors import InputError
from cistransfer.evaluation.baselines import BASELINES, mode_motifs
from cistransfer.evaluation.runs import evaluate_runs
from cistransfer.examples.draw import Matched
from cistransfer.examples.make import examples_for
from cistransfer.examples.sources import FromMatrix
from cistransfer.models.bundle import open_bundle
from cistransfer.motifs.files import read_motifs
from cistransfer.motifs.names import given_motifs
from cistransfer.storage import read_json, write_text
from cistransfer.training.finetune import finetune

ROWS = {
    "prevalence": "prevalence",
    "gc": "GC content",
    "pwm": "the TF's JASPAR motif, untrained",
    "mode-motif": "best motif of its binding mode",
    "denovo": "de novo motif",
    "kmer": "k-mers with mismatches",
    "sibling": "nearest output of the trunk, untrained",
    "probe": "probe on the trunk's features",
    "scratch": "the network from scratch, early stopping",
    "scratch-whole": "the network from scratch, ten passes",
    "default": "**default, without known motifs**",
    "default+motif": "**default, with the TF's JASPAR motifs**",
}


def evaluate_one(
    options: argparse.Namespace, tf: str, size: str, draw: int, folder: Path
) -> dict[str, Any]:
    """Train and evaluate everything on one draw."""
    trunk = open_bundle(options.trunk)
    pwms = read_motifs(options.motifs)
    examples = examples_for(
        FromMatrix(options.matrix, tf, options.genome),
        trunk,
        draw=Matched(positives=None if size == "all" else int(size)),
        seed=draw,
    )
    work = folder.with_name(folder.name + "-runs")
    runs = []
    for name, given in (("default", []), ("default+motif", given_motifs(tf, pwms).pwms)):
        finetune(work / name, examples, trunk, motifs=given, seed=draw)
        runs.append(f"{name}={work / name}")
    finetune(work / "scratch-whole", examples, None, strategy="scratch-whole", seed=draw)
    runs.append(f"scratch-whole={work / 'scratch-whole'}")
    baselines = ["prevalence", "gc", "motif", "denovo", "kmer", "probe", "scratch"]
    try:
        mode_motifs(tf, pwms)
        baselines.insert(3, "mode-motif")
    except InputError as error:
        print(f"{tf}: {error}", flush=True)
    assert set(baselines) <= set(BASELINES)
    result = evaluate_runs(
        folder, runs, baselines=baselines, pwms=pwms, trunk=options.trunk, draws=1000
    )
    shutil.rmtree(work)
    return result


def main() -> None:
    """Run the ladder and print its table."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    for name in ("matrix", "genome", "trunk", "motifs", "out"):
        parser.add_argument(f"--{name}", type=Path, required=True)
    parser.add_argument("--tfs", required=True)
    parser.add_argument("--sizes", default="50,500,all")
    parser.add_argument("--draws", type=int, default=3)
    options = parser.parse_args()
    rows: list[dict[str, Any]] = []
    for tf in options.tfs.split(","):
        if tf in open_bundle(options.trunk).tasks:
            raise SystemExit(f"{tf} is in the trunk; leave it out of pre-training first")
        for size in options.sizes.split(","):
            for draw in range(options.draws if size != "all" else 1):
                folder = options.out / f"{tf}-{size}-{draw}"
                result = (
                    read_json(folder / "metrics.json")
                    if (folder / "metrics.json").exists()
                    else evaluate_one(options, tf, size, draw, folder)
                )
                for model in result.models:
                    trained = model.strategy if model.run is None else model.name
                    row = {"tf": tf, "size": size, "draw": draw, "strategy": trained}
                    rows.append({**row, **model.tasks[tf].to_json()})
                print(f"{tf} {size} draw {draw}: done", flush=True)
    results = pd.DataFrame(rows).drop(columns="why")
    write_text(options.out / "results.tsv", results.to_csv(sep="\t", index=False))
    text = "\n".join(table(part, tf) for tf, part in results.groupby("tf", sort=False))
    write_text(options.out / "ladder.md", text)
    print(text)


def table(results: pd.DataFrame, tf: str) -> str:
    """One TF's ladder in Markdown: a row per rung, columns per size."""
    sizes = list(dict.fromkeys(results["size"]))
    first = results.iloc[0]
    head = [f"**{tf}**, {first['positives']:,.0f} bound of {first['n']:,.0f} test windows"]
    for size in sizes:
        head += [f"AUCPR, {size}", "95 % interval", "at 1:10", "AUROC"]
    lines = ["| " + " | ".join(head) + " |", "|---" * len(head) + "|"]
    for name, words in ROWS.items():
        if name not in set(results["strategy"]):
            continue
        cells = [words]
        for size in sizes:
            part = results[(results["strategy"] == name) & (results["size"] == size)]
            values = part["aucpr"].to_numpy()
            spread = f" ({values.min():.3f}–{values.max():.3f})" if np.ptp(values) > 0 else ""
            low, high = part.iloc[0][["aucpr_block_low", "aucpr_block_high"]]
            cells += [f"{values.mean():.3f}{spread}", f"{low:.2f}–{high:.2f}"]
            cells += [f"{part['aucpr_1to10'].mean():.2f}", f"{part['auroc'].mean():.3f}"]
        lines.append("| " + " | ".join(cells) + " |")
    return "\n".join(lines) + "\n"


if __name__ == "__main__":
    main()
