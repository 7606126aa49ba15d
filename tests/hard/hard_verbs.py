"""Every verb that runs long, on a toy world, in a process of its own that costs no start.

The process that calls `run` has loaded the program once; each run is a fork of it, which writes
its words into files, may be killed and may have its writes fail. Outputs are compared byte for
byte, but for seconds that were measured and for the place in which a run was asked.
"""

from __future__ import annotations

import gzip
import importlib
import os
import re
import signal
import sys
import time
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path

os.environ.setdefault("OMP_NUM_THREADS", "1")  # a fork has one thread
os.environ.setdefault("MPLBACKEND", "agg")

STRATEGY = """name = "few"
summary = "a few steps"
start = "{start}"
{transfer}
[[phases]]
name = "one"
train = ["*"]
learning_rate = 1e-3
batch_size = 32
epochs = {epochs}
steps_per_epoch = 10
"""
STUDY = """name = "mine"
title = "Two ways"

[files]
matrix = "Binding matrix."
genome = "Genome."
short = "Strategy."

[axes]
tf = ["ELF1", "SPI1"]

[inputs.examples]
do = "examples"
source = "{matrix}"
genome = "{genome}"
tf = "{tf}"
positives = "40"

[strategies]
gc = { do = "baseline", name = "gc", examples = "{examples}" }
scratch = { do = "finetune", examples = "{examples}", strategy = "{short}" }

[[claims]]
id = "1"
says = "GC content is beaten"
first = { strategy = "scratch" }
second = { strategy = "gc" }
"""


@dataclass(frozen=True)
class Verb:
    """One command; ``{out}`` is where it writes, beside nothing else.

    Attributes
    ----------
    tells : str
        The file that says which steps are done, where an interruption leaves those that are.
    remembers : str
        A file that a second run adds, to be faster.
    """

    words: str
    out: str = "out"
    tells: str = ""
    remembers: str = ""


VERBS: Mapping[str, Verb] = {
    "simulate": Verb("simulate --out {out} --n-regions 300 --n-chroms 4"),
    "matrix build": Verb(
        "matrix build --open data/wgEncodeRegDnaseClustered.txt.gz "
        "--dhs-sources data/wgEncodeRegDnaseClusteredSources.txt.gz --ucsc2encode "
        "data/ucsc2encode.tsv --samples data/samples.tsv --peaks data/remap.bed.gz "
        "--tfbs data/unibind_tfbs.tar.gz --window 100 --out {out}",
        "out.h5",
    ),
    "matrix export": Verb("matrix export matrix.h5 --to fasta --genome genome.fa --out {out}"),
    "relatives": Verb("relatives matrix.h5 FOXA1 --out {out}", "out.tsv"),
    "examples": Verb(
        "examples --matrix matrix.h5 --tf FOXA1 --genome genome.fa --n-positives 40 --out {out}"
    ),
    "pretrain": Verb(
        "pretrain --matrix matrix.h5 --genome genome.fa --tfs ELF1,SPI1,MAX --strategy few.toml "
        "--out {out}"
    ),
    "finetune, all layers": Verb(
        "finetune --trunk trunk --strategy many.toml --matrix matrix.h5 --tf FOXA1 --genome "
        "genome.fa --n-positives 40 --out {out}"
    ),
    "finetune": Verb(
        "finetune --trunk trunk --matrix matrix.h5 --tf FOXA1 --genome genome.fa --n-positives 12 "
        "--motifs data/motifs.meme --out {out}"
    ),
    "evaluate": Verb("evaluate model --baselines gc --resamples 50 --out {out}"),
    "compare": Verb("compare evaluation --resamples 50 --out {out}"),
    "predict": Verb(
        "predict model --regions mine.bed --genome genome.fa --out {out}", "out.tsv.gz"
    ),
    "track": Verb(
        "track model --only mine.bed --genome genome.fa --stride 20 --out {out}", "out.bedGraph.gz"
    ),
    "variants": Verb("variants model --vcf mine.vcf --genome genome.fa --out {out}", "out.tsv"),
    "interpret": Verb(
        "interpret model --motifs data/motifs.meme --methods attribution --max-sequences 6 "
        "--out {out}",
        tells="summary.json",
    ),
    "locus": Verb("locus model chr1:101-400 --genome genome.fa --shuffles 2 --out {out}"),
    "report": Verb("report evaluation --out {out}", "out.html"),
    "learn": Verb(
        "learn --peaks mine.narrowPeak --tf USF1 --open open.bed --genome genome.fa --trunk trunk "
        "--motifs data/motifs.meme --no-interpretation --out {out}"
    ),
    "study run": Verb(
        "study run mine.toml --engine here --file matrix=matrix.h5 --file genome=genome.fa "
        "--file short=few.toml --out {out}",
        remembers="files.json",
    ),
    "bundle pack": Verb("bundle pack model --out {out}", "out.zip"),
    "compact": Verb("compact model --out {out}"),
}


