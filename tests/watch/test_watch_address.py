"""Where an engine in a container answers: at the address of its own network, as its routing table has it."""

from __future__ import annotations

import os

from wellfed.watching.target import address_of, own_address

POD = """Main:
  +-- 0.0.0.0/0 3 0 4
     +-- 10.42.0.0/16 2 0 2
        |-- 10.42.3.0
           /24 link UNICAST
        |-- 10.42.3.17
           /32 host LOCAL
     +-- 127.0.0.0/8 2 0 2
        |-- 127.0.0.1
           /32 host LOCAL
"""


def test_a_pods_own_address() -> None:
    assert own_address(POD) == "10.42.3.17"


def test_without_a_network_it_is_loopback() -> None:
    assert own_address("") == "127.0.0.1"
    assert own_address("  |-- 127.0.0.1\n     /32 host LOCAL\n") == "127.0.0.1"


def test_a_process_of_this_network_is_at_loopback() -> None:
    assert address_of(os.getpid()) == "127.0.0.1"
    assert address_of(2**30) == "127.0.0.1"
