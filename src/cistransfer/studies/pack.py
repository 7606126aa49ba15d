"""Trials in one process: one, or several whose networks are trained as one.

Of several each runs as it does alone, in a thread of its own, but only one of them at any time;
where it comes to train a network it waits for the others. What waits and is alike is trained as
one stacked network (`cistransfer.training.stacked`), anything else alone. So the code of a trial
and its record know nothing of the others.
"""

from __future__ import annotations

import contextvars
import json
import threading
import traceback
from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from cistransfer.errors import InputError, MachineError
from cistransfer.studies.store import Done
from cistransfer.studies.trial import Trial
from cistransfer.studies.work import Task, clock, one_thread, quiet, run_here, run_task

if TYPE_CHECKING:
    from cistransfer.examples.dataset import ExampleSet
    from cistransfer.models.model import Model
    from cistransfer.training.strategy import Phase, Probe

__all__ = ["MOST", "Failed", "alike", "can_gain", "run_pack", "said"]

MOST = 32
"""Trainings that are one network at most, on a GPU."""
_FREE = {"learning_rate", "epochs", "patience", "steps_per_epoch"}
"""What may differ between trainings that are one network, of a strategy's ``change``."""


@dataclass(frozen=True)
class Failed:
    """Why a trial failed: the kind of error and its text."""

    kind: str
    text: str


def said(error: BaseException) -> Failed:
    """Kind and text of an error: one line of wrong input, the traceback of anything else."""
    if isinstance(error, InputError):
        return Failed("input", str(error))
    if isinstance(error, MemoryError):
        return Failed("memory", "out of memory")
    return Failed("error", "".join(traceback.format_exception(error)).strip())


def can_gain(device: str) -> bool:
    """Whether networks that are trained as one are faster: on a GPU, whose kernels they fill."""
    if device == "cpu":
        return False
    from cistransfer.models.score import choose_device

    return choose_device(device).type == "cuda"


def alike(trial: Trial) -> str | None:
    """What trials have in common that may be trained as one network; None for any other trial.

    These train a network by gradients alone (the published strategies, networks from scratch, most
    trunks), not by a regression on a trunk's features (the default), and have no recurrent
    layers. Whether the networks are of one form is seen when they are there.
    """
    from cistransfer.training.strategy import Phase, load_strategy

    if trial.step not in ("finetune", "pretrain"):
        return None
    values = trial.values
    default = "scratch" if values.get("trunk") is None else "finetune"
    strategy = values.get("strategy") or ("pretrain" if trial.step == "pretrain" else default)
    if isinstance(strategy, str) and not all(
        isinstance(phase, Phase) for phase in load_strategy(strategy).phases
    ):
        return None
    if values.get("architecture") == "danq":
        return None
    changed = values.get("change") or {}
    same = [values.get(name) for name in ("architecture", "arguments", "epochs")]
    fixed = {name: value for name, value in changed.items() if name not in _FREE}
    return json.dumps([trial.step, strategy, values.get("trunk") is None, *same, fixed])


def run_pack(tasks: Sequence[Task]) -> list[Done | Failed]:
    """Run trials, each whole or not at all; one that fails stops no other.

    Raises
    ------
    MachineError
        When the disk is full.
    """
    if len(tasks) == 1:
        try:
            return [run_here(tasks[0])]
        except MachineError:
            raise
        except Exception as error:  # a failed trial keeps its error and stops nothing else
            return [said(error)]
    members = [_Member(task) for task in tasks]
    with quiet(), one_thread():
        try:
            waiting = members
            while waiting:
                for member in waiting:
                    member.go_on()
                waiting = [member for member in waiting if member.training is not None]
                _train(waiting)
        finally:
            for member in members:
                member.stop()
    for member in members:
        if isinstance(member.error, MachineError):
            raise member.error
    return [member.outcome() for member in members]


class _StoppedError(BaseException):
    """The run ends: a trial that waits takes away what it has begun."""


@dataclass
class _Training:
    """What a trial asks of `cistransfer.training.loop.fit`, and what came of it."""

    model: Model
    examples: ExampleSet
    phases: Sequence[Phase | Probe]
    how: dict[str, Any]
    answer: list[dict[str, Any]] | Exception | None = None
    seconds: tuple[float, float] = (0.0, 0.0)
    """Its share of the training, by the clock and of the processor."""


