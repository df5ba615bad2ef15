#!/usr/bin/python3
# SPDX-License-Identifier: GPL-2.0-only
"""lying_server - an NBD server that is good until it lies.

Usage: lying_server.py SOCKET LIE
  LIE    cookie   answers a request that it doesn't have
         twice    answers one twice
         garbage  says something else
         early    answers a write before it has read it
         cut      ends in the middle of a page
         hello    is nonsense from the beginning

It admits one connection at a time, keeps pages in memory, and lies from its 100th answer on. It ends
when somebody has hung up because of that.
"""
import os
import socket
import struct
import sys

SIZE = 64 << 20
REQUEST, REPLY = 0x25609513, 0x67446698


def receive(conn, size):
    data = b""
    while len(data) < size:
        part = conn.recv(size - len(data))
        if not part:
            raise ConnectionError
        data += part
    return data


def greet(conn, lie, flags=0x21):
    if lie == "hello":
        conn.sendall(b"NBDMAGICIHAVEOPS" + bytes(100))
    conn.sendall(b"NBDMAGICIHAVEOPT" + struct.pack(">H", 3))
    receive(conn, 4)
    _, number, size = struct.unpack(">QII", receive(conn, 16))
    receive(conn, size)
    conn.sendall(struct.pack(">QIII", 0x3e889045565a9, number, 3, 12) + struct.pack(">HQH", 0, SIZE, flags))
    conn.sendall(struct.pack(">QIII", 0x3e889045565a9, number, 1, 0))


def tell_lie(conn, lie, kind, cookie, size):
    good = struct.pack(">IIQ", REPLY, 0, cookie)
    if lie == "cookie":
        conn.sendall(struct.pack(">IIQ", REPLY, 0, 1 << 40))
    elif lie == "twice":
        conn.sendall((good + (bytes(size) if kind == 0 else b"")) * 2)
    elif lie == "garbage":
        conn.sendall(os.urandom(1 << 16))
    elif lie == "early":
        conn.sendall(good * 2)
    elif lie == "cut" and kind == 0:
        conn.sendall(good + bytes(size // 2))
        conn.shutdown(socket.SHUT_RDWR)


def serve(conn, lie, disk):
    greet(conn, lie)
    answers = 0
    while True:
        magic, _, kind, cookie, offset, size = struct.unpack(">IHHQQI", receive(conn, 28))
        if magic != REQUEST or offset + size > SIZE or kind not in (0, 1, 4):
            sys.exit("lying_server: no request")
        answers += 1
        if answers >= 100:
            tell_lie(conn, lie, kind, cookie, size)
        if kind == 1:
            disk[offset:offset + size] = receive(conn, size)
        conn.sendall(struct.pack(">IIQ", REPLY, 0, cookie) + (disk[offset:offset + size] if kind == 0 else b""))


def main():
    path, lie = sys.argv[1:]
    listener = socket.socket(socket.AF_UNIX)
    listener.bind(path)
    listener.listen(8)
    disk = bytearray(SIZE)
    lied_to = 0
    while lied_to < 3:
        conn, _ = listener.accept()
        try:
            serve(conn, lie, disk)
        except (ConnectionError, OSError):
            lied_to += 1
        conn.close()
    os.unlink(path)


if __name__ == "__main__":
    main()
