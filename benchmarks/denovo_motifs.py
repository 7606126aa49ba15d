"""De novo motifs: are planted ones found, and how do real ones compare with JASPAR's?

    python benchmarks/denovo_motifs.py planted [--negatives 50 500] [--share 0.8]
    python benchmarks/denovo_motifs.py real [--tfs HNF4A SPI1 …] [--draws 2]

``planted``: one JASPAR profile of each of 16 families in 50 random sequences of 200 bp, without
hold-out; similarity (normalised correlation, 1 = equal) of the first motif to the planted one.

``real``: TFs of ../shared/data, chr15 and chr21 held out, negatives drawn to match the positives'
GC content in bins of 5 % among the unbound regions. Held-out average precision of the TF's own
JASPAR 2020 profile and of every baseline, at 50 and 500 positives (one negative for each), and at
50 positives with 10 negatives for each. Test: up to 1,000 positives with 10 negatives for each.
"""

from __future__ import annotations

import argparse
import time
from pathlib import Path

import numpy as np

from cistransfer.baselines.registry import fit_baseline
from cistransfer.genome.codes import encode, gc_fraction, reverse_complement
from cistransfer.genome.fasta import read_fasta
from cistransfer.metrics.curves import average_precision
from cistransfer.motifs.denovo import find_motifs
from cistransfer.motifs.files import read_motifs
from cistransfer.motifs.pwm import PWM, trim

SHARED = Path(__file__).resolve().parents[2] / "shared" / "data"
FAMILIES = {
    "MAX": "bHLH",
    "FOS::JUN": "bZIP, AP-1",
    "CEBPB": "bZIP, C/EBP",
    "SPI1": "ETS",
    "RXRA::VDR": "nuclear receptor, direct repeat with spacer",
    "NR3C1": "nuclear receptor, inverted repeat",
    "HNF4A": "nuclear receptor, DR1",
    "SP1": "C2H2 zinc finger",
    "HNF1A": "homeodomain",
    "MEF2A": "MADS",
    "FOXA1": "forkhead",
    "GATA2": "GATA",
    "NRF1": "NRF1",
    "TP53": "p53, two half-sites",
    "CTCF": "C2H2 zinc finger, long",
    "REST": "C2H2 zinc finger, long",
}
TFS = ("HNF4A", "SPI1", "JUND", "MAX", "CEBPB", "GATA2", "REST", "NRF1")
HELD_OUT = ("chr15", "chr21")
SIZES = ((50, 1), (50, 10), (500, 1))
COLUMNS = ("gc", "kmer", "denovo")


def plant(pwm: PWM, n: int, share: float, rng: np.random.Generator) -> np.ndarray:
    """Random sequences of 200 bp, ``share`` of them with one site on either strand."""
    codes = rng.choice(4, size=(n, 200), p=[0.28, 0.22, 0.22, 0.28]).astype(np.uint8)
    for row in codes[: round(n * share)]:
        site = np.array([rng.choice(4, p=p / p.sum()) for p in pwm.probabilities], np.uint8)
        start = rng.integers(0, 201 - len(site))
        row[start : start + len(site)] = site if rng.random() < 0.5 else reverse_complement(site)
    return codes


def resemblance(one: PWM, other: PWM) -> tuple[float, float]:
    """Highest correlation over alignments of at least 5 positions and both strands: times the share
    of the alignment that overlaps, and as it is (a half-site then equals its dimer)."""
    a = trim(one).probabilities - 0.25
    b = trim(other).probabilities - 0.25
    alike = inside = -1.0
    for target in (b, b[::-1, ::-1]):
        for shift in range(1 - len(target), len(a)):
            left = a[max(shift, 0) : shift + len(target)]
            right = target[max(-shift, 0) :][: len(left)]
            if len(left) < min(5, len(a), len(b)):
                continue
            cosine = (left * right).sum() / max(np.sqrt((left**2).sum() * (right**2).sum()), 1e-6)
            inside = max(inside, cosine)
            alike = max(alike, cosine * len(left) / (len(a) + len(b) - len(left)))
    return alike, inside


def planted(jaspar: dict[str, PWM], negatives: list[int], share: float) -> None:
    """Print one line per family and number of negatives."""
    found = 0
    for n_negative in negatives:
        for name, family in FAMILIES.items():
            rng = np.random.default_rng(3)
            truth = jaspar[name]
            codes = np.vstack([plant(truth, 50, share, rng), plant(truth, n_negative, 0.0, rng)])
            labels = np.repeat([1, 0], [50, n_negative]).astype(np.int8)
            begin = time.process_time()
            motifs = find_motifs(codes, labels, n_motifs=1, hold_out=0.0, engine="own")
            took = time.process_time() - begin
            first = motifs[0].pwm if motifs else None
            alike, inside = resemblance(truth, first) if first else (0.0, 0.0)
            found += inside > 0.85
            print(
                f"50 / {n_negative:3d}  {name:10s} {family:45s} {first.name if first else '-':28s} "
                f"{alike:.2f} {inside:.2f} {took:4.1f} s",
                flush=True,
            )
    print(f"found {found} of {len(FAMILIES) * len(negatives)}")


