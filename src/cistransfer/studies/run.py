"""Run a study: what is asked becomes a plan, an engine runs what is not there yet."""

from __future__ import annotations

import hashlib
import os
import re
import shlex
import tempfile
import time
from collections import defaultdict
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any

from cistransfer import cpus
from cistransfer.errors import InputError, nearest, shown
from cistransfer.progress import say
from cistransfer.storage import fingerprint, read_json, write_json
from cistransfer.studies.engines import Engine, Here, Local, Queue, free_memory
from cistransfer.studies.schema import Study, Value, folder_of, load_study
from cistransfer.studies.store import Done, Store
from cistransfer.studies.trial import Plan, Trial, expand
from cistransfer.studies.work import Task, run_here

if TYPE_CHECKING:
    import pandas as pd

__all__ = ["Asked", "Outcome", "run_study", "study"]

PathLike = str | os.PathLike[str]
_UNITS = {"s": 1, "m": 60, "h": 3600, "d": 86400}
_SIZES = {"M": 2**20, "G": 2**30, "T": 2**40}


@dataclass(frozen=True)
class Asked:
    """How much of a study, on what and how.

    Attributes
    ----------
    data : path, optional
        Folder in which the study's files lie where it says.
    files : mapping of str to path
        Files by name, instead.
    axes : mapping of str to sequence
        Values instead of the declared ones. A number of TFs means the first; of draws, so many.
    strategies : sequence of str
        By default all.
    engine : {"local", "here", "ray"}
    jobs : int, optional
        Processes of ``local`` [default: all cores].
    memory : int, optional
        Bytes for them together [default: nine tenths of what is free].
    address, gpus
        Of ``ray``.
    budget : float, optional
        Seconds after which no trial begins that would not end within them.
    shard : tuple of int, optional
        ``(I, N)``: every N-th trial from the I-th, counted from 1.
    inputs_only : bool
        Only what the trials read: trunks and example sets.
    again : bool
        Try once more what failed.
    device, precision : str
    """

    data: PathLike | None = None
    files: Mapping[str, PathLike] = field(default_factory=dict)
    axes: Mapping[str, Sequence[Value] | int] = field(default_factory=dict)
    strategies: Sequence[str] = ()
    engine: str = "local"
    jobs: int | None = None
    memory: int | None = None
    address: str = "auto"
    gpus: float = 0.0
    budget: float | None = None
    shard: tuple[int, int] | None = None
    inputs_only: bool = False
    again: bool = False
    device: str = "auto"
    precision: str = "auto"


@dataclass(frozen=True)
class Outcome:
    """What a run did.

    Attributes
    ----------
    trials, inputs : int
        In the plan.
    ran, there, failed, waiting : int
        Of both: run now, there before, failed, not begun.
    seconds : float
    """

    trials: int
    inputs: int
    ran: int
    there: int
    failed: int
    waiting: int
    seconds: float


def study(
    name: PathLike,
    out: PathLike,
    *,
    data: PathLike | None = None,
    files: Mapping[str, PathLike] | None = None,
    axes: Mapping[str, Sequence[Value] | int] | None = None,
    strategies: Sequence[str] = (),
    **options: Any,
) -> pd.DataFrame:
    """Run a study, or what is missing of it, and return its results.

    Parameters
    ----------
    name : str or path
        One that comes with the package (``cistransfer study list``), or a TOML file.
    out : path
        Folder. What is there is not run again.
    data, files, axes, strategies, **options
        See `cistransfer.studies.run.Asked`.

    Returns
    -------
    DataFrame
        One row for each trial and metric: ``strategy``, the axes, ``trial``, ``part``, ``item``,
        ``metric``, ``value``.

    Examples
    --------
    >>> import cistransfer as ct
    >>> table = ct.study("few-peaks", "study", files={"matrix": "matrix.h5", "trunk": "trunk",
    ...                  "genome": "data/genome.fa"}, axes={"tf": ["GABPA"], "size": [40],
    ...                  "draw": 1}, strategies=["gc", "kmer"], engine="here")
    >>> sorted(table["strategy"].unique())
    ['gc', 'kmer']
    """
    from cistransfer.studies.collect import results

    asked = Asked(data, files or {}, axes or {}, strategies, **options)
    run_study(name, out, asked)
    return results(Store(out))


