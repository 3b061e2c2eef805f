"""What nerve uses of others that has no public name: these fail when it disappears."""

import inspect
import multiprocessing.process
from multiprocessing import forkserver, resource_tracker

import alembic.script
from multiprocessing_logging import MultiProcessingHandler


def test_the_fork_server_can_be_found_and_its_alive_pipe_closed():
    server = forkserver._forkserver
    assert {"_forkserver_pid", "_forkserver_alive_fd"} <= set(vars(server))
    source = inspect.getsource(forkserver._serve_one)
    assert "_forkserver_alive_fd" in source  # a worker inherits its copy under this name


def test_the_list_of_children_and_the_resource_tracker_can_be_found():
    assert isinstance(multiprocessing.process._children, set)
    assert hasattr(resource_tracker._resource_tracker, "_pid")


def test_a_log_queue_has_a_write_end_that_can_be_given_away():
    """LOG-4"""
    import logging

    handler = MultiProcessingHandler("test", sub_handler=logging.NullHandler())
    handler.queue._writer.close()
    handler.close()
    assert not handler._receive_thread.is_alive()


def test_alembic_can_list_the_steps_of_an_upgrade():
    assert callable(alembic.script.ScriptDirectory._upgrade_revs)
