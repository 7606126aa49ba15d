"""What does the trunk leave in a model's attributions? Figure 9C on planted data.

    python benchmarks/cofactor_patterns.py --out FOLDER

In the simulation HNF4G binds a DR1 site only beside a FOXA1 site. Two trunks, one of its cofactors
(nuclear receptors and FOXA1) and one of unrelated TFs (ETS, E-box, AP-1), are fine-tuned for HNF4G
on the same examples with the same strategy; seqlets of each model's DeepLIFT attributions are
matched with the planted motifs. The model from the cofactors should show FOXA1 beside DR1, the
unrelated one should not. A finished step of an earlier run in the folder is not repeated.
"""

from __future__ import annotations

import argparse
from pathlib import Path

import pandas as pd

from cistransfer.cli.command import run_app
from cistransfer.cli.main import app
from cistransfer.simulation.factors import FACTORS
from cistransfer.storage import read_json

TRUNKS = {"cofactors": "HNF4A,NR2F2,RXRA,FOXA1", "unrelated": "SPI1,ELF1,MAX,JUND"}


def run(done: Path, *words: str) -> None:
    """Run a verb unless what it makes is there."""
    if not done.exists() and run_app(app, [str(word) for word in words]):
        raise SystemExit(f"failed: cistransfer {' '.join(map(str, words))}")


def main() -> None:
    """Run the experiment and print its table."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--out", type=Path, required=True)
    parser.add_argument("--regions", type=int, default=40_000)
    parser.add_argument("--positives", type=int, default=300)
    parser.add_argument("--epochs", type=int, default=8)
    parser.add_argument("--sequences", type=int, default=300)
    parser.add_argument("--strategy", default="published")
    options = parser.parse_args()
    out: Path = options.out
    data, matrix = out / "data", out / "matrix.h5"
    run(data / "genome.fa", "simulate", "--out", data, "--n-regions", options.regions)
    run(
        matrix, "matrix", "build", "--open", data / "wgEncodeRegDnaseClustered.txt.gz",
        "--dhs-sources", data / "wgEncodeRegDnaseClusteredSources.txt.gz",
        "--ucsc2encode", data / "ucsc2encode.tsv", "--samples", data / "samples.tsv",
        "--peaks", data / "remap.bed.gz", "--tfbs", data / "unibind_tfbs.tar.gz", "--out", matrix,
    )  # fmt: skip
    examples: tuple[object, ...] = (
        "--matrix", matrix, "--tf", "HNF4G", "--n-positives", options.positives,
        "--genome", data / "genome.fa",
    )  # fmt: skip
    mode_of = {factor.name: factor.mode for factor in FACTORS}
    rows = []
    for name, tfs in TRUNKS.items():
        trunk, model = out / f"trunk-{name}", out / f"HNF4G-{name}"
        found = out / f"patterns-{name}"
        run(
            trunk / "bundle", "pretrain", "--matrix", matrix, "--genome", data / "genome.fa",
            "--tfs", tfs, "--valid-chroms", "chr2", "--test-chroms", "chr3,chr4",
            "--epochs", options.epochs, "--out", trunk,
        )  # fmt: skip
        run(
            model / "bundle", "finetune", "--trunk", trunk, "--strategy", options.strategy,
            *examples, "--out", model,
        )  # fmt: skip
        examples = ("--examples", out / "HNF4G-cofactors" / "examples")
        run(
            found / "summary.json", "interpret", model, "--methods", "attribution,patterns",
            "--motifs", data / "motifs.meme", "--max-sequences", options.sequences, "--out", found,
        )  # fmt: skip
        table = pd.read_csv(found / "patterns.tsv", sep="\t")
        modes = [mode_of.get(str(match), str(match)) for match in table["match_name"]]
        by_mode = table["seqlets"].groupby(modes).sum().sort_values(ascending=False)
        card = read_json(model / "bundle" / "card.json")
        rows.append(
            {
                "trunk": name,
                "valid AUCPR": card["validation"]["aucpr"][0],
                "patterns (seqlets)": ", ".join(f"{mode} {n}" for mode, n in by_mode.items()),
            }
        )
        print(read_json(found / "summary.json")["patterns"]["note"])
    print(pd.DataFrame(rows).to_string(index=False))


if __name__ == "__main__":
    main()