def run_study(name: PathLike, out: PathLike, asked: Asked | None = None) -> Outcome:
    """Run what is missing of a study.

    Parameters
    ----------
    name : str or path
    out : path
    asked : Asked, optional

    Raises
    ------
    InputError
        When the study, a file or a value does not exist, or the folder holds something else.
    MachineError
        When the disk is full; what is finished stays.
    """
    asked = asked or Asked()
    declared, store = load_study(name), Store(out)
    paths = find_files(declared, asked, folder_of(name))
    digests = _digests(store, paths)
    axes = {axis: _values(declared, axis, wanted) for axis, wanted in asked.axes.items()}
    plan = expand(declared, digests, axes, asked.strategies)
    engine = _engine(asked)
    say(*plan.notes)
    if not plan.rows:
        raise InputError(f"{declared.name}: nothing is left to run")
    source = str(Path(name).absolute()) if folder_of(name) else str(name)
    store.claim(declared.name, digests, plan, source, _command(name, asked))
    wanted = plan.compared
    if asked.shard is not None:
        first, n = asked.shard
        if not 1 <= first <= n:
            raise InputError(f"shard: expected I/N with I from 1 to N, found {first}/{n}")
        wanted = wanted[first - 1 :: n]
    everything = plan.chain(wanted)
    if asked.inputs_only:
        everything = [each for each in everything if each not in set(plan.compared)]
    return _run(plan, store, everything, paths, digests, asked, engine)


def run_again(
    name: PathLike, out: PathLike, trial: str, asked: Asked
) -> tuple[bool, list[list[Any]]]:
    """Run a finished trial again in a folder of its own, and compare.

    Returns
    -------
    same : bool
        Whether every number is the same.
    measured : list
        Metric, value, part and item of each number of this run.
    """
    declared, store = load_study(name), Store(out)
    plan = store.plan()
    if trial not in plan.trials:
        raise InputError(f"{out}: no trial {trial!r}; {nearest(trial, plan.trials)}")
    before = store.finished([trial])
    if not before:
        raise InputError(f"{out}: trial {trial} is not finished")
    paths = find_files(declared, asked, folder_of(name))
    digests = _digests(store, paths)
    by_digest = {digest: paths[file] for file, digest in digests.items()}
    chosen = plan.trials[trial]
    for digest, file in chosen.reads().items():
        if digest not in by_digest:
            raise InputError(f"{file}: is not the file that trial {trial} read")
    with tempfile.TemporaryDirectory(prefix="cistransfer-") as folder:
        made = {each: store.files(each).absolute() for each in chosen.needs()}
        task = Task(
            chosen, Path(folder) / "trial", False, by_digest, made, asked.device, asked.precision
        )
        again = run_here(task)
    return again.measured == before[trial].measured, again.to_json()["measured"]


def _command(name: PathLike, asked: Asked) -> str:
    """The command that asks for the same trials."""
    words = ["cistransfer", "study", "run", Path(name).name]
    flags = {"tf": "--tfs", "size": "--sizes", "draw": "--draws"}
    for axis, wanted in asked.axes.items():
        text = str(wanted) if isinstance(wanted, int) else ",".join(map(str, wanted))
        words += [flags[axis], text] if axis in flags else ["--axis", f"{axis}={text}"]
    if asked.strategies:
        words += ["--strategies", ",".join(asked.strategies)]
    return shlex.join(words)


def _run(
    plan: Plan,
    store: Store,
    names: list[str],
    paths: Mapping[str, Path],
    digests: Mapping[str, str],
    asked: Asked,
    engine: Engine,
) -> Outcome:
    failed = set() if asked.again else set(store.failed(names))
    for name in names if asked.again else ():
        store.forget(name)
    todo = [name for name in names if not store.has(name, name in plan.kept) and name not in failed]
    needed = set(plan.chain([name for name in todo if name in set(plan.compared)] or todo))
    todo = [name for name in todo if name in needed]
    clock = _Clock(plan, todo, names, asked)
    by_digest = {digest: paths[name] for name, digest in digests.items()}

    def task(trial: Trial) -> Task:
        return Task(
            trial,
            store.place(trial.name).absolute(),
            trial.name in plan.kept,
            {digest: by_digest[digest].absolute() for digest in trial.reads()},
            {name: store.files(name).absolute() for name in trial.needs()},
            asked.device,
            asked.precision,
        )

    clock.begin(len(names) - len(todo) - len(failed), len(failed))
    queue = Queue(plan, store, list(todo), task, clock.go_on, clock.report)
    queue.known_failed(failed)
    engine.run(queue)
    inputs = [name for name in names if name not in set(plan.compared)]
    return Outcome(
        trials=len(names) - len(inputs),
        inputs=len(inputs),
        ran=clock.done,
        there=len(names) - len(todo) - len(failed),
        failed=len(failed) + clock.failed,
        waiting=len(queue.waiting),
        seconds=round(clock.elapsed, 3),
    )


