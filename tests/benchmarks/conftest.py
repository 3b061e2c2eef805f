"""Servers that say one thing, and are gone after the test."""

import socket
import threading

import pytest


@pytest.fixture
def listener():
    """Start a server that gives every question one answer; returns its URL."""
    open_sockets, threads = [], []

    def start(said):
        sock = socket.create_server(("127.0.0.1", 0))
        open_sockets.append(sock)

        def answer():
            connection, _ = sock.accept()
            with connection:
                connection.recv(64)
                connection.sendall(said)

        threads.append(threading.Thread(target=answer))
        threads[-1].start()
        return f"redis://127.0.0.1:{sock.getsockname()[1]}/0"

    yield start
    for thread in threads:
        thread.join(10)
    for sock in open_sockets:
        sock.close()
