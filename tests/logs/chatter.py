"""What the workers of these tests run; named by text, like every worker's entry."""

import logging
import os
import sys

from nerve.config import Redactor
from nerve.logs import send_records_to


def flood(channel, pipe):
    """Log and print until killed."""
    send_records_to(pipe, Redactor())
    number = 0
    while True:
        logging.getLogger("flood").info("%d %s", number, "x" * (number % 9) * 1000)
        os.write(1, b"printed %d\n" % number)
        number += 1


def count(channel, pipe):
    """Log one numbered record for each byte that comes; end with the channel."""
    send_records_to(pipe, Redactor())
    number = 0
    while channel.recv(1):
        logging.getLogger("count").info("%d", number)
        number += 1


def crash(channel, pipe):
    """Log, and be gone."""
    send_records_to(pipe, Redactor())
    logging.getLogger("crash").info("last words")
    os._exit(7)


def burst(channel, pipe):
    """Log more than the rate, and end in order."""
    send_records_to(pipe, Redactor())
    for number in range(1_000):
        logging.getLogger("burst").info("%d", number)
    sys.exit(0)


def abandon(channel, pipe):
    """Leave a child behind that holds all pipes open, half a frame in one of them."""
    send_records_to(pipe, Redactor())
    logging.getLogger("abandon").info("before")
    if os.fork() == 0:
        channel.recv(1)  # until the test is over
        os._exit(0)
    os.write(pipe.connection.fileno(), b"=half a frame")
    os._exit(0)


def fork(channel, pipe):
    """Log in a child of its own."""
    send_records_to(pipe, Redactor())
    if os.fork() == 0:
        logging.getLogger("child").info("\U0001f600" * 10_000)
        os._exit(0)
    os.wait()
    logging.getLogger("worker").info("x" * 10_000)
