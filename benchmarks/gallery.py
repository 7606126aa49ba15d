"""Draw every figure of the product on a small simulated world, and write the page that shows them.

python benchmarks/gallery.py [FOLDER]    five minutes on one core; writes docs/gallery.md and
docs/figures/gallery/NAME.png. Each figure is there as the command left it, at a low resolution.
What a FOLDER already holds of the models is not made again.
"""

from __future__ import annotations

import argparse
import contextlib
import io
import os
import re
import shutil
import tempfile
from pathlib import Path

os.environ.setdefault("OMP_NUM_THREADS", "1")

import cistransfer as ct
from cistransfer.cli.command import run_app
from cistransfer.cli.main import app

DOCS = Path(__file__).resolve().parent.parent / "docs"
DPI, MOST = 64, 560  # pixels an inch, and at most in a row or column

PREPARE = """
simulate --out data --n-regions 16000
matrix build --open data/wgEncodeRegDnaseClustered.txt.gz --dhs-sources data/wgEncodeRegDnaseClusteredSources.txt.gz --ucsc2encode data/ucsc2encode.tsv --samples data/samples.tsv --peaks data/remap.bed.gz --tfbs data/unibind_tfbs.tar.gz --out matrix.h5
pretrain --matrix matrix.h5 --genome data/genome.fa --tfs HNF4A,NR2F2,RXRA,FOXA1 --valid-chroms chr2 --test-chroms chr3,chr4 --epochs 4 --out trunk
finetune --trunk trunk --matrix matrix.h5 --tf HNF4G --n-positives 60 --motifs data/motifs.meme --genome data/genome.fa --out transfer
finetune --trunk trunk --strategy published --examples transfer/examples --out published
finetune --trunk scratch --examples transfer/examples --out scratch
evaluate transfer=transfer published=published scratch=scratch --baselines gc,motif,kmer --motifs data/motifs.meme --out evaluation
study run shown.toml --file matrix=matrix.h5 --file genome=data/genome.fa --file trunk=trunk --file motifs=data/motifs.meme --jobs 1 --out study
"""  # noqa: E501

STUDY = """
name = "shown"
title = "Two TFs from few bound regions"

[files]
matrix = "Binding matrix."
genome = "Genome."
trunk = "Trunk."
motifs = "Motifs."

[axes]
tf = ["SPI1", "CEBPB"]
size = [40, 80]
draw = 2

[inputs.examples]
do = "examples"
source = "{matrix}"
genome = "{genome}"
tf = "{tf}"
trunk = "{trunk}"
positives = "{size}"
seed = "{draw}"

[strategies]
finetune = { do = "finetune", examples = "{examples}", trunk = "{trunk}", seed = "{draw}" }
motif = { do = "baseline", name = "motif", examples = "{examples}", motifs = "{motifs}" }
kmer = { do = "baseline", name = "kmer", examples = "{examples}", seed = "{draw}" }
gc = { do = "baseline", name = "gc", examples = "{examples}" }

[[figures]]
name = "study-line"
kind = "line"
x = "size"

[[figures]]
name = "study-box"
kind = "box"
x = "tf"

[[figures]]
name = "study-bars"
kind = "bars"
x = "size"
panels = "tf"

[[figures]]
name = "study-scatter"
kind = "scatter"
x = "kmer"
y = "finetune"

[[figures]]
name = "study-heat"
kind = "heat"
x = "size"
y = "tf"
where = { strategy = "finetune" }
"""
"""A study whose figures are of every kind that studies declare, but ``parts``."""

SHOWN = {
    "The report": """
report evaluation --out report.html
""",
    "What a model learned": """
interpret published --motifs data/motifs.meme --other trunk --other-task HNF4A --methods filters,influence,refinement,attribution,patterns,enrichment,marginal --max-sequences 60 --out learned
interpret published --motifs data/motifs.meme --methods spacing --pair HNF4A,FOXA1 --out spacing
interpret published --methods attribution --attribution mutagenesis --max-sequences 8 --out mutations
""",  # noqa: E501
    "One locus": """
locus published chr3:10,001-10,200 --genome data/genome.fa --motifs data/motifs.meme --out locus
""",
    "Comparing runs": """
compare evaluation --reference scratch --out comparison
""",
    "The binding matrix and relatives": """
matrix info matrix.h5 --figures matrix
relatives matrix.h5 HNF4G --figure relatives.png
""",
    "Studies": """
study figures study
""",
}
"""Verbs whose figures are shown, by the heading of the page."""

HEAD = """# Gallery

The figures that cistransfer draws, as `python benchmarks/gallery.py` left them here: a small
simulated genome, models trained for a minute, low resolution. Commands write PNG and SVG. In
Python each is an object: Matplotlib's axes to change as you like, PNG, SVG or PDF, and the table
behind it.

<!-- prepare: python
cistransfer simulate --out data --n-regions 2000
-->
<!-- run: python -->
```python
import cistransfer as ct

with ct.drawings() as drawn:  # whatever is drawn in here, by any function
    ct.plot_logo("data/motifs.meme", tf="HNF4A", out="HNF4A.png")
logo = drawn["HNF4A"]
logo.axes[0].set_title("mine")
logo.save("logo.pdf")  # and logo.tsv, the numbers
```

The look is one style file, `cistransfer.figures.STYLE`, which `matplotlib.pyplot.style.use` reads
too. Studies draw the figures that their files declare ([studies](studies.md)), here one of two TFs
at two sizes; they can be had in the same way, around `ct.study` or
`cistransfer.studies.draw.write_figures`.
"""


def run(line: str) -> None:
    """Run one command; its words are not shown."""
    with contextlib.redirect_stdout(io.StringIO()):
        code = run_app(app, line.split())
    if code:
        raise SystemExit(f"cistransfer {line}: exit {code}")


def main(folder: Path) -> None:
    """Run everything in a folder and write page and pictures."""
    pictures = folder / "pictures"  # beside the models until all are drawn
    shutil.rmtree(pictures, ignore_errors=True)
    pictures.mkdir()
    os.chdir(folder)
    Path("shown.toml").write_text(STUDY)
    for line in PREPARE.strip().splitlines():
        if Path(line.split(" --out ")[1].split()[0]).exists():
            continue
        print(line.split(" --")[0], flush=True)
        run(line)
    text = [HEAD]
    for heading, lines in SHOWN.items():
        text.append(f"\n## {heading}\n")
        for line in lines.strip().splitlines():
            print(line.split(" --")[0], flush=True)
            with ct.drawings() as drawn:
                run(line)
            text.append(f"\nFrom `cistransfer {line}`:\n")
            for name, drawing in drawn.items():
                file = re.sub(r"[^\w-]+", "-", name) + ".png"
                if name.endswith("-2") or (pictures / file).exists():
                    continue
                dpi = min(DPI, MOST / max(drawing.figure.get_size_inches()))
                drawing.figure.savefig(pictures / file, dpi=dpi, metadata={"Software": None})
                text.append(f"\n`{name}`\n\n![{name}](figures/gallery/{file})\n")
    (DOCS / "gallery.md").write_text("".join(text))
    shutil.rmtree(DOCS / "figures" / "gallery", ignore_errors=True)
    shutil.move(pictures, DOCS / "figures" / "gallery")


if __name__ == "__main__":
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("folder", nargs="?", type=Path)
    asked = parser.parse_args().folder
    if asked:
        asked.mkdir(parents=True, exist_ok=True)
        main(asked.resolve())
    else:
        with tempfile.TemporaryDirectory() as place:
            main(Path(place))
