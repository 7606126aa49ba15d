"""Kills every verb that runs long, and has each of its writes fail; prints what became of it.

::

    python tests/hard/hard_runs.py kills 50         # of each verb, spread over its whole duration
    python tests/hard/hard_runs.py faults 0         # every operation of each verb (4: so many)
    python tests/hard/hard_runs.py kills 10 "track;predict"   # of some
"""

from __future__ import annotations

import ctypes
import hashlib
import os
import shutil
import signal
import subprocess
import sys
import tempfile
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass, field
from pathlib import Path

from hard_branches import branches
from hard_verbs import VERBS, Begun, Ran, begin, load_for, make_world, run, tree, words_of

SIGNALS = (signal.SIGKILL, signal.SIGKILL, signal.SIGINT, signal.SIGTERM)
STOPPED = (-signal.SIGKILL, 128 + signal.SIGINT, 128 + signal.SIGTERM)
MAX_SECONDS = 1.0
"""Of processor time between a signal that asks to stop and the end."""
SHIM = Path(__file__).with_name("fail_writes.c")


@dataclass
class Tally:
    """What became of the tries on one verb.

    Attributes
    ----------
    tried : int
        Kills, or failed operations.
    stopped : int
        Of these, how many ended the run; the others came too late, or were borne.
    equal : int
        After how many the same command, run again, gave what an undisturbed run gives, bit for bit.
    leftovers : int
        After how many it left anything else.
    slowest : float
        Longest between a signal that asks to stop and the end (seconds of processor time).
    faults : list of str
        What should not be.
    """

    tried: int = 0
    stopped: int = 0
    equal: int = 0
    leftovers: int = 0
    seconds: float = 0.0
    slowest: float = 0.0
    faults: list[str] = field(default_factory=list)

    def add(self, other: Tally) -> None:
        """Count what another one counted."""
        self.tried += other.tried
        self.stopped += other.stopped
        self.equal += other.equal
        self.leftovers += other.leftovers
        self.faults += other.faults


class Bench:
    """A verb in a world, its undisturbed output, and a place to try it in."""

    def __init__(self, name: str, world: Path) -> None:
        self.name, self.world, self.place = name, world, world / "tries"
        self.out = self.place / VERBS[name].out
        self.good: set[bytes] = set()
        self.fresh()
        load_for(words_of(name, self.out), world, world / "loaded")
        self.fresh()
        ran = self.run()
        self.seconds, self.whole, self.names = ran.seconds, tree(self.out), self._names()
        self.made = world / "made"
        shutil.rmtree(self.made, ignore_errors=True)
        self.place.rename(self.made)

    def fresh(self, made: bool = False) -> None:
        """Empty the place, or have it hold what an undisturbed run makes."""
        shutil.rmtree(self.place, ignore_errors=True)
        if made:
            shutil.copytree(self.made, self.place)
        else:
            self.place.mkdir()

    def run(self, **how: object) -> Ran:
        """Run the verb in the world; its output lies in the place."""
        return run(words_of(self.name, self.out), self.world, **how)  # type: ignore[arg-type]

    def begin(self, before: Callable[[], object]) -> Begun:
        """Begin to run it, as `run` does."""
        return begin(words_of(self.name, self.out), self.world, before=before)

    def is_whole(self, stopped: bool, said: str) -> bool:
        """Whether all is there, as undisturbed; of one that stopped, the record may say less. What
        a second run adds is no part of it."""
        verb = VERBS[self.name]
        tells = (verb.tells, "config.json") if stopped else ()
        found = {
            path: raw
            for path, raw in tree(self.out).items()
            if not _is_kept(path, said) and not (path and path == verb.remembers)
        }
        whole = self.whole
        return found.keys() == whole.keys() and all(
            raw == whole[name] for name, raw in found.items() if name not in tells or not name
        )

    def _names(self) -> set[str]:
        return {path.relative_to(self.place).as_posix() for path in self.place.rglob("*")}

    def again(self, tally: Tally, what: str, said: str = "") -> None:
        """Run the verb once more, undisturbed, and compare; what it said it kept may be there.

        A place that is empty, as an undisturbed run leaves it, or as one that was tried, is known
        to be good to run in.
        """
        names, found = self._names(), tree(self.out)
        state = hashlib.sha256(repr((sorted(names), sorted(found.items()))).encode()).digest()
        if not names or (names == self.names and found == self.whole) or state in self.good:
            tally.equal += 1
            return
        ran = self.run()
        if ran.code:
            tally.faults.append(f"{self.name}, {what}: then {ran.code}: {_last(ran.err)}")
            return

        def kept(path: str) -> bool:
            last = path.split("/")[-1]
            return _is_kept(path, said) or (last != "" and last == VERBS[self.name].remembers)

        found = {path: raw for path, raw in tree(self.out).items() if not kept(path)}
        differ = [path for path in {*found, *self.whole} if found.get(path) != self.whole.get(path)]
        extra = {path for path in self._names() - self.names if not kept(path)}
        if not differ and not extra:
            self.good.add(state)
        tally.equal += not differ
        tally.leftovers += bool(extra)
        if differ or extra:
            tally.faults.append(
                f"{self.name}, {what}: differ {sorted(differ)[:4]}, left {sorted(extra)[:4]}"
            )


def _is_kept(path: str, said: str) -> bool:
    """Whether a path is of a finished result that the line of the error names."""
    return any(".kept-" in part and part in said for part in path.split("/"))


def _last(text: str) -> str:
    return text.strip().rpartition("\n")[2][:300]


