"""Trials on a Ray cluster: files and what trials make travel as objects, results come back.

No file system is shared: a node keeps what it was sent in a folder of its own for as long as it
lives. What a node that is lost was doing, Ray gives to another one.
"""

from __future__ import annotations

import io
import os
import tempfile
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from cistransfer.errors import InputError, MachineError
from cistransfer.storage import Kind, whole_folder
from cistransfer.studies.engines import Queue
from cistransfer.studies.pack import Failed, run_pack, said
from cistransfer.studies.store import FILES, Done, pack, unpack
from cistransfer.studies.trial import Trial
from cistransfer.studies.work import Task

__all__ = ["Ray"]

_SENT = Kind("copy", "whole", ("content/*",))
_RETRIES = 10
"""How often a trial may lose its node or its process."""
_AHEAD = 3
"""Trials that wait on the cluster for each that can run, so that no node is idle."""
Packed = NDArray[np.uint8]


class Ray:
    """A Ray cluster.

    Parameters
    ----------
    address : str
        ``auto`` (of ``RAY_ADDRESS``, or the one of this machine), ``HOST:PORT``, or ``local`` to
        start one here.
    gpus : float
        GPUs for each trial; parts of one let several trials share it.
    keep_open : bool
        Leave the connection open (a test's cluster).
    """

    def __init__(self, address: str = "auto", gpus: float = 0.0) -> None:
        try:
            import ray
        except ImportError as error:
            raise InputError(
                "engine ray: Ray is not installed; pip install 'cistransfer[ray]'"
            ) from error
        self.ray = ray
        self.address, self.gpus = address, gpus
        self.sent: dict[str, Any] = {}  # SHA-256 of a file, or name of a trial → its object

    def run(self, queue: Queue) -> None:
        """Run what waits."""
        ray = self.ray
        mine = not ray.is_initialized()
        if mine:
            try:
                ray.init(
                    address=self.address,
                    log_to_driver=False,
                    logging_level="warning",
                    namespace="cistransfer",
                )
            except ConnectionError as error:
                raise MachineError(
                    f"engine ray: no cluster at {self.address!r} ({' '.join(str(error).split())}); "
                    "'ray start --head' starts one"
                ) from error
        try:
            self._run(queue)
        finally:
            self.sent.clear()
            if mine:
                ray.shutdown()

    def _run(self, queue: Queue) -> None:
        ray = self.ray
        remote = ray.remote(max_retries=_RETRIES, num_cpus=1, num_gpus=self.gpus, num_returns=2)(
            run_remote
        )
        running: dict[Any, tuple[list[str], Any]] = {}  # records → trials, object of files
        while True:
            width = self._width()
            while len(running) < _AHEAD * width and (names := queue.next(width)):
                tasks = queue.tasks(names)
                sent = [self._inputs(task) for task in tasks]
                records, made = remote.remote(
                    [(task.trial.to_json(), task.keep) for task in tasks],
                    [keys for keys, _ in sent],
                    tasks[0].device,
                    tasks[0].precision,
                    *(each for _, objects in sent for each in objects),
                )
                running[records] = (names, made)
            if not running:
                return
            ready, _ = ray.wait(list(running), num_returns=1, timeout=1.0)
            for records in ready:
                names, made = running.pop(records)
                self._take(queue, names, records, made)

    def _width(self) -> int:
        """How many tasks the cluster runs at a time."""
        there = self.ray.cluster_resources()
        width = int(there.get("CPU", 1))
        if self.gpus:
            width = min(width, int(there.get("GPU", 0) / self.gpus))
        return max(1, width)

    def _take(self, queue: Queue, names: list[str], records: Any, made: Any) -> None:
        """What came of trials."""
        errors = self.ray.exceptions
        try:
            outcomes = [
                Done.from_json(each) if isinstance(each, dict) else Failed(*each)
                for each in self.ray.get(records)
            ]
            packed = self.ray.get(made)
        except errors.RayTaskError as error:
            cause = error.cause if isinstance(error.cause, BaseException) else error
            failed = said(cause)
        except errors.OutOfMemoryError as error:
            failed = Failed("memory", " ".join(str(error).split()))
        except errors.RayError as error:
            failed = Failed("killed", " ".join(str(error).split()))
        else:
            for name, outcome, files in zip(names, outcomes, packed, strict=True):
                if isinstance(outcome, Done):
                    queue.store.put(outcome, None if files is None else files.tobytes())
                    if files is not None and name in queue.plan.kept:
                        # here, not on a node that may be lost
                        self.sent[name] = self.ray.put(files)
                queue.take(name, outcome)
            return
        for name in reversed(names):
            if len(names) > 1 and failed.kind != "input":
                queue.again(name)  # perhaps together they were too much
            else:
                queue.take(name, failed)

    def _inputs(self, task: Task) -> tuple[list[tuple[str, str, str]], list[Any]]:
        """What a trial reads: kind, key and file name of each, and the objects."""
        keys, objects = [], []
        for digest in task.trial.reads():
            path = task.files[digest]
            keys.append(("file", digest, "" if path.is_dir() else path.name))
            objects.append(self._send(digest, path))
        for name in task.trial.needs():
            keys.append(("trial", name, ""))
            objects.append(self._send(name, task.made[name]))
        return keys, objects

    def _send(self, key: str, path: Path) -> Any:
        if key not in self.sent:
            self.sent[key] = self.ray.put(packed_of(path))
        return self.sent[key]


def packed_of(path: Path) -> Packed:
    """A file or folder as one array of bytes."""
    stream = io.BytesIO()
    pack(path, stream)
    return np.frombuffer(stream.getvalue(), dtype=np.uint8)


def run_remote(
    trials: list[tuple[dict[str, Any], bool]],
    keys: list[list[tuple[str, str, str]]],
    device: str,
    precision: str,
    *objects: Packed,
) -> tuple[list[Any], list[Packed | None]]:
    """Run trials on a node: unpack what they read, run them, hand back records and files.

    A record is that of the trial that is done, or kind and text of why it failed.
    """
    read = iter(objects)
    with tempfile.TemporaryDirectory(prefix="cistransfer-") as folder:
        tasks = []
        for number, ((record, keep), own) in enumerate(zip(trials, keys, strict=True)):
            files, made = {}, {}
            for kind, key, name in own:
                place = _received(key, next(read))
                if kind == "file":
                    files[key] = place / name if name else place
                else:
                    made[key] = place
            target = Path(folder) / f"trial-{number}"
            trial = Trial.from_json(record)
            tasks.append(Task(trial, target, keep, files, made, device, precision))
        outcomes = run_pack(tasks)
        records: list[Any] = []
        packed: list[Packed | None] = []
        for task, outcome in zip(tasks, outcomes, strict=True):
            if isinstance(outcome, Failed):
                records.append((outcome.kind, outcome.text))
                packed.append(None)
            else:
                records.append(outcome.to_json())
                packed.append(packed_of(task.target / FILES) if task.keep else None)
        return records, packed


def _received(key: str, packed: Packed) -> Path:
    """Where a node keeps what it was sent, unpacked once."""
    home = os.environ.get("CISTRANSFER_NODE", "")
    place = Path(home or tempfile.gettempdir()) / f"cistransfer-node-{os.getuid()}" / key
    if not (place / _SENT.marker).is_file():
        with whole_folder(place, _SENT) as temporary:
            unpack(io.BytesIO(packed.tobytes()), temporary / "content")
            (temporary / _SENT.marker).touch()
    return place / "content"
