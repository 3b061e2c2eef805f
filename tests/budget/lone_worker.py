"""A worker without a nerve: `python -m tests.budget.lone_worker DESCRIPTOR`, of its channel."""

import socket
import sys

from nerve.worker import preload
from nerve.worker.main import run

__all__ = ["preload"]

if __name__ == "__main__":
    run(socket.socket(fileno=int(sys.argv[1])))
