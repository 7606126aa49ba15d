"""Few peaks: strategies side by side on TFs that the trunk has never seen.

    python benchmarks/few_peaks.py --matrix M.h5 --genome SEQUENCES --trunk RUN --out FOLDER \
        --tfs first --sizes 50,500 --draws 3 --strategies probe,published,scratch

Every strategy sees the same examples: for each TF, size and draw the bound regions are drawn once,
chromosomes of the trunk's test part are held out, and negatives are GC-matched one to one (probes
learn from twenty unbound regions per bound one; ``STRATEGY/1`` from one). A size counts training
and validation together. ``--tfs first`` and ``second`` are the twelve TFs that the default was
chosen on and twelve others, chosen by a rule before anything was measured on them (`SECOND`).
Results are appended to FOLDER/results.tsv as they come, so a stopped study goes on where it was;
means over TFs are printed at the end, with intervals from resampling TFs. Found motifs do not
depend on the trunk: with ``--cache FOLDER`` they are kept for the next trunk.

``motif`` is the TF's own motif without training, ``STRATEGY+motif`` a strategy given its motifs
(--motifs), ``gc`` the GC content, ``kmer`` and ``denovo`` baselines fitted on the training part,
``sibling`` the output of the trunk that ranks the training part best.
"""

from __future__ import annotations

import argparse
import shutil
import tempfile
import time
from dataclasses import replace
from pathlib import Path

import numpy as np
import pandas as pd
from joblib import Memory

from cistransfer.baselines.registry import BASELINES
from cistransfer.binding.matrix import open_matrix
from cistransfer.errors import InputError
from cistransfer.evaluation.baselines import score_by, sibling
from cistransfer.examples.dataset import PARTS, ExampleSet
from cistransfer.examples.draw import Matched
from cistransfer.examples.holdout import EXTRA, HoldOut
from cistransfer.examples.make import examples_for
from cistransfer.examples.sources import FromMatrix
from cistransfer.examples.split import Split, split_from_card
from cistransfer.genome.bed import regions_table
from cistransfer.genome.codes import gc_fraction
from cistransfer.genome.fasta import open_sequences
from cistransfer.metrics.curves import aucpr, auroc
from cistransfer.metrics.imbalance import at_imbalance
from cistransfer.models.bundle import open_bundle
from cistransfer.models.score import score_codes
from cistransfer.motifs import denovo
from cistransfer.motifs.files import read_motifs
from cistransfer.motifs.names import given_motifs, motifs_of
from cistransfer.motifs.scan import sum_occupancy
from cistransfer.training.finetune import finetune
from cistransfer.training.strategy import load_strategy

FIRST = "HNF4A,FOXA1,SPI1,TEAD4,JUND,SRF,CEBPB,TFAP2C,MAX,GATA3,REST,NRF1"
SECOND = "AR,ATF1,BHLHE40,CTCFL,CUX1,E2F1,EBF1,IRF1,MEF2A,NFIC,NFYA,PAX5"
"""Of the families (those of the package's table) that none of the first twelve belongs to: the
first TF by name that has at least 700 bound regions outside of chr21 and a profile in JASPAR 2020;
of those the first twelve by name, one per class of DNA-binding domains."""

_RESAMPLES = 10_000


def measure(labels: np.ndarray, scores: np.ndarray) -> dict[str, float]:
    """The numbers of one row."""
    return {
        "aucpr": aucpr(labels, scores),
        "aucpr_1to10": at_imbalance(labels, scores, 10),
        "auroc": auroc(labels, scores),
    }