class _Member:
    """A trial that runs until it trains, waits, and goes on."""

    def __init__(self, task: Task) -> None:
        self.task = task
        self.training: _Training | None = None
        self.error: BaseException | None = None
        self.facts: dict[str, Any] = {}
        self._done: Done | None = None
        self._idle = (0.0, 0.0)
        self._stopped = False
        self._turn, self._back = threading.Semaphore(0), threading.Semaphore(0)
        run = contextvars.copy_context().run
        self._thread = threading.Thread(target=run, args=(self._run,), daemon=True)

    def go_on(self) -> None:
        """Let it run until it trains or has ended."""
        if self._thread.ident is None:
            self._thread.start()
        else:
            self._turn.release()
        self._back.acquire()

    def stop(self) -> None:
        """Let it end wherever it is."""
        self._stopped = True
        self._turn.release()
        if self._thread.ident is not None:
            self._thread.join()

    def outcome(self) -> Done | Failed:
        """What came of it."""
        if self._done is None:
            assert self.error is not None
            return said(self.error)
        return self._done

    def clock(self) -> tuple[float, float]:
        """Time by the clock and of the processor that was its own."""
        return _less(clock(), self._idle)

    def _run(self) -> None:
        from cistransfer.training.run import TRAINER

        TRAINER.set(self._train)
        try:
            self._done = run_task(self.task, self.clock, self.facts)
        except BaseException as error:  # told to whoever asks for the outcome
            self.error = error
        finally:
            self._back.release()

    def _train(
        self, model: Model, examples: ExampleSet, phases: Sequence[Phase | Probe], **how: Any
    ) -> list[dict[str, Any]]:
        """Wait until the network is trained."""
        training = self.training = _Training(model, examples, phases, how)
        began = self.clock()
        self._back.release()
        self._turn.acquire()
        self.training = None
        if self._stopped:
            raise _StoppedError
        own = (began[0] + training.seconds[0], began[1] + training.seconds[1])
        self._idle = _less(clock(), own)
        if isinstance(training.answer, Exception):
            raise training.answer
        assert training.answer is not None
        return training.answer


def _less(one: tuple[float, float], other: tuple[float, float]) -> tuple[float, float]:
    return one[0] - other[0], one[1] - other[1]


def _train(waiting: Sequence[_Member]) -> None:
    """Train what waits: what is alike as one network."""
    from cistransfer.training.stacked import likeness

    groups: dict[str, list[_Member]] = {}
    for number, member in enumerate(waiting):
        assert member.training is not None
        own = member.training
        same = likeness(own.model, own.examples, own.phases, own.how["precision"])
        groups.setdefault(str(number) if same is None else same, []).append(member)
    for group in groups.values():
        _fit(group)


def _fit(group: Sequence[_Member]) -> None:
    """Train as one; in halves where memory does not suffice, alone what cannot be one."""
    import torch

    from cistransfer.training.checkpoint import tensors_of
    from cistransfer.training.stacked import fit_stacked

    trainings = [member.training for member in group if member.training is not None]
    if len(group) == 1:
        _fit_alone(trainings[0])
        return
    before = [tensors_of(each.model) for each in trainings]
    began = clock()
    try:
        answers = fit_stacked(
            [each.model for each in trainings],
            [each.examples for each in trainings],
            [each.phases for each in trainings],  # type: ignore[misc]
            seeds=[each.how["seed"] for each in trainings],
            precision=trainings[0].how["precision"],
        )
    except (MemoryError, torch.OutOfMemoryError):
        parts = [group[: len(group) // 2], group[len(group) // 2 :]]
    except (InputError, RuntimeError):  # networks of their own that `torch.vmap` cannot take apart
        parts = [[member] for member in group]
    else:
        spent = _less(clock(), began)
        for member, training, answer in zip(group, trainings, answers, strict=True):
            member.facts["stacked"] = len(group)
            training.answer = answer
            training.seconds = (spent[0] / len(group), spent[1] / len(group))
        return
    for training, tensors in zip(trainings, before, strict=True):
        training.model.load_state_dict(tensors)
    for part in parts:
        _fit(part)


def _fit_alone(training: _Training) -> None:
    from cistransfer.training.loop import fit

    began = clock()
    try:
        training.answer = fit(training.model, training.examples, training.phases, **training.how)
    except Exception as error:  # raised where the trial trains
        training.answer = error
    training.seconds = _less(clock(), began)
