import os
import random
import threading

from nerve.config import Redactor
from nerve.logs import Rate
from nerve.process.tree import kill_tree
from nerve.supervisor.output import OutputLines

KILLS = 50


def test_fifty_kills_in_the_middle_of_logging_and_printing_cost_no_neighbour_a_record(chat):
    """LOG-4"""
    moments = random.Random(4)
    before = set(threading.enumerate())
    neighbour = chat("count", lines_per_second=1_000)
    for _ in range(KILLS):
        victim = chat("flood", lines_per_second=100_000)
        output = OutputLines(os.dup(victim.launched.stdout), Rate(0.0), Redactor().text)
        heard_of = moments.randrange(2, 40)
        victim.heard.wait_for(lambda heard, many=heard_of: len(heard.messages) >= many)
        neighbour.launched.channel.send(b"1")
        kill_tree(victim.launched.pid)
        victim.close()
        numbers = [int(message.split()[0]) for message in victim.heard.messages]
        assert numbers == list(range(len(numbers)))
        assert victim.heard.broken == []
        assert not victim.heard.thread.is_alive()
        printed, _ = output.read_rest(0.0)
        assert printed[0] == "printed 0"
        output.close()
    neighbour.heard.wait_for(lambda heard: len(heard.messages) == KILLS)
    neighbour.close()
    assert neighbour.heard.messages == [str(number) for number in range(KILLS)]
    assert neighbour.heard.left_out == 0
    assert set(threading.enumerate()) <= before


def test_what_was_logged_before_a_crash_arrives(chat):
    """LOG-4"""
    worker = chat("crash")
    assert worker.wait() == 7
    worker.close()
    assert worker.heard.messages == ["last words"]


def test_a_child_that_holds_the_pipe_of_a_dead_worker_holds_nobody(chat):
    """LOG-4, RUN-3"""
    worker = chat("abandon")
    worker.launched.process.join(30)
    worker.heard.wait_for(lambda heard: heard.messages)
    worker.heard.records.take_rest()
    worker.heard.records.close()
    assert not worker.heard.thread.is_alive()
    assert (worker.heard.messages, worker.heard.broken) == (["before"], [])
    worker.close()


def test_a_child_of_the_sense_logs_without_mixing_with_others(chat):
    """LOG-5"""
    worker = chat("fork")
    assert worker.wait() == 0
    worker.close()
    assert [len(message) for message in worker.heard.messages] == [150, 10_000]
