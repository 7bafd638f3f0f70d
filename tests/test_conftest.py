"""The guard that keeps tests off the network."""

from __future__ import annotations

import os
import socket

import pytest


@pytest.mark.parametrize("host", ["example.com", b"example.com", "8.8.8.8", "localhost.example.com"])
def test_no_name_outside_resolves(host):
    with pytest.raises(socket.gaierror, match="loopback only"):
        socket.getaddrinfo(host, 80)


@pytest.mark.parametrize("address", [("192.0.2.1", 80), ("0.0.0.0", 80)])
def test_no_address_outside_is_reached(address):
    with socket.socket() as connection, pytest.raises(OSError, match="loopback only"):
        connection.connect(address)


def test_loopback_is_reached():
    with socket.create_server(("127.0.0.1", 0)) as server:
        with socket.create_connection(server.getsockname()) as connection:
            assert connection.getpeername() == server.getsockname()


def test_keys_are_out_of_reach():
    assert not [name for name in os.environ if name.endswith("_API_KEY")]