class _Clock:
    """Says what is to be done, how far it is, and whether another trial fits into the budget."""

    def __init__(self, plan: Plan, todo: list[str], names: list[str], asked: Asked) -> None:
        self.plan, self.todo, self.names, self.asked = plan, todo, names, asked
        self.began = time.monotonic()
        self.done = self.failed = 0
        self.left: dict[str, int] = defaultdict(int)
        for name in todo:
            self.left[self._kind(name)] += 1
        self.seconds: dict[str, list[float]] = defaultdict(list)

    @property
    def elapsed(self) -> float:
        return time.monotonic() - self.began

    def _kind(self, name: str) -> str:
        """Trials that take about as long: of one step, strategy and size."""
        trial = self.plan.trials[name]
        values = trial.values
        return f"{trial.step} {values.get('strategy')} {values.get('name')}"

    def begin(self, there: int, failed: int) -> None:
        """What there is to do."""
        compared = set(self.plan.compared)
        todo = sum(name in compared for name in self.todo)
        total = sum(name in compared for name in self.names)
        inputs, all_inputs = len(self.todo) - todo, len(self.names) - total
        say(
            f"{total:,} trials ({todo:,} to run), {all_inputs:,} inputs ({inputs:,} to make)"
            + (f"; {failed:,} failed before (--again failed)" if failed else "")
            + self._passes()
        )

    def _passes(self) -> str:
        known = [passes_of(self.plan, name) for name in self.todo]
        trained = [each for each in known if each is not None]
        if not trained:
            return ""
        open_ends = sum(each == 0 for each in trained)
        return f"; at most {sum(trained):,} sequence passes" + (
            f", and those of {open_ends:,} trainings on all there is" if open_ends else ""
        )

    def go_on(self, name: str) -> bool:
        """Whether a trial fits into what is left of the budget."""
        if self.asked.budget is None:
            return True
        return self.elapsed + self._mean(self._kind(name)) <= self.asked.budget

    def _mean(self, kind: str) -> float:
        own = self.seconds[kind]
        every = own or [each for several in self.seconds.values() for each in several]
        return sum(every) / len(every) if every else 0.0

    def report(self, name: str, done: Done | None, why: str) -> None:
        """One line for a trial that ended."""
        kind = self._kind(name)
        self.left[kind] -= 1
        ended = self.done + self.failed + 1
        head = f"[{ended}/{len(self.todo)}] {self.plan.label(name)}"
        if done is None:
            self.failed += 1
            say(f"{head}: failed: {shown(why.splitlines()[-1], 200)}")
            return
        self.done += 1
        self.seconds[kind].append(float(done.facts["seconds"]))
        found = next((m for m in done.measured if m.metric == "aucpr"), None)
        said = "" if found is None else f": AUCPR {found.value:.3f}"
        rest = sum(n * self._mean(kind) for kind, n in self.left.items() if n)
        workers = max(1, self.asked.jobs or 1)
        later = f"; about {duration(rest / workers)} left" if rest else ""
        say(f"{head}{said} ({done.facts['seconds']:.1f} s{later})")


def passes_of(plan: Plan, name: str) -> int | None:
    """Sequences that a training reads at most, by its strategy and size.

    None for what trains nothing by gradients; 0 where the number of examples is not known yet.
    """
    from cistransfer.training.strategy import Phase, load_strategy, with_epochs

    trial = plan.trials[name]
    values = trial.values
    if trial.step not in ("finetune", "pretrain"):
        return None
    default = "pretrain" if trial.step == "pretrain" else "finetune"
    if trial.step == "finetune" and values.get("trunk") is None:
        default = "scratch"
    strategy = values.get("strategy") or default
    if not isinstance(strategy, str):
        return None
    phases = with_epochs(load_strategy(strategy), values.get("epochs")).phases
    epochs = sum(phase.epochs for phase in phases if isinstance(phase, Phase))
    reference = values.get("examples")
    size: Any = None
    if isinstance(reference, dict) and reference.get("$trial") in plan.trials:
        size = plan.trials[reference["$trial"]].values.get("positives")
    number = int(size) * 2 if isinstance(size, int) else 0
    return max(epochs, 1) * number


def duration(seconds: float) -> str:
    """A time in words.

    >>> duration(42), duration(400), duration(9000)
    ('42 s', '7 min', '2.5 h')
    """
    if seconds < 90:
        return f"{seconds:.0f} s"
    return f"{seconds / 60:.0f} min" if seconds < 5400 else f"{seconds / 3600:.1f} h"


def seconds_of(text: str) -> float:
    """Read ``30m``, ``2h``, ``90``."""
    match = re.fullmatch(r"\s*(\d+(?:\.\d+)?)\s*([smhd]?)\s*", text)
    if match is None:
        raise InputError(f"--budget: expected a time such as 30m or 2h, found {text!r}")
    return float(match[1]) * _UNITS[match[2] or "s"]


