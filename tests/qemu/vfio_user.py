# SPDX-License-Identifier: GPL-2.0-only
"""
vfio_user.py - an assigned device, as far as QEMU needs one to have its memory mapped: a vfio-user server in a thread.

Theory of operation: messages are answered in their order, on one connection. The device is PCI and has nothing but its
configuration space. It takes each part of guest memory that it's offered, and keeps the descriptor.
"""
import os
import socket
import struct
import threading

HEADER = struct.Struct('<HHIII')                # id, command, size, flags, error
VERSION, DMA_MAP, GET_INFO, REGION_INFO, IRQ_INFO, READ, WRITE = 1, 2, 4, 5, 7, 9, 10
REPLY, NO_REPLY = 1, 0x10
CONFIG_REGION, REGIONS, IRQS = 7, 9, 5
CONFIG_SIZE = 256


class Device:
    def __init__(self, path):
        self.listener = socket.socket(socket.AF_UNIX)
        self.listener.bind(path)
        self.listener.listen()
        self.kept = []
        # A network adapter of nobody's, without a function
        self.config = bytearray(struct.pack('<HHHHI', 0x1234, 0x5678, 0, 0, 0x02000000).ljust(CONFIG_SIZE, b'\0'))
        threading.Thread(target=self.serve, daemon=True).start()

    def serve(self):
        while True:
            try:
                connection, _ = self.listener.accept()
            except OSError:             # the test is over
                return
            while self.answer(connection):
                pass
            connection.close()
            for fd in self.kept:
                os.close(fd)
            self.kept = []

    def answer(self, connection):
        try:
            head, fds, _, _ = socket.recv_fds(connection, HEADER.size, 8)
            self.kept += fds
            if len(head) < HEADER.size:
                return False
            number, command, size, flags, _ = HEADER.unpack(head)
            body = bytearray(connection.recv(size - HEADER.size, socket.MSG_WAITALL) if size > HEADER.size else b'')
            body = self.reply_to(command, body)
            if not flags & NO_REPLY:
                connection.sendall(HEADER.pack(number, command, HEADER.size + len(body), REPLY, 0) + body)
            return True
        except OSError:
            return False

    def reply_to(self, command, body):
        if command == VERSION:
            return struct.pack('<HH', 0, 0) + b'{"capabilities": {}}\0'
        if command == GET_INFO:
            return struct.pack('<IIII', 16, 1 << 1, REGIONS, IRQS)      # PCI
        if command == REGION_INFO:
            index = struct.unpack_from('<IIII', body)[2]
            readable = index == CONFIG_REGION
            return struct.pack('<IIIIQQ', 32, 3 if readable else 0, index, 0, CONFIG_SIZE if readable else 0, 0)
        if command == IRQ_INFO:
            return struct.pack('<IIII', 16, 0, struct.unpack_from('<IIII', body)[2], 0)
        if command == READ:
            offset, _, count = struct.unpack_from('<QII', body)
            return bytes(body[:16]) + bytes(self.config[offset:offset + count].ljust(count, b'\0'))
        if command == WRITE:
            offset, _, count = struct.unpack_from('<QII', body)
            if offset + count <= CONFIG_SIZE:
                self.config[offset:offset + count] = body[16:16 + count]
            return bytes(body[:16])
        return bytes(body)
