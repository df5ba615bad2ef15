#!/usr/bin/python3
# SPDX-License-Identifier: GPL-2.0-only
"""holding_proxy - stands in front of an NBD server, and holds requests back until it's told to let them go.

Usage: holding_proxy.py SOCKET BEHIND FROM
  SOCKET  where clients come
  BEHIND  the server's socket
  FROM    the first request of a connection that is held, from 1; those before it, and the greeting, pass

It says on standard output "held" for a connection's first request that is held, and "hung up" when a client ends
while one of its requests is. SIGUSR1 lets all go, and from then on everything passes; SIGTERM ends it.

A client that has one request under way at a time is meant: what it sends at once begins with the request.
"""
import os
import selectors
import signal
import socket
import struct
import sys

REQUEST = struct.pack(">I", 0x25609513)


def say(what):
    print(what, flush=True)


class Connection:
    """A client, and the server's side of it."""

    def __init__(self, client, behind):
        self.client = client
        self.server = socket.socket(socket.AF_UNIX)
        self.server.connect(behind)
        self.requests = 0
        self.held = b""

    def end(self, chooser):
        if self.held:
            say("hung up")
        for side in (self.client, self.server):
            chooser.unregister(side)
            side.close()

    def from_client(self, proxy):
        data = self.client.recv(1 << 20)
        self.requests += data.startswith(REQUEST)
        if not data:
            return False
        if proxy.holds and self.requests >= proxy.first:
            if not self.held:
                say("held")
            self.held += data
        else:
            self.server.sendall(data)
        return True

    def from_server(self, _proxy):
        data = self.server.recv(1 << 20)
        self.client.sendall(data)
        return bool(data)

    def let_go(self):
        self.server.sendall(self.held)
        self.held = b""


class Proxy:
    def __init__(self, path, behind, first):
        self.behind, self.first, self.holds = behind, first, True
        self.chooser = selectors.DefaultSelector()
        self.connections = set()
        self.listener = socket.socket(socket.AF_UNIX)
        self.listener.bind(path)
        self.listener.listen(8)
        self.chooser.register(self.listener, selectors.EVENT_READ)
        # A signal is an event like others.
        self.told, told = socket.socketpair()
        told.setblocking(False)
        signal.set_wakeup_fd(told.detach())
        signal.signal(signal.SIGUSR1, lambda number, frame: None)
        self.chooser.register(self.told, selectors.EVENT_READ)

    def accept(self):
        client, _ = self.listener.accept()
        connection = Connection(client, self.behind)
        self.connections.add(connection)
        self.chooser.register(client, selectors.EVENT_READ, (connection, connection.from_client))
        self.chooser.register(connection.server, selectors.EVENT_READ, (connection, connection.from_server))

    def let_go(self):
        self.told.recv(1)
        self.holds = False
        for connection in self.connections:
            connection.let_go()

    def serve(self, connection, what):
        if connection not in self.connections:
            return
        try:
            alive = what(self)
        except OSError:
            alive = False
        if not alive:
            self.connections.remove(connection)
            connection.end(self.chooser)

    def run(self):
        while True:
            for key, _ in self.chooser.select():
                if key.fileobj is self.listener:
                    self.accept()
                elif key.fileobj is self.told:
                    self.let_go()
                else:
                    self.serve(*key.data)


def main():
    path, behind, first = sys.argv[1:]
    proxy = Proxy(path, behind, int(first))
    try:
        proxy.run()
    finally:
        os.unlink(path)


main()