@dataclass(frozen=True)
class Ran:
    """What became of a run: its exit code (-9 where it was killed), words, seconds of processor,
    and after how many of these it was killed.
    """

    code: int
    out: str
    err: str
    seconds: float
    killed: float = 0.0


def run(
    words: list[str],
    place: Path,
    *,
    before: Callable[[], object] | None = None,
    after: Callable[[], object] | None = None,
    kill_at: float | None = None,
    by: int = signal.SIGKILL,
) -> Ran:
    """Run the command line in a fork, in a folder; ``before`` and ``after`` are called in the fork.

    Parameters
    ----------
    kill_at : float, optional
        Seconds of processor time after which it gets the signal ``by``.
    """
    begun = begin(words, place, before=before, after=after)
    spent = 0.0
    if kill_at is not None:
        spent = _wait_until(begun.pid, kill_at)
        if spent >= kill_at:
            os.kill(begun.pid, by)
    return begun.end(spent)


@dataclass(frozen=True)
class Begun:
    """A run that goes on; its words go into two files."""

    pid: int
    said: tuple[Path, Path]

    def end(self, killed: float = 0.0) -> Ran:
        """Wait for its end."""
        _, status, usage = os.wait4(self.pid, 0)
        texts = []
        for name in self.said:  # one that is killed at once has not opened them
            texts.append(
                name.read_text(encoding="utf-8", errors="replace") if name.exists() else ""
            )
            name.unlink(missing_ok=True)
        code = os.waitstatus_to_exitcode(status)
        return Ran(code, texts[0], texts[1], usage.ru_utime + usage.ru_stime, killed)


def begin(
    words: list[str],
    place: Path,
    *,
    before: Callable[[], object] | None = None,
    after: Callable[[], object] | None = None,
) -> Begun:
    """Begin a run, as `run` does."""
    said = place / ".stdout", place / ".stderr"
    sys.stdout.flush()
    pid = os.fork()
    if pid == 0:
        _child(words, place, said, before, after)
    return Begun(pid, said)


def load_for(words: list[str], place: Path, told: Path) -> None:
    """Run the command line once, and load here what its fork loaded: later forks find it loaded."""

    def tell() -> None:
        names = [name for name, module in sys.modules.items() if name not in known and module]
        there = [name for name in names if getattr(sys.modules[name], "__spec__", None)]
        told.write_text("\n".join(there), encoding="utf-8")

    known = {*sys.modules}
    ran = run(words, place, after=tell)
    if ran.code:
        raise SystemExit(f"{' '.join(words)}\n{ran.err}")
    for name in told.read_text(encoding="utf-8").split():
        importlib.import_module(name)


def _child(
    words: list[str],
    place: Path,
    said: tuple[Path, Path],
    before: Callable[[], object] | None,
    after: Callable[[], object] | None,
) -> None:
    code = 70
    try:
        os.setsid()
        signal.signal(signal.SIGINT, signal.default_int_handler)  # a shell's background ignores it
        for number, name in zip((1, 2), said, strict=True):
            handle = os.open(name, os.O_WRONLY | os.O_CREAT | os.O_TRUNC)
            os.dup2(handle, number)
        sys.stdout = os.fdopen(os.dup(1), "w", encoding="utf-8")
        sys.stderr = os.fdopen(os.dup(2), "w", encoding="utf-8")
        os.chdir(place)
        from cistransfer.cli.command import run_app
        from cistransfer.cli.main import app
        from cistransfer.cli.process import close_streams

        if before is not None:
            before()
        code = close_streams(run_app(app, words))
        if after is not None:
            after()
        sys.stderr.flush()
    except BaseException as error:
        import traceback

        traceback.print_exception(error)
        sys.stderr.flush()
    finally:
        os._exit(code)


