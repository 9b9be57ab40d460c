"""How replicas reach the page, without Ray."""

import socket
import time
from multiprocessing import AuthenticationError
from multiprocessing.connection import Client, Connection
from queue import SimpleQueue
from typing import Any

import pytest

from hpinet.cluster import replicas
from hpinet.cluster.connection import Workers
from hpinet.cluster.page import of_the_page
from hpinet.cluster.replicas import Replicas
from hpinet.settings import settings


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


@pytest.mark.parametrize(("asked", "told"), [(None, "1300"), ("900", "900"), ("5000", "1300")])
def test_the_page_takes_no_larger_job_than_a_replica_can(
    asked: str | None, told: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    if asked is None:
        monkeypatch.delenv("HPINET_JOB_MB", raising=False)
    else:
        monkeypatch.setenv("HPINET_JOB_MB", asked)
    settings.cache_clear()
    try:
        assert of_the_page(Workers(least=1, most=4, room=4, megabytes=2000))["HPINET_JOB_MB"] == told
    finally:
        settings.cache_clear()