def bytes_of(text: str) -> int:
    """Read ``8G``, ``500M``."""
    match = re.fullmatch(r"\s*(\d+(?:\.\d+)?)\s*([MGT])i?B?\s*", text)
    if match is None:
        raise InputError(f"--memory: expected a size such as 8G, found {text!r}")
    return int(float(match[1]) * _SIZES[match[2]])


def _engine(asked: Asked) -> Engine:
    if asked.engine == "ray":
        from cistransfer.studies.ray_engine import Ray

        return Ray(asked.address, asked.gpus)
    if asked.engine == "here":
        return Here()
    if asked.engine != "local":
        raise InputError(
            f"no engine {asked.engine!r}; {nearest(asked.engine, ('local', 'here', 'ray'))}"
        )
    return Local(asked.jobs or cpus.allowed(), asked.memory or int(0.9 * free_memory()))


# What is asked ----------------------------------------------------------------------------------


def _values(declared: Study, axis: str, wanted: Sequence[Value] | int) -> list[Value]:
    """Values of an axis: those named, by the declared ones where they are the same."""
    if axis not in declared.axes:
        raise InputError(f"{declared.name}: no axis {axis!r}; {nearest(axis, declared.axes)}")
    known = declared.axes[axis].values
    if isinstance(wanted, int):
        if wanted < 1:
            raise InputError(f"{axis}: expected at least one value, found {wanted}")
        return list(range(wanted)) if _counts(known) else list(known[:wanted])
    by_text: dict[str, Value] = {str(value): value for value in known}
    found = [by_text.get(str(value), _number(value)) for value in wanted]
    if not found:
        raise InputError(f"{axis}: expected at least one value, found none")
    return list(dict.fromkeys(found))


def _counts(values: Sequence[Value]) -> bool:
    return list(values) == list(range(len(values)))


def _number(value: Value) -> Value:
    if isinstance(value, str):
        for kind in (int, float):
            try:
                return kind(value)
            except ValueError:
                continue
    return value


def find_files(declared: Study, asked: Asked, beside: Path | None) -> dict[str, Path]:
    """Where each file of a study lies.

    Raises
    ------
    InputError
        For a file that has to be given and is not, or is not there, and one that the study lacks.
    """
    from cistransfer.models.bundle import shipped_trunks

    for name in asked.files:
        if name not in declared.files:
            raise InputError(f"{declared.name}: no file {name!r}; {nearest(name, declared.files)}")
    found: dict[str, Path] = {}
    for name, given in declared.files.items():
        if name in asked.files:
            path = Path(asked.files[name])
        elif given.path is not None:
            base = Path(asked.data) if asked.data is not None else beside or Path()
            path = base / given.path
            if given.optional and not path.exists() and given.path not in shipped_trunks():
                continue
        elif given.optional:
            continue
        else:
            raise InputError(
                f"{declared.name}: needs {name} ({given.help.rstrip('.')}); give it with --file "
                f"{name}=PATH"
            )
        named = str(asked.files.get(name, given.path))
        if not path.exists():
            if named in shipped_trunks():
                from cistransfer.models.bundle import find_bundle

                path = find_bundle(named)
            else:
                raise InputError(f"{path}: no such file or folder ({name} of {declared.name})")
        if (path / "bundle" / "card.json").is_file():
            path = path / "bundle"
        found[name] = path
    return found


def _digests(store: Store, paths: Mapping[str, Path]) -> dict[str, str]:
    """SHA-256 of every file, read again only where size or time changed."""
    record = store.folder / "files.json"
    before = read_json(record, dict) if record.is_file() else {}
    now: dict[str, Any] = {}
    for name, path in paths.items():
        stamps = [
            [each.relative_to(path).as_posix(), each.stat().st_size, each.stat().st_mtime_ns]
            for each in _contents(path)
        ]
        known = before.get(name, {})
        place = str(path.absolute())
        if known.get("path") == place and known.get("stamps") == stamps:
            now[name] = known
            continue
        now[name] = {"path": place, "stamps": stamps, "sha256": _digest(path)}
    if now != before and store.record.is_file():
        write_json(record, {**before, **now})
    return {name: each["sha256"] for name, each in now.items()}


def _contents(path: Path) -> list[Path]:
    """The files of a folder, or the one; without indices and what is hidden."""
    if not path.is_dir():
        return [path]
    return sorted(
        each
        for each in path.rglob("*")
        if each.is_file()
        and each.suffix not in (".fai", ".gzi")
        and not any(part.startswith(".") for part in each.relative_to(path).parts)
    )


def _digest(path: Path) -> str:
    """Of a file, or of a folder's files and their names."""
    if not path.is_dir():
        return fingerprint(path).removeprefix("sha256:")
    whole = hashlib.sha256()
    for each in _contents(path):
        whole.update(f"{each.relative_to(path).as_posix()} {fingerprint(each)}\n".encode())
    return whole.hexdigest()