def kills(bench: Bench, n: int) -> Tally:
    """Stop a verb ``n`` times, spread over its processor time: kills, Ctrl-C and SIGTERM."""
    tally = Tally(seconds=bench.seconds)
    for i in range(n):
        bench.fresh()
        by = SIGNALS[i % len(SIGNALS)]
        at = bench.seconds * (i + 0.5) / n
        ran = bench.run(kill_at=at, by=by)
        tally.tried += 1
        tally.stopped += ran.code in STOPPED
        what = f"{by.name} at {at:.2f} of {bench.seconds:.2f} s"
        if ran.code in STOPPED:
            tally.slowest = max(tally.slowest, ran.seconds - ran.killed)
            if ran.seconds - ran.killed > MAX_SECONDS:
                tally.faults.append(f"{bench.name}, {what}: {ran.seconds - ran.killed:.1f} s on")
        if ran.code not in (0, *STOPPED) or "Traceback" in ran.err:
            tally.faults.append(f"{bench.name}, {what}: {ran.code} {_last(ran.err)}")
        bench.again(tally, what)
    return tally


def faults(bench: Bench, n: int) -> Tally:
    """Have operations of a verb fail one by one (all, or ``n`` of them spread over the run).

    Each in a branch of one run; what can have none, or finds a fault there, in a run of its own.
    Once, in a new place; and for good, beside an earlier output and, where that is only opened,
    in a new place too.
    """
    shim = ctypes.CDLL(os.environ["LD_PRELOAD"])
    shim.counted.restype = ctypes.c_long
    below = str(bench.place).encode()
    told = bench.world / "counted"

    def counts() -> object:
        return shim.arm(below, ctypes.c_long(0), 0)

    def count(made: bool) -> int:
        bench.fresh(made)
        bench.run(before=counts, after=lambda: told.write_text(str(shim.counted())))
        return int(told.read_text())

    tally = Tally(seconds=bench.seconds)
    alone, beside = count(made=False), count(made=True)
    ways = [(False, False, alone), (True, True, beside)]
    if beside < alone:  # it opens what is finished, and does not repeat it
        ways.append((True, False, alone))
    for full, made, most in ways:
        steps = range(1, most + 1)
        chosen = {*steps} if not n or n >= most else {steps[i * most // n] for i in range(n)}
        what = f"of {most} {'and all writes after' if full else 'once'}{', anew' * (not made)}"
        bench.fresh(made)
        left = {*chosen}
        for at, code, said in branches(bench.begin, bench.place, shim, full, chosen):
            one = Tally()
            _judge(bench, one, f"operation {at} {what}", made, code, said)
            if not one.faults:
                tally.add(one)
                left.discard(at)
        for at in sorted(left):  # in a run of its own
            bench.fresh(made)
            ran = bench.run(
                before=lambda at=at, full=full: shim.arm(below, ctypes.c_long(at), int(full))
            )
            one = Tally()
            _judge(bench, one, f"operation {at} {what}", made, ran.code, ran.err)
            tally.add(one)
    return tally


def _judge(bench: Bench, tally: Tally, what: str, made: bool, code: int, err: str) -> None:
    """See what a run whose operation failed has left, beside an earlier output or not."""
    tally.tried += 1
    tally.stopped += code != 0
    said = _last(err)
    if code not in (0, 1) or "Traceback" in err:
        tally.faults.append(f"{bench.name}, {what}: {code} {said}")
    elif code == 1 and not said.startswith("cistransfer: "):
        tally.faults.append(f"{bench.name}, {what}: said {said!r}")
    if (made or code == 0) and not bench.is_whole(code != 0, err):
        tally.faults.append(f"{bench.name}, {what}: {code}, and the output is not whole")
    bench.again(tally, what, err)


def tries(how: str, n: int, names: Iterable[str]) -> Iterator[tuple[str, Tally]]:
    """Try each verb in a world made for it."""
    with tempfile.TemporaryDirectory(prefix="hard-") as scratch:
        os.environ["CISTRANSFER_CACHE"] = str(Path(scratch) / "cache")
        world = Path(scratch) / "world"
        make_world(world, names)
        for name in names:
            yield name, {"kills": kills, "faults": faults}[how](Bench(name, world), n)


def main(words: list[str]) -> int:
    """Print the table; 1 where something was not as it should be."""
    how, n, only = words[0], int(words[1]), words[2].split(";") if len(words) > 2 else [*VERBS]
    if how == "faults" and "LD_PRELOAD" not in os.environ:
        return _with_shim(words)
    kill = how == "kills"
    head = f"{'kills' if kill else 'failed operations'} | that stopped it | equal after a rerun"
    more = " | stops within, s" if kill else ""
    print(f"| verb | {head} | leftovers | faults | s of processor time{more} |")
    print("|---|---|---|---|---|---|---|" + ("---|" if kill else ""))
    found: list[str] = []
    for name, tally in tries(how, n, only):
        print(
            f"| {name} | {tally.tried:,} | {tally.stopped:,} | {tally.equal:,} | "
            f"{tally.leftovers:,} | {len(tally.faults):,} | {tally.seconds:.1f} |"
            + (f" {tally.slowest:.2f} |" if kill else ""),
            flush=True,
        )
        found += tally.faults
        for fault in tally.faults[:10]:
            print(fault, file=sys.stderr, flush=True)
    return int(bool(found))


def _with_shim(words: list[str]) -> int:
    """Run this file with the library in front of the C library."""
    with tempfile.TemporaryDirectory() as folder:
        library = Path(folder) / "fail_writes.so"
        subprocess.run(["cc", "-O1", "-shared", "-fPIC", "-o", library, SHIM, "-ldl"], check=True)
        command = [sys.executable, __file__, *words]
        return subprocess.run(
            command, env={**os.environ, "LD_PRELOAD": str(library)}, check=False
        ).returncode


if __name__ == "__main__":
    sys.path.insert(0, str(Path(__file__).parent))
    sys.exit(main(sys.argv[1:]))
