"""How replicas reach the page, without Ray."""

import socket
import time
from multiprocessing import AuthenticationError
from multiprocessing.connection import Client, Connection
from queue import SimpleQueue
from typing import Any

import pytest

from hpinet.cluster import replicas
from hpinet.cluster.replicas import Replicas


def test_strangers_who_say_nothing_keep_nobody_waiting(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(replicas, "STRANGER_SECONDS", 1)
    page = Replicas(None, at_once=1, host="127.0.0.1")
    address: Any = page._listener.address
    arrived = SimpleQueue[Connection]()
    page._expected["word"] = arrived
    with socket.create_connection(address) as silent, socket.create_connection(address):
        with Client(address, authkey=page._key) as replica:
            replica.send("word")
            connection = arrived.get(timeout=5)
            time.sleep(1.5)  # who has shown the key may take its time
            replica.send("later")
            assert connection.recv() == "later"
        assert silent.recv(100)  # the question for the key
        silent.settimeout(5)
        assert silent.recv(100) == b""  # and the end
    with pytest.raises(AuthenticationError):
        Client(address, authkey=b"another")
