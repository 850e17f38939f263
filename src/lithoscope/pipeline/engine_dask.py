"""Runs units of work on a Dask cluster: one that is running, or processes of this machine."""

from __future__ import annotations

import logging
import pickle
import platform
import threading
import time
import uuid
from collections import deque
from collections.abc import Iterator, Mapping, Sequence
from contextlib import suppress
from importlib import metadata
from typing import Any

from lithoscope import __version__
from lithoscope.errors import ConfigError, LithoscopeError
from lithoscope.pipeline.engine import Function

#: A task takes as many units as fill this time (s): the scheduler spends milliseconds on a task
#: and has one thread, so thousands of workers need tasks of a minute.
TASK_S = 60.0
#: Tasks left for each worker, at least, when tasks are made longer, so that all end together.
TASKS_A_WORKER = 4
#: How long a run waits for a scheduler to answer, for its first worker, and for another worker when
#: none is left (s).
CONNECT_S = 15.0
FIRST_WORKER_S = 60.0
NO_WORKERS_S = 300.0
#: How often workers of this machine are started before the run gives up.
START_TRIES = 3
# A result depends on these, so they must be the same everywhere.
_LIBRARIES = (
    "lithoscope",
    "numpy",
    "scipy",
    "pandas",
    "obspy",
    "numba",
    "onnxruntime",
    "distributed",
)

# A worker has one unit's data in memory, however many threads it was started with.
_one_at_a_time = threading.Lock()