def read_regions() -> tuple[np.ndarray, np.ndarray, dict[str, np.ndarray]]:
    """Codes (regions, 200), whether held out, and the published states by TF."""
    folder = SHARED / "tf-binding-hg38"
    with np.load(folder / "published_states.npz") as stored:
        tfs = stored["tfs"].tolist()
        index = stored["region_index"].tolist()
        held = np.isin(stored["chrom"], HELD_OUT)
        states = dict(zip(tfs, stored["sparse"], strict=True))
    sequence = {
        int(header.split(":")[0]): letters
        for path in sorted((folder / "sequences").glob("*.fa.gz"))
        for header, letters in read_fasta(path)
    }
    codes = encode("".join(sequence[region] for region in index)).reshape(len(index), -1)
    return codes, held, states


def matched(
    rng: np.random.Generator, bins: np.ndarray, positives: np.ndarray, pool: np.ndarray, ratio: int
) -> np.ndarray:
    """Negatives out of the pool, ``ratio`` for each positive of their GC bin."""
    pool = rng.permutation(pool)
    counts = np.bincount(bins[positives])
    return np.concatenate(
        [pool[bins[pool] == at][: ratio * n] for at, n in enumerate(counts.tolist())]
    )


def real(jaspar: dict[str, PWM], tfs: list[str], draws: int) -> None:
    """Print one line per TF and size, and the means."""
    codes, held, states = read_regions()
    bins = (np.nan_to_num(gc_fraction(codes), nan=0.5) * 20).astype(int)
    values: dict[tuple[int, int], list[list[float]]] = {}
    print("positives:negatives  TF       jaspar  " + "  ".join(f"{name:6s}" for name in COLUMNS))
    for tf in tfs:
        state = states[tf]
        rng = np.random.default_rng(99)
        positives = rng.permutation(np.flatnonzero((state == 1) & held))[:1000]
        negatives = matched(rng, bins, positives, np.flatnonzero((state == 0) & held), 10)
        test = np.concatenate([positives, negatives])
        truth = state[test]
        profile = fit_baseline("motif", codes[:0], truth[:0], pwms=[jaspar[tf]])
        own = average_precision(truth, profile.score(codes[test]))
        for n, ratio in SIZES:
            scores: dict[str, list[float]] = {name: [] for name in COLUMNS}
            seconds = []
            for draw in range(draws):
                rng = np.random.default_rng(draw)
                positives = rng.permutation(np.flatnonzero((state == 1) & ~held))[:n]
                pool = np.flatnonzero((state == 0) & ~held)
                train = np.concatenate([positives, matched(rng, bins, positives, pool, ratio)])
                for name in COLUMNS:
                    begin = time.process_time()
                    fitted = fit_baseline(name, codes[train], state[train], seed=draw)
                    if name == "denovo":
                        seconds.append(time.process_time() - begin)
                    scores[name].append(average_precision(truth, fitted.score(codes[test])))
            means = [own, *(float(np.mean(scores[name])) for name in COLUMNS)]
            values.setdefault((n, ratio), []).append(means)
            print(
                f"{n:5d}:{n * ratio:<5d}         {tf:8s}"
                + "".join(f"  {value:.3f} " for value in means)
                + f"  ({np.mean(seconds):.1f} s for the motif)",
                flush=True,
            )
    for (n, ratio), rows in values.items():
        print(
            f"{n:5d}:{n * ratio:<5d}         mean    "
            + "".join(f"  {value:.3f} " for value in np.mean(rows, axis=0))
        )


def main() -> None:
    """Run one of the two comparisons."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("what", choices=["planted", "real"])
    parser.add_argument("--negatives", type=int, nargs="+", default=[50, 500])
    parser.add_argument("--share", type=float, default=0.8)
    parser.add_argument("--tfs", nargs="+", default=list(TFS))
    parser.add_argument("--draws", type=int, default=2)
    options = parser.parse_args()
    file = SHARED / "motifs" / "JASPAR2020_CORE_vertebrates_non-redundant.meme"
    jaspar = {pwm.alt_name: pwm for pwm in read_motifs(file)}
    if options.what == "planted":
        planted(jaspar, options.negatives, options.share)
    else:
        real(jaspar, options.tfs, options.draws)


if __name__ == "__main__":
    main()