def _wait_until(pid: int, seconds: float) -> float:
    """Wait until a process has used so much processor time, or is gone; what it has used."""
    spent = 0.0
    while spent < seconds:
        if os.waitid(os.P_PID, pid, os.WEXITED | os.WNOHANG | os.WNOWAIT):
            return spent
        with open(f"/proc/{pid}/schedstat", encoding="ascii") as handle:
            spent = int(handle.read().split()[0]) / 1e9
        time.sleep(0.001)
    return spent


MEASURED = re.compile(
    rb'"(seconds|cpu_seconds|memory_mb|folder|out|bundle|path|run|source)": ?("[^"]*"|[0-9.e-]+)'
)


def tree(place: Path) -> dict[str, bytes]:
    """Content of every file below a place (a file or a folder), without measured seconds."""
    if place.is_file():
        return {"": _content(place)}
    return {
        path.relative_to(place).as_posix(): _content(path)
        for path in sorted(place.rglob("*"))
        if path.is_file()
    }


def _content(path: Path) -> bytes:
    raw = path.read_bytes()
    if path.name.endswith(".json"):
        return MEASURED.sub(b"", raw)
    if path.name == "history.tsv":
        rows = [line.split(b"\t") for line in raw.split(b"\n")]
        gone = [i for i, name in enumerate(rows[0]) if name.startswith(b"seconds")]
        return b"\n".join(b"\t".join(x for i, x in enumerate(row) if i not in gone) for row in rows)
    return raw


def words_of(name: str, out: Path) -> list[str]:
    """The command of a verb that writes to ``out``."""
    return [word.format(out=out) for word in VERBS[name].words.split()]


def make_world(place: Path, names: Iterable[str] = VERBS) -> None:
    """Make the files that these verbs read: a simulated genome, its matrix, a trunk, a model …"""
    import cistransfer.cli.main
    import cistransfer.interpretation.interpret
    import cistransfer.report.page
    import cistransfer.training.run  # noqa: F401 - loaded once, for all forks

    def do(text: str) -> None:
        done = run(text.split(), place)
        if done.code:
            raise SystemExit(f"{text}\n{done.err}")

    place.mkdir(parents=True, exist_ok=True)
    do("simulate --out data --n-regions 1200 --n-chroms 5 --seed 5")
    (place / "genome.fa").write_bytes((place / "data" / "genome.fa").read_bytes())
    texts = {
        "few.toml": STRATEGY.format(start="scratch", epochs=3, transfer=""),
        "many.toml": STRATEGY.format(start="trunk", epochs=4, transfer='transfer = ["*"]\n'),
        "mine.toml": STUDY,
        "mine.bed": "".join(f"chr1\t{i}\t{i + 100}\tr{i}\n" for i in range(100, 4100, 100)),
    }
    for name, text in texts.items():
        (place / name).write_text(text, encoding="utf-8")
    with gzip.open(place / "data" / "remap.bed.gz", "rt", encoding="ascii") as handle:
        rows = [line.split("\t")[:3] for line in handle if ".USF1." in line][::12]
    lines = "".join("\t".join([*row, ".", "0", ".", "0", "-1", "-1", "-1"]) + "\n" for row in rows)
    with gzip.open(place / "data" / "wgEncodeRegDnaseClustered.txt.gz", "rt") as handle:
        opened = ["\t".join(line.split("\t")[1:4]) + "\n" for line in handle]
    (place / "open.bed").write_text("".join(opened), encoding="ascii")
    (place / "mine.narrowPeak").write_text(lines, encoding="ascii")
    needed = {word for name in names for word in VERBS[name].words.split()}
    needed |= {"model"} if "evaluation" in needed else set()
    needed |= {"trunk"} if "model" in needed else set()
    do(VERBS["matrix build"].words.format(out="matrix.h5"))
    for made, verb in (
        ("trunk", "pretrain"),
        ("model", "finetune, all layers"),
        ("evaluation", "evaluate"),
    ):
        if made in needed:
            do(VERBS[verb].words.format(out=made))
    sequence = "".join(
        (place / "genome.fa").read_text(encoding="ascii").partition(">chr2")[0].split("\n")[1:]
    )
    variants = []
    for at in range(500, 4500, 200):
        base = sequence[at].upper()
        variants.append(f"chr1\t{at + 1}\tv{at}\t{base}\t{'C' if base == 'A' else 'A'}\t.\t.\t.")
    head = "##fileformat=VCFv4.2\n#CHROM\tPOS\tID\tREF\tALT\tQUAL\tFILTER\tINFO\n"
    (place / "mine.vcf").write_text(head + "\n".join(variants) + "\n", encoding="utf-8")