class DaskEngine:
    """Map a function over units on the workers of a Dask cluster.

    What is shared is sent once to each worker that needs it. Units go in tasks of about `TASK_S`
    seconds; a task whose worker is lost is done again by another, up to the limit of the
    scheduler (``distributed.scheduler.allowed-failures``, three). Workers may come and go.

    Parameters
    ----------
    scheduler
        Address such as ``tcp://host:8786``; empty for a cluster of processes of this machine,
        which ends with the engine.
    workers
        Processes of that cluster, one thread each; without meaning if a scheduler is named.

    Raises
    ------
    ConfigError
        If distributed is not installed or the address is none.
    LithoscopeError
        If the scheduler does not answer, has no workers, or a worker has other versions.
    """

    def __init__(self, scheduler: str = "", workers: int = 2) -> None:
        try:
            import distributed
        except ImportError:
            raise ConfigError(
                "the engine dask needs distributed; pip install lithoscope[scale]"
            ) from None
        self._dask = distributed
        self._cluster: Any = None
        # What Dask says of lost workers is for its own developers; a run goes on.
        logging.getLogger("distributed").setLevel(logging.CRITICAL)
        if not scheduler:
            self._cluster = self._start(workers)
        try:
            self._client = self._connect(scheduler, workers)
            self._check_versions(_own_versions())
        except BaseException:
            self.close()
            raise

    def _start(self, workers: int) -> Any:
        """Start a cluster on this machine; begin again if a worker is killed while it starts."""
        for _ in range(START_TRIES):
            with suppress(RuntimeError):
                return self._dask.LocalCluster(
                    n_workers=workers,
                    threads_per_worker=1,
                    memory_limit=0,
                    # Any free port: the usual one may be taken by another cluster.
                    dashboard_address="127.0.0.1:0",
                    scheduler_kwargs={"dashboard": False},
                    silence_logs=logging.CRITICAL,
                )
        raise LithoscopeError(
            f"the Dask workers of this machine failed to start {START_TRIES} times (out of "
            "memory?); start fewer with --workers, or use --engine local"
        )

    def _connect(self, scheduler: str, workers: int) -> Any:
        place = scheduler or self._cluster
        try:
            client = self._dask.Client(place, timeout=CONNECT_S, set_as_default=False)
        except (OSError, TimeoutError):
            raise LithoscopeError(
                f"the Dask scheduler '{scheduler}' does not answer; start one with `dask "
                "scheduler` or correct --scheduler"
            ) from None
        except (ValueError, TypeError) as error:
            raise ConfigError(
                f"--scheduler '{scheduler}' is no address ({error}); it looks like tcp://host:8786"
            ) from None
        self._client = client
        try:
            client.wait_for_workers(workers if self._cluster else 1, timeout=FIRST_WORKER_S)
        except TimeoutError:
            raise LithoscopeError(
                f"the Dask scheduler '{client.scheduler.address}' has no workers; start some with "
                f"`dask worker {client.scheduler.address} --nthreads 1`"
            ) from None
        return client

    def _check_versions(self, wanted: Mapping[str, str]) -> None:
        """Refuse workers with other libraries: they could give other results, or none."""
        for name, mine in wanted.items():
            # Functions of the standard library run on a worker that has nothing else.
            ask = (platform.python_version,) if name == "python" else (metadata.version, name)
            for worker, theirs in sorted(self._client.run(*ask, on_error="return").items()):
                lost = isinstance(theirs, OSError)  # since the scheduler named it
                if theirs != mine and not lost:
                    what = f"has {name} {theirs}" if isinstance(theirs, str) else f"has no {name}"
                    raise LithoscopeError(
                        f"worker {worker} {what} and this client {name} {mine}; install the same "
                        "versions on all machines"
                    )

    @property
    def workers(self) -> int:
        """Workers of the cluster at this moment."""
        return len(self._client.nthreads())

    def map(
        self, function: Function, shared: Any, units: Sequence[Any]
    ) -> Iterator[tuple[Any, Any]]:
        """Yield (unit, result) as units finish.

        Raises
        ------
        LithoscopeError
            If a unit failed with one, if workers were killed again and again at the same unit
            (most often for memory), or if the scheduler or all workers are gone.
        """
        if not units:
            return
        import dask

        with dask.config.set({"distributed.admin.large-graph-warning-threshold": "1 TiB"}):
            # A task and not scattered data: it is made anew if the worker that holds it is lost.
            common = self._client.submit(
                pickle.loads, pickle.dumps((function, shared, __version__)), key=_key("shared")
            )
            pending: dict[Any, list[Any]] = {}
            try:
                yield from self._spread(common, deque(units), pending)
            except self._lost():
                raise LithoscopeError(
                    "the connection to the Dask scheduler was lost; run again: finished work is "
                    "kept"
                ) from None
            except self._dask.scheduler.KilledWorker:
                raise LithoscopeError(
                    "workers were killed again and again at the same work (out of memory?); give "
                    "them more memory and run again: finished work is kept"
                ) from None
            finally:
                with suppress(*self._lost()):
                    self._client.cancel(list(pending))
                pending.clear()
                common.release()

    def _lost(self) -> tuple[type[Exception], ...]:
        """Return what Dask raises once the scheduler is gone."""
        client = self._dask.client
        return (
            client.FutureCancelledError,
            client.FuturesCancelledError,
            client.ClosedClientError,
            self._dask.comm.CommClosedError,
        )

    def _spread(
        self, common: Any, left: deque[Any], pending: dict[Any, list[Any]]
    ) -> Iterator[tuple[Any, Any]]:
        seconds, done = 0.0, 0
        while left or pending:
            slots = max(self.workers, 1)
            while left and len(pending) < 2 * slots:
                size = task_size(seconds / done if done else None, len(left), slots)
                batch = [left.popleft() for _ in range(size)]
                future = self._client.submit(
                    _do, common, pickle.dumps(batch), key=_key("units"), pure=False
                )
                pending[future] = batch
            for future in self._finished(pending):
                results, took = future.result()
                seconds, done = seconds + took, done + len(results)
                yield from zip(pending.pop(future), results, strict=True)

    def _finished(self, pending: dict[Any, list[Any]]) -> list[Any]:
        """Wait for tasks; give up when there has been no worker for `NO_WORKERS_S`."""
        alone_since: float | None = None
        while True:
            try:
                with self._client.as_current():
                    found = self._dask.wait(list(pending), 5.0, return_when="FIRST_COMPLETED")
                return list(found.done)
            except TimeoutError:
                now = time.monotonic()
                if self.workers:
                    alone_since = None
                elif alone_since is None:
                    alone_since = now
                elif now - alone_since > NO_WORKERS_S:
                    raise LithoscopeError(
                        f"the Dask cluster has had no worker for {NO_WORKERS_S:.0f} s; start "
                        "workers and run again: finished work is kept"
                    ) from None

    def close(self) -> None:
        """Leave the cluster; end it if it is our own."""
        client = getattr(self, "_client", None)
        # Results are on the disk: what a busy machine does not end in time ends with this process.
        for part in (client, self._cluster):
            if part is not None:
                with suppress(TimeoutError):
                    part.close()


def task_size(seconds_a_unit: float | None, n_left: int, n_workers: int) -> int:
    """Return how many units the next task takes: one until it is known how long they take.

    Later about `TASK_S` seconds, and less towards the end, so that no worker is left alone.
    """
    if seconds_a_unit is None:
        return 1
    long_enough = int(TASK_S / max(seconds_a_unit, 1e-6))
    return max(1, min(long_enough, n_left // (TASKS_A_WORKER * n_workers)))


def _own_versions() -> dict[str, str]:
    found = {name: metadata.version(name) for name in _LIBRARIES}
    return {"python": platform.python_version(), **found}


def _key(what: str) -> str:
    return f"lithoscope-{what}-{uuid.uuid4().hex}"


def _do(common: Any, content: bytes) -> tuple[list[Any], float]:
    """Do some units on a worker; return their results and the seconds they took."""
    function, shared, version = common
    if version != __version__:  # a worker that joined after the client looked
        raise LithoscopeError(
            f"a worker on {platform.node()} has lithoscope {__version__} and the client {version}; "
            "install the same versions on all machines"
        )
    with _one_at_a_time:
        started = time.perf_counter()
        results = [function(shared, unit) for unit in pickle.loads(content)]
        return results, time.perf_counter() - started
