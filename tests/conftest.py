"""What holds for every test: no network but loopback, no real key, no timing."""

from __future__ import annotations

import errno
import ipaddress
import os
import re
import socket
import sys
from collections.abc import Iterator
from typing import Any

import pytest
from hypothesis import settings

from optimizer.testing.server import FakeServer, running_server

settings.register_profile("quick", deadline=None, max_examples=50)
settings.load_profile("quick")

KEY_NAME = re.compile(r"(API_KEY|API_BASE|BASE_URL|_TOKEN|_SECRET)$")


def is_loopback(host: object) -> bool:
    name = host.decode("ascii", "replace") if isinstance(host, bytes) else host
    if name in (None, "", "localhost"):
        return True
    try:
        return ipaddress.ip_address(str(name)).is_loopback
    except ValueError:
        return False


def refuse_network(event: str, arguments: tuple[Any, ...]) -> None:
    """Behave as a machine without a network does: names do not resolve, nothing is reachable."""
    if event == "socket.getaddrinfo" and not is_loopback(arguments[0]):
        raise socket.gaierror(socket.EAI_NONAME, f"tests reach loopback only, not {arguments[0]}")
    if event == "socket.connect" and isinstance(arguments[1], tuple) and not is_loopback(arguments[1][0]):
        raise OSError(errno.ENETUNREACH, f"tests reach loopback only, not {arguments[1][0]}")


sys.addaudithook(refuse_network)


@pytest.fixture(autouse=True)
def no_real_keys(monkeypatch: pytest.MonkeyPatch) -> None:
    """A key or an endpoint of the person who runs the tests never reaches one."""
    for name in list(os.environ):
        if KEY_NAME.search(name):
            monkeypatch.delenv(name)


@pytest.fixture(scope="session")
def endpoint() -> Iterator[FakeServer]:
    """An endpoint that counts its requests, for tests that look at how many there were more."""
    with running_server() as server:
        yield server
