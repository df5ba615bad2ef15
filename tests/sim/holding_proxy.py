#!/usr/bin/python3
# SPDX-License-Identifier: GPL-2.0-only
"""holding_proxy - stands in front of an NBD server, and holds requests back until it's told to let them go.

Usage: holding_proxy.py SOCKET BEHIND WHAT
  SOCKET  where clients come
  BEHIND  the server's socket
  WHAT    of each connection it holds all requests from the first one on that is about this; what comes before passes,
          and so does the greeting
          takes  the client takes the export: its first request of all
          gives  the client gives the export back: its first request after it has signed the export as its own

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

REQUEST = 0x25609513
HEADER = ">IHHQQI"
WRITE = 1
# The block of the export that has the signature (nbd_claim.h).
SIGNATURE_OFFSET = 0


def say(what):
    print(what, flush=True)


def read_request(data):
    """Kind and offset of a request that begins here, or None."""
    if len(data) < struct.calcsize(HEADER):
        return None
    magic, _, kind, _, offset, _ = struct.unpack_from(HEADER, data)
    return (kind, offset) if magic == REQUEST else None


class Connection:
    """A client, and the server's side of it."""

    def __init__(self, client, behind):
        self.client = client
        self.server = socket.socket(socket.AF_UNIX)
        self.server.connect(behind)
        self.signed = False
        self.begun = False
        self.held = b""

    def end(self, chooser):
        if self.held:
            say("hung up")
        for side in (self.client, self.server):
            chooser.unregister(side)
            side.close()

    def look_at(self, data, what):
        """Has what is to be held begun with this?"""
        request = read_request(data)
        if request:
            self.begun |= self.signed or what == "takes"
            self.signed |= request == (WRITE, SIGNATURE_OFFSET)

    def from_client(self, proxy):
        data = self.client.recv(1 << 20)
        if not data:
            return False
        self.look_at(data, proxy.what)
        if proxy.holds and self.begun:
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
    def __init__(self, path, behind, what):
        self.behind, self.what, self.holds = behind, what, True
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
    path, behind, what = sys.argv[1:]
    if what not in ("takes", "gives"):
        sys.exit(__doc__)
    proxy = Proxy(path, behind, what)
    try:
        proxy.run()
    finally:
        os.unlink(path)


main()
