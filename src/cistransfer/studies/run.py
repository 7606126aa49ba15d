"""Run a study: what is asked becomes a plan, an engine runs what is not there yet."""

from __future__ import annotations

import math
import shlex
import tempfile
import time
from collections import defaultdict
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from cistransfer import cpus
from cistransfer.errors import InputError, nearest, shown
from cistransfer.progress import say
from cistransfer.studies.asked import (
    Asked,
    PathLike,
    as_listed,
    digests_of,
    duration,
    find_files,
    values_of,
)
from cistransfer.studies.engines import Engine, Here, Local, Queue, free_memory
from cistransfer.studies.pack import MOST, alike, can_gain
from cistransfer.studies.schema import Value, folder_of, load_study, text_of
from cistransfer.studies.store import Done, Store
from cistransfer.studies.trial import Plan, Trial, expand
from cistransfer.studies.work import Task, run_here

if TYPE_CHECKING:
    import pandas as pd

__all__ = ["Asked", "Outcome", "run_study", "study"]


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
        See `cistransfer.studies.asked.Asked`.

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
    declared = as_listed(declared, paths)
    digests = digests_of(store, paths)
    axes = {axis: values_of(declared, axis, wanted) for axis, wanted in asked.axes.items()}
    plan = expand(declared, digests, axes, asked.strategies)
    engine = _engine(asked)
    say(*plan.notes)
    if not plan.rows:
        raise InputError(f"{declared.name}: nothing is left to run")
    store.claim(declared.name, digests, plan, _command(name, asked), text_of(name))
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
) -> tuple[dict[str, float], list[list[Any]]]:
    """Run a finished trial again in a folder of its own, alone, and compare.

    Returns
    -------
    differences : dict of str to float
        Metrics that are not the same, and by how much at most; NaN where only one run has it.
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
    digests = digests_of(store, paths)
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
    then, now = (
        {(each.metric, each.part, each.item): each.value for each in done.measured}
        for done in (before[trial], again)
    )
    differences: dict[str, float] = {}
    for key in dict.fromkeys((*then, *now)):
        gap = abs(then.get(key, math.nan) - now.get(key, math.nan))
        if gap != 0:
            differences[key[0]] = max(gap, differences.get(key[0], 0.0))
    return differences, again.to_json()["measured"]


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
    if not asked.inputs_only:  # what only finished trials read is not made again
        compared = set(plan.compared)
        needed = set(plan.chain([name for name in todo if name in compared]))
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

    clock.begin(len(failed))
    stack = _stack(asked, [plan.trials[name] for name in todo])
    queue = Queue(plan, store, list(todo), task, clock.go_on, clock.report, stack)
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
            self.left[self.plan.trials[name].kind] += 1
        self.seconds: dict[str, list[float]] = defaultdict(list)

    @property
    def elapsed(self) -> float:
        return time.monotonic() - self.began

    def begin(self, failed: int) -> None:
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
        return self.elapsed + self._mean(self.plan.trials[name].kind) <= self.asked.budget

    def _mean(self, kind: str) -> float:
        own = self.seconds[kind]
        every = own or [each for several in self.seconds.values() for each in several]
        return sum(every) / len(every) if every else 0.0

    def report(self, name: str, done: Done | None, why: str) -> None:
        """One line for a trial that ended."""
        kind = self.plan.trials[name].kind
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


def _stack(asked: Asked, trials: Sequence[Trial]) -> int:
    """How many trials are trained as one network at most: on a GPU, where that is not said."""
    if asked.stack is not None:
        if asked.stack < 1:
            raise InputError(f"stack: expected at least 1, found {asked.stack}")
        return asked.stack
    kinds = [kind for trial in trials if (kind := alike(trial)) is not None]
    if len(kinds) == len(set(kinds)):
        return 1  # none for another: the device need not be looked for
    gains = asked.gpus > 0 if asked.engine == "ray" else can_gain(asked.device)
    return MOST if gains else 1


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
