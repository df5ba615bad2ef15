#!/usr/bin/python3
# SPDX-License-Identifier: GPL-2.0-only
"""late_server - an NBD server whose connections all see the export as it was before any of them wrote.

Usage: late_server.py SOCKET CONNECTIONS

The first READ of each is answered when all have asked, with what was there then, and one after the other: the next
one when the one before has written, or doesn't within a moment. From then on it's as good as any. It keeps pages in
memory, and ends with its connections.
"""
import socket
import struct
import sys
import threading

from lying_server import REPLY, REQUEST, SIZE, greet, receive

MOMENT_S = 0.2
count = int(sys.argv[2])
disk = bytearray(SIZE)
all_have_asked = threading.Barrier(count)
has_written = threading.Event()
turn = [threading.Event() for _ in range(count + 1)]


def serve(conn):
    greet(conn, "", flags=0x121)
    is_first = True
    try:
        while True:
            magic, _, kind, cookie, offset, size = struct.unpack(">IHHQQI", receive(conn, 28))
            if magic != REQUEST or kind not in (0, 1, 4):
                break
            answer = struct.pack(">IIQ", REPLY, 0, cookie)
            if kind == 0:
                answer += disk[offset:offset + size]
            if kind == 1:
                disk[offset:offset + size] = receive(conn, size)
            if kind == 0 and is_first:
                is_first = False
                # The number is that of its coming: the one that writes is the first of the daemon's threads.
                number = all_have_asked.wait()
                turn[number].wait()
                conn.sendall(answer)
                has_written.wait(MOMENT_S)
                turn[number + 1].set()
            else:
                conn.sendall(answer)
            if kind == 1:
                has_written.set()
    except OSError:
        pass
    conn.close()


def main():
    turn[0].set()
    listener = socket.socket(socket.AF_UNIX)
    listener.bind(sys.argv[1])
    listener.listen(8)
    threads = []
    for _ in range(count):
        conn, _ = listener.accept()
        threads.append(threading.Thread(target=serve, args=(conn,)))
        threads[-1].start()
    for thread in threads:
        thread.join()


main()
