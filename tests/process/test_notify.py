"""What leaves through the socket of a service manager, and what stays in the environment."""

import os
import socket

import pytest

from nerve.process.notify import Notifier, notifier_from


@pytest.fixture
def listen(short_path):
    """Be the service manager: bind an address and return what it has heard, and the room left."""
    opened = []

    def listen(address=str(short_path / "notify")):
        heard = socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM)
        opened.append(heard)
        heard.bind("\0" + address[1:] if address.startswith("@") else address)
        heard.setblocking(False)
        return address, heard

    yield listen
    for heard in opened:
        heard.close()


def received(heard):
    return heard.recv(4096).decode().splitlines()


@pytest.mark.parametrize("is_abstract", [False, True])
def test_a_word_is_a_datagram_to_a_path_or_an_abstract_name(listen, is_abstract):
    address, heard = listen(f"@nerve-test-{os.getpid()}") if is_abstract else listen()
    notifier = notifier_from({"NOTIFY_SOCKET": address})
    notifier.tell(READY="1", STATUS="two\nlines")
    notifier.close()
    assert received(heard) == ["READY=1", "STATUS=two lines"]


def test_the_variables_are_gone_so_that_no_worker_inherits_them(listen):
    address, _ = listen()
    environ = {
        "NOTIFY_SOCKET": address,
        "WATCHDOG_USEC": "3000000",
        "WATCHDOG_PID": str(os.getpid()),
        "PATH": "/bin",
    }
    notifier = notifier_from(environ)
    assert environ == {"PATH": "/bin"}
    assert notifier.watchdog_s == 3.0
    notifier.close()


@pytest.mark.parametrize(
    ("usec", "pid"), [("3000000", "1"), ("", ""), ("soon", ""), ("-1", ""), ("0", "")]
)
def test_a_watchdog_of_another_process_or_without_a_time_is_none(listen, usec, pid):
    address, _ = listen()
    given = {"NOTIFY_SOCKET": address, "WATCHDOG_USEC": usec, "WATCHDOG_PID": pid}
    notifier = notifier_from(given)
    assert notifier.watchdog_s is None
    notifier.close()


@pytest.mark.parametrize("address", ["", "vsock:2:1234", "relative/path"])
def test_without_an_address_that_can_be_reached_nothing_is_told(address):
    notifier = notifier_from({"NOTIFY_SOCKET": address, "WATCHDOG_USEC": "1000000"})
    assert not notifier.is_heard
    assert notifier.watchdog_s is None
    notifier.tell(READY="1")
    notifier.close()


def test_what_finds_no_room_goes_with_the_next_word_and_never_waits(listen):
    address, heard = listen()
    notifier = Notifier(address)
    for number in range(10_000):  # far more than a socket's queue has room for
        notifier.tell(STATUS=str(number))
    notifier.tell(RELOADING="1", MONOTONIC_USEC="7")
    notifier.tell(READY="1")
    last = ""
    while last != "STATUS=9999":
        try:
            (last,) = received(heard)
        except BlockingIOError:
            break
    notifier.tell(WATCHDOG="1")
    assert received(heard) == ["STATUS=9999", "READY=1", "WATCHDOG=1"]
    notifier.close()


def test_a_manager_that_went_away_and_came_back_hears_what_it_missed(listen, tmp_path):
    address, heard = listen()
    notifier = Notifier(address)
    heard.close()
    notifier.tell(READY="1")
    os.unlink(address)
    _, heard = listen()
    notifier.tell(WATCHDOG="1")
    assert received(heard) == ["READY=1", "WATCHDOG=1"]
    notifier.close()
