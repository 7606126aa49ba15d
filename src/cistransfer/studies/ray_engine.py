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
from cistransfer.studies.engines import Queue, said
from cistransfer.studies.store import FILES, Done, pack, unpack
from cistransfer.studies.trial import Trial
from cistransfer.studies.work import Task, run_here

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
        running: dict[Any, tuple[str, Any]] = {}  # object of the result → trial, object of files
        while True:
            width = max(1, int(ray.cluster_resources().get("CPU", 1))) * _AHEAD
            while len(running) < width and (name := queue.next()) is not None:
                task = queue.task(queue.plan.trials[name])
                keys, objects = self._inputs(task)
                record, made = remote.remote(
                    task.trial.to_json(), task.keep, keys, task.device, task.precision, *objects
                )
                running[record] = (name, made)
            if not running:
                return
            ready, _ = ray.wait(list(running), num_returns=1, timeout=1.0)
            for record in ready:
                name, made = running.pop(record)
                self._take(queue, name, record, made)

    def _take(self, queue: Queue, name: str, record: Any, made: Any) -> None:
        """What came of a trial."""
        errors = self.ray.exceptions
        try:
            done = Done.from_json(self.ray.get(record))
            packed = self.ray.get(made)
        except errors.RayTaskError as error:
            cause = error.cause if isinstance(error.cause, BaseException) else error
            queue.fail(name, *said(cause))
            return
        except errors.OutOfMemoryError as error:
            queue.fail(name, "memory", " ".join(str(error).split()))
            return
        except errors.RayError as error:
            queue.fail(name, "killed", " ".join(str(error).split()))
            return
        queue.store.put(done, None if packed is None else packed.tobytes())
        if packed is not None and name in queue.plan.kept:
            self.sent[name] = self.ray.put(packed)  # here, not on a node that may be lost
        queue.finish(name, done)

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
    record: dict[str, Any],
    keep: bool,
    keys: list[tuple[str, str, str]],
    device: str,
    precision: str,
    *objects: Packed,
) -> tuple[dict[str, Any], Packed | None]:
    """Run a trial on a node: unpack what it reads, run it, hand back its record and its files."""
    files, made = {}, {}
    for (kind, key, name), packed in zip(keys, objects, strict=True):
        place = _received(key, packed)
        if kind == "file":
            files[key] = place / name if name else place
        else:
            made[key] = place
    with tempfile.TemporaryDirectory(prefix="cistransfer-") as folder:
        target = Path(folder) / "trial"
        task = Task(Trial.from_json(record), target, keep, files, made, device, precision)
        done = run_here(task)
        return done.to_json(), packed_of(target / FILES) if keep else None


def _received(key: str, packed: Packed) -> Path:
    """Where a node keeps what it was sent, unpacked once."""
    home = os.environ.get("CISTRANSFER_NODE", "")
    place = Path(home or tempfile.gettempdir()) / f"cistransfer-node-{os.getuid()}" / key
    if not (place / _SENT.marker).is_file():
        with whole_folder(place, _SENT) as temporary:
            unpack(io.BytesIO(packed.tobytes()), temporary / "content")
            (temporary / _SENT.marker).touch()
    return place / "content"
