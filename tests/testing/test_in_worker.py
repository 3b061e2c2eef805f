import pytest

from nerve.testing.in_worker import CannotStart

QUICK = {"timeout": "1s", "grace_period": "100ms"}
"""Time to block a signal first, also on a crowded machine."""


@pytest.fixture
def of(project, sense_in_worker):
    """Write a compute of one line or more, and have a worker for its sense."""

    def make(body, **more):
        lines = "\n    ".join(body.split("\n"))
        project.sense("one", f"import nerve\ndef compute(db, peers, ctx):\n    {lines}\n")
        return sense_in_worker("one", project=project.root, **more)

    return make


def test_a_run_in_a_worker_says_what_a_run_in_process_says(of):
    body = "ctx.log.info('run %s', ctx.trigger.kind)\nprint('printed')\n"
    run = of(body + "return [ctx.options['n'], len(ctx.trigger.signals)]", options={"n": 3})
    first = run()
    assert (first.outcome, first.payload, first.printed) == ("signal", [3, 0], "printed\n")
    assert [(line.level, line.message) for line in first.logs] == [("info", "run manual")]
    assert first.duration_s > 0
    second = run(signals=[first.signal])
    assert (second.payload, second.printed) == ([3, 1], "printed\n")
    assert [line.message for line in second.logs] == ["run on"]
    run.stop()
    assert run.last_words() == ((), "")


def test_a_compute_that_cannot_be_interrupted_is_killed_and_the_place_is_named(of):
    """RUN-3"""
    body = "import signal, time\nsignal.pthread_sigmask(signal.SIG_BLOCK, [signal.SIGALRM])\ntime.sleep(60)"
    result = of(body, **QUICK)()
    assert (result.outcome, result.error.kind) == ("killed", "hard_timeout")
    assert 'File "senses/one/__init__.py"' in result.error.message
    assert "line 5 in compute" in result.error.message


def test_a_compute_that_takes_its_process_with_it_has_crashed_and_the_next_run_begins_anew(of):
    """RUN-5"""
    run = of("import os\nif not ctx.trigger.signals: os.abort()\nreturn 1")
    crashed = run()
    assert (crashed.outcome, crashed.error.kind) == ("crashed", "crashed")
    assert "SIGABRT" in crashed.error.message
    assert 'File "senses/one/__init__.py", line 4 in compute' in crashed.error.message
    assert run(signals=[("disk", 1)]).payload == 1


def test_a_compute_that_takes_too_much_memory_is_told_so(of):
    """RUN-6"""
    result = of("return len(bytearray(200_000_000))", limits={"memory": "128MB"})()
    assert (result.outcome, result.error.kind) == ("error", "memory")


def test_a_sense_that_cannot_be_loaded_says_why(project, sense_in_worker):
    """BOOT-3"""
    project.sense("one", "import no_such_library\n")
    with pytest.raises(CannotStart, match="no_such_library") as caught:
        sense_in_worker("one", project=project.root)()
    assert caught.value.failure.kind == "import_raised"
    assert 'File "senses/one/__init__.py", line 1' in str(caught.value)