def main() -> None:
    """Run the study."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    for name in ("matrix", "genome", "trunk", "out"):
        parser.add_argument(f"--{name}", type=Path, required=True)
    parser.add_argument("--tfs", required=True)
    parser.add_argument("--sizes", default="50,125,250,500,1000,all")
    parser.add_argument("--draws", type=int, default=3)
    parser.add_argument("--strategies", required=True)
    parser.add_argument("--motifs", type=Path)
    parser.add_argument(
        "--develop",
        metavar="CHROM",
        help="choose strategies without touching the test chromosomes: they are dropped, the "
        "trunk's validation chromosomes test, and CHROM validates",
    )
    parser.add_argument("--cache", type=Path, help="keep found motifs in this folder")
    options = parser.parse_args()
    if options.cache:
        denovo.find_motifs = Memory(options.cache, verbose=0).cache(denovo.find_motifs)

    matrix, sequences = open_matrix(options.matrix), open_sequences(options.genome)
    trunk = open_bundle(options.trunk)
    holdout = HoldOut.of(trunk)
    if options.develop:
        split = split_from_card(trunk.card.split)
        hidden = [regions_table([chrom], [0], [2**31], part="train") for chrom in split.test]
        split = Split(valid=(options.develop,), test=split.valid)
        holdout = HoldOut(split, "all", pd.concat(hidden))
    pwms = read_motifs(options.motifs) if options.motifs else []
    table = options.out / "results.tsv"
    options.out.mkdir(parents=True, exist_ok=True)
    done = pd.read_csv(table, sep="\t", dtype={"size": str}) if table.exists() else pd.DataFrame()
    have = (
        set(map(tuple, done[["tf", "size", "draw", "strategy"]].to_numpy())) if len(done) else set()
    )
    tfs = {"first": FIRST, "second": SECOND}.get(options.tfs, options.tfs)
    for tf in tfs.split(","):
        if tf in trunk.tasks:
            raise SystemExit(f"{tf} is in the trunk; leave it out of pre-training first")
        for size in options.sizes.split(","):
            for draw in range(options.draws if size != "all" else 1):
                wanted = [
                    name
                    for name in options.strategies.split(",")
                    if (tf, size, draw, name) not in have
                ]
                if not wanted:
                    continue
                try:
                    examples = examples_for(
                        FromMatrix(matrix, tf, sequences),
                        holdout=holdout,
                        draw=Matched(positives=None if size == "all" else int(size)),
                        seed=draw,
                    )
                except InputError as error:
                    print(f"{tf} {size}: {error}", flush=True)
                    continue
                rows = examples.rows("test")
                labels = np.asarray(examples.labels[rows, 0])
                codes = np.asarray(examples.codes[rows])
                for name in wanted:
                    began = time.process_time()
                    if name == "gc":
                        scores = gc_fraction(codes)
                    elif name == "motif":
                        scores = sum_occupancy(codes, motifs_of(tf, pwms)[0])
                    elif name == "sibling":
                        scores = sibling(trunk, examples, codes)[0].logits[:, 0]
                    elif name in BASELINES:
                        scores = score_by(name, examples, codes, seed=draw).logits[:, 0]
                    else:
                        base, _, single = name.partition("/")
                        base, _, known = base.partition("+")
                        parts = PARTS if single == "1" else (*PARTS, EXTRA)
                        given = given_motifs(tf, pwms).pwms if known == "motif" else ()
                        folder = Path(tempfile.mkdtemp(dir=options.out))
                        start = trunk if load_strategy(base).start == "trunk" else None
                        bundle = finetune(
                            folder,
                            only(examples, parts),
                            start,
                            strategy=base,
                            motifs=given,
                            guard="off" if options.develop else None,
                            seed=draw,
                        )
                        scores = score_codes(bundle.model, codes)[:, 0]
                        shutil.rmtree(folder)
                    row = {
                        "tf": tf,
                        "size": size,
                        "draw": draw,
                        "seed": draw,
                        "strategy": name,
                        "test_bound": int((labels == 1).sum()),
                        **measure(labels, scores),
                        "cpu_seconds": round(time.process_time() - began, 2),
                    }
                    with open(table, "a", encoding="utf-8") as handle:
                        if handle.tell() == 0:
                            handle.write("\t".join(row) + "\n")
                        handle.write("\t".join(map(str, row.values())) + "\n")
                    print("\t".join(map(str, row.values())), flush=True)
    show(pd.read_csv(table, sep="\t", dtype={"size": str}))


def only(examples: ExampleSet, parts: tuple[str, ...]) -> ExampleSet:
    """The examples of some parts."""
    rows = np.flatnonzero(examples.regions["part"].isin(parts))
    return replace(
        examples,
        codes=np.asarray(examples.codes[rows]),
        labels=np.asarray(examples.labels[rows]),
        regions=examples.regions.iloc[rows].reset_index(drop=True),
    )


def show(results: pd.DataFrame) -> None:
    """Print means over TFs (each TF the mean of its draws) for sizes that every TF has."""
    order = sorted(
        results["size"].unique(), key=lambda size: float("inf") if size == "all" else int(size)
    )
    for metric in ("aucpr", "aucpr_1to10"):
        per_tf = results.groupby(["strategy", "size", "tf"])[metric].mean()
        means = per_tf.groupby(["strategy", "size"]).agg(_with_interval).unstack("size")[order]
        print(f"\nmean {metric} over {results['tf'].nunique()} TFs (95 %, resampling TFs)")
        print(means.to_string())


def _with_interval(values: pd.Series) -> str:
    """A mean over TFs and its percentile interval; the same TFs are drawn for every strategy."""
    drawn = np.random.default_rng(0).integers(0, len(values), (_RESAMPLES, len(values)))
    low, high = np.percentile(values.to_numpy()[drawn].mean(axis=1), [2.5, 97.5])
    return f"{values.mean():.3f} ({low:.3f}–{high:.3f})"


if __name__ == "__main__":
    main()
