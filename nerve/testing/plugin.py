"""The fixtures, for pytest.

Loaded in every run of pytest where nerve is installed, whether it has to do with nerve or not: so
nothing is imported here beyond pytest itself, and nothing happens until a fixture is asked for.
"""

from collections.abc import Callable, Iterator, Mapping
from contextlib import ExitStack
from datetime import datetime
from pathlib import Path
from typing import TYPE_CHECKING, Any, TypeVar

import pytest

_Made = TypeVar("_Made")

if TYPE_CHECKING:
    from nerve.testing.in_process import SenseInProcess
    from nerve.testing.in_worker import SenseInWorker
    from nerve.testing.scene import Peer, Scene
    from nerve.testing.whole import WholeNerve


@pytest.fixture
def sense(
    request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory
) -> "Iterator[Callable[..., SenseInProcess]]":
    """Put a sense on its migrated database, and run it in this process, as often as is wanted.

    run = sense("load-watch"); result = run()
    sense(name, options={}, secrets={}, peers={}, now=None, project=None, **settings)
    """
    # Here and in the others: whoever does not use a fixture does not pay for it.
    from nerve.testing.in_process import SenseInProcess

    with ExitStack() as stack:

        def make(name: str, *, now: datetime | None = None, **more: Any) -> SenseInProcess:
            __tracebackhide__ = True
            if "limits" in more:
                raise TypeError("limits hold in a worker only: sense_in_worker(..., limits={...})")
            scene = _scene(request, tmp_path_factory, name, **more)
            made = _explained(lambda: SenseInProcess(scene, now=now), scene.loaded.path.parent)
            stack.callback(made.close)
            return made

        yield make


@pytest.fixture
def sense_in_worker(
    request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory
) -> "Iterator[Callable[..., SenseInWorker]]":
    """Run a sense in a real worker.

    run = sense_in_worker("load-watch"); result = run()
    sense_in_worker(name, options={}, secrets={}, peers={}, limits={}, project=None, **settings)
    """
    from nerve.testing.in_worker import in_worker

    with ExitStack() as stack:

        def make(name: str, **more: Any) -> "SenseInWorker":
            __tracebackhide__ = True
            made = in_worker(_scene(request, tmp_path_factory, name, **more))
            stack.callback(made.close)
            return made

        yield make


@pytest.fixture
def whole_nerve(
    request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory
) -> "Iterator[WholeNerve]":
    """Run the project as `nerve run` does, its state elsewhere.

    running = whole_nerve(); running.signals("load-watch")
    """
    from nerve.testing.whole import WholeNerve

    made = WholeNerve(_project(request, None), tmp_path_factory.mktemp("nerve"))
    yield made
    made.close()


@pytest.fixture
def check_migrations(request: pytest.FixtureRequest) -> Callable[..., None]:
    """Hold a sense's migrations against rows, foreign keys and its metadata.

    check_migrations(name, rows={"readings": [{...}]}, project=None)
    """
    from nerve.testing import migrating

    def check(name: str, *, project: Path | None = None, **more: Any) -> None:
        __tracebackhide__ = True
        _explained(
            lambda: migrating.check_migrations(name, project=_project(request, project), **more)
        )

    return check


def _scene(
    request: pytest.FixtureRequest,
    folders: pytest.TempPathFactory,
    name: str,
    *,
    project: Path | None = None,
    peers: "Mapping[str, Peer] | None" = None,
    limits: Mapping[str, Any] | None = None,
    **settings: Any,
) -> "Scene":
    from nerve.testing.scene import make_scene

    __tracebackhide__ = True
    return _explained(
        lambda: make_scene(
            name,
            project=_project(request, project),
            folder=folders.mktemp(name),
            peers=peers or {},
            limits=limits or {},
            settings=settings,
        )
    )


def _project(request: pytest.FixtureRequest, named: Path | None) -> Path:
    from nerve.testing.scene import project_of

    return named.absolute() if named else project_of(request.path.parent)


def _explained(make: Callable[[], _Made], project: Path | None = None) -> _Made:
    """Have pytest show an error as the log does: the author's frames, and the hint.

    It prints the notes of an exception below its message.
    """
    from nerve.errors import NerveError

    __tracebackhide__ = True
    try:
        return make()
    except NerveError as error:
        from nerve.config.secrets import Redactor
        from nerve.worker.traces import describe_exception

        fault = describe_exception(error, Redactor(), str(project or ""))
        for note in filter(None, (fault.traceback.rstrip(), error.hint and f"hint: {error.hint}")):
            error.add_note(note)
        raise error.with_traceback(None) from None
