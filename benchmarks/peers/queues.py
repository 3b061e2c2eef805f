"""Peers that are task queues: a broker between the caller and the workers.

    python -m benchmarks.peers.queues celery|huey FOLDER WORKERS [URL PREFIX]

so started, this is the parent of the workers; Dramatiq brings a command for that. Each is kept to
what a closed loop needs: no gossip, no events, no periodic tasks, short polling.
"""

import contextlib
import os
import subprocess
import sys
import uuid
from pathlib import Path
from typing import Any

from benchmarks.peers import redis
from benchmarks.peers.hanging import hang
from benchmarks.peers.work import work
from nerve.process.tree import kill_tree

PATIENCE_S = 30.0
"""For one result, and so for the start of the workers too."""
POLL_S = 0.001
"""Of Huey, on both sides; its own defaults are a tenth of a second."""
URL, PREFIX = "BENCH_REDIS_URL", "BENCH_REDIS_PREFIX"

Result = dict[str, str]


class QueuePeer:
    """One with a broker: what all have in common."""

    def __init__(self, folder: Path) -> None:
        self._folder = str(folder)
        self._open = contextlib.ExitStack()

    def _start(self, *arguments: str, **variables: str) -> None:
        """Start the workers; they end with this peer."""
        workers = subprocess.Popen(
            [sys.executable, "-m", *arguments],
            env={**os.environ, **variables},
            stdin=subprocess.DEVNULL,
            stdout=sys.stderr,
        )
        self._open.callback(workers.wait)
        self._open.callback(kill_tree, workers.pid)  # there is nothing to be saved

    def _redis(self) -> tuple[str, str]:
        """URL of a server, and what all keys there are to begin with."""
        url = self._open.enter_context(redis.server(Path(self._folder)))
        prefix = f"bench-{uuid.uuid4().hex}-"
        self._open.callback(redis.forget, url, prefix)
        return url, prefix

    def is_done(self, _: Any) -> bool:
        """False: to ask is as dear as to take."""
        return False

    def close(self) -> None:
        """End the workers, and the server if it is ours."""
        self._open.close()


class Celery(QueuePeer):
    """Celery with Redis as broker and for results."""

    def __init__(self, folder: Path, workers: int) -> None:
        super().__init__(folder)
        url, prefix = self._redis()
        self._task = celery_app(url, prefix).tasks["work"]
        self._start(__name__, "celery", self._folder, str(workers), url, prefix)

    def submit(self, synchronous: str) -> Any:
        """Have `work` done."""
        return self._task.delay(self._folder, synchronous)

    def take(self, pending: Any) -> Result:
        """Wait for the result."""
        result: Result = pending.get(PATIENCE_S)
        return result

    def submit_hanging(self, timeout_s: float) -> Any:
        """Have `hang` done, which is to be ended after so long."""
        return self._task.app.tasks["hang"].apply_async(time_limit=timeout_s)


class Huey(QueuePeer):
    """Huey with its SQLite storage, which is told to sync nothing."""

    def __init__(self, folder: Path, workers: int) -> None:
        super().__init__(folder)
        self._task = huey_app(folder)
        self._start(__name__, "huey", self._folder, str(workers))

    def submit(self, synchronous: str) -> Any:
        """Have `work` done."""
        return self._task(self._folder, synchronous)

    def take(self, pending: Any) -> Result:
        """Poll for the result."""
        result: Result = pending.get(
            blocking=True, timeout=PATIENCE_S, backoff=1.0, max_delay=POLL_S
        )
        return result


class Dramatiq(QueuePeer):
    """Dramatiq with Redis as broker and for results."""

    def __init__(self, folder: Path, workers: int) -> None:
        super().__init__(folder)
        url, prefix = self._redis()
        self._actor = dramatiq_actor(url, prefix)
        shape = ("--processes", str(workers), "--threads", "1")
        app = f"{__name__}:set_up_dramatiq"
        self._start("dramatiq", app, *shape, **{URL: url, PREFIX: prefix})

    def submit(self, synchronous: str) -> Any:
        """Have `work` done."""
        return self._actor.send(self._folder, synchronous)

    def take(self, pending: Any) -> Result:
        """Wait for the result."""
        result: Result = pending.get_result(block=True, timeout=int(PATIENCE_S * 1_000))
        return result


def celery_app(url: str, prefix: str) -> Any:
    """The application, the same for caller and workers."""
    from celery import Celery as Application  # an extra

    app = Application("bench", broker=url, backend=url)
    keys = {"global_keyprefix": prefix}
    app.conf.update(
        broker_transport_options=keys,
        result_backend_transport_options=keys,
        task_default_queue=prefix,
        broker_connection_retry_on_startup=True,
    )
    app.task(name="work")(work)
    app.task(name="hang")(hang)
    return app


def huey_app(folder: Path) -> Any:
    """The task, the same for caller and workers."""
    from huey import SqliteHuey  # an extra

    (folder / "queue").mkdir(exist_ok=True)
    filename = str(folder / "queue" / "huey.db")
    return SqliteHuey("bench", filename=filename, fsync=False).task(name="work")(work)


def dramatiq_actor(url: str, prefix: str) -> Any:
    """The actor, the same for caller and workers."""
    import dramatiq  # an extra
    from dramatiq.brokers.redis import RedisBroker
    from dramatiq.results import Results
    from dramatiq.results.backends import RedisBackend

    broker = RedisBroker(url=url, namespace=prefix)
    broker.add_middleware(Results(backend=RedisBackend(url=url, namespace=f"{prefix}results")))
    dramatiq.set_broker(broker)
    return dramatiq.actor(work, actor_name="work", store_results=True)


def set_up_dramatiq() -> None:
    """Called by Dramatiq's command in its workers."""
    dramatiq_actor(os.environ[URL], os.environ[PREFIX])


def serve_celery(workers: str, url: str, prefix: str) -> None:
    """Be Celery's workers."""
    quiet = ("--without-gossip", "--without-mingle", "--without-heartbeat", "--loglevel", "ERROR")
    shape = ("--pool", "prefork", "--concurrency", workers)
    celery_app(url, prefix).worker_main(["worker", *shape, *quiet])


def serve_huey(folder: str, workers: str) -> None:
    """Be Huey's consumer."""
    huey_app(Path(folder)).huey.create_consumer(
        workers=int(workers),
        worker_type="process",
        initial_delay=POLL_S,
        max_delay=POLL_S,
        periodic=False,
    ).run()


if __name__ == "__main__":
    kind, folder, *others = sys.argv[1:]
    if kind == "celery":
        serve_celery(*others)
    else:
        serve_huey(folder, *others)
