"""What nerve uses of others that has no public name: these fail when it disappears."""

import inspect
import logging
import multiprocessing.process
import signal
import threading
from multiprocessing import forkserver, resource_tracker, util
from multiprocessing.connection import Connection

import alembic.script
from multiprocessing_logging import MultiProcessingHandler

from nerve.process.kernel import handler_of, set_handler


def test_the_fork_server_can_be_found_and_its_alive_pipe_closed():
    server = forkserver._forkserver
    names = {"_forkserver_pid", "_forkserver_alive_fd", "_forkserver_address"}
    assert names <= set(vars(server))
    assert isinstance(multiprocessing.process.current_process()._config, dict)
    source = inspect.getsource(forkserver._serve_one)
    assert "_forkserver_alive_fd" in source  # a worker inherits its copy under this name


def test_the_descriptors_of_the_fork_server_can_be_found():
    """RUN-10: the sentry takes them from this frame."""
    assert {"listener_fd", "alive_r"} <= set(forkserver.main.__code__.co_varnames)


def test_the_list_of_children_and_the_resource_tracker_can_be_found():
    assert isinstance(multiprocessing.process._children, set)
    assert {"_pid", "_fd"} <= set(vars(resource_tracker._resource_tracker))


def test_a_log_handler_has_a_queue_with_two_ends_and_a_thread_whose_work_can_be_replaced():
    """LOG-4"""
    worked = threading.Event()

    class Replaced(MultiProcessingHandler):
        def _receive(self):
            worked.set()

    handler = Replaced("test", sub_handler=logging.NullHandler())
    assert worked.wait(30)
    for end in (handler.queue._reader, handler.queue._writer):
        assert isinstance(end, Connection)
        end.close()
    handler.close()
    assert not handler._receive_thread.is_alive()


def test_handlers_of_signals_can_be_read_and_set_without_enums():
    """RUN-5"""
    before = signal.signal(signal.SIGUSR2, signal.SIG_IGN)
    try:
        assert handler_of(signal.SIGUSR2) == signal.SIG_IGN
        set_handler(signal.SIGUSR2, ignore := lambda *_: None)
        assert handler_of(signal.SIGUSR2) is signal.getsignal(signal.SIGUSR2) is ignore
    finally:
        signal.signal(signal.SIGUSR2, before)


def test_what_is_to_be_done_at_a_workers_end_can_be_registered():
    """LOG-5"""
    assert callable(util.Finalize)
    assert "_exit_function" in inspect.getsource(multiprocessing.process.BaseProcess._bootstrap)


def test_alembic_can_list_the_steps_of_an_upgrade():
    assert callable(alembic.script.ScriptDirectory._upgrade_revs)
