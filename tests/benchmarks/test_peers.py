import pytest

from benchmarks.peers import redis
from benchmarks.starters import PEERS, present

WITHOUT = "no Redis server answers"


def here(installed=lambda _: True, reason=""):
    """Names of the peers that take part, and of those that do not why."""
    peers, notes = present(PEERS, installed=installed, without_redis=lambda: reason)
    return {peer.name for peer in peers}, {note.who: note.words for note in notes}


def test_all_take_part_where_everything_is_there():
    names, why_not = here()
    assert names == {peer.name for peer in PEERS}
    assert why_not == {}


def test_who_is_not_installed_is_left_out_by_name():
    names, why_not = here(installed=lambda distribution: distribution != "pebble")
    assert set(why_not) == {"Pebble"}
    assert "pip install -e '.[bench]'" in why_not["Pebble"]
    assert "loky" in names


def test_what_comes_with_python_needs_nothing():
    names, _ = here(installed=lambda _: False)
    assert names == {peer.name for peer in PEERS if not peer.distributions}
    assert "multiprocessing.Pool" in names


def test_who_needs_a_redis_that_is_not_there_is_left_out_by_name():
    names, why_not = here(reason=WITHOUT)
    assert set(why_not) == {"Celery", "Dramatiq"}
    assert WITHOUT in why_not["Celery"]
    assert "Huey" in names


def test_without_binary_and_server_there_is_no_redis(monkeypatch):
    monkeypatch.setenv("PATH", "")
    monkeypatch.setenv(redis.URL_VARIABLE, "redis://127.0.0.1:1/0")
    assert "redis://127.0.0.1:1/0" in redis.lacking()


@pytest.mark.parametrize(("said", "answers"), [(b"+PONG\r\n", True), (b"-NOAUTH\r\n", False)])
def test_a_redis_is_one_that_answers_a_ping(said, answers, listener):
    assert redis.answers(listener(said)) is answers
