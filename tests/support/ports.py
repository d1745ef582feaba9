# SPDX-License-Identifier: Apache-2.0
"""Ports of 127.0.0.1 for programs that cannot be handed an open one.

They lie below those that a system gives to whoever connects (32768 and up on Linux), so that no connection takes one
between the question and its use, and each process asks from another place on.
"""
import itertools
import os
import socket

_numbers = itertools.count(os.getpid() * 16)


def free_port():
    for number in _numbers:
        port = 10000 + number % 20000
        with socket.socket() as probe:
            try:
                probe.bind(("127.0.0.1", port))
            except OSError:
                continue
            return port
