# SPDX-License-Identifier: GPL-2.0-only
"""Where a guest's store lies while it moves: what is between its daemons and the medium.

Each kind has name(daemon), which is what the daemon at that path gets for --store, and end(). A server takes as many
connections as a daemon has workers: that, and what the daemons write in front of the image, is all that keeps two of
them apart (docs/stores.md).
"""
import os
import subprocess
import time

WORKERS = 2
BYTES = (1 << 30) + (1 << 20)
PATIENCE_S = 300


def await_socket(path, server):
    end = time.monotonic() + PATIENCE_S
    while not os.path.exists(path):
        if server.poll() is not None or time.monotonic() > end:
            with open(path + '.log') as log:
                raise RuntimeError('the server: ' + log.read()[-300:])
        time.sleep(0.05)


def serve(path, blockdev):
    """qemu-storage-daemon at @path, when it listens."""
    command = ['qemu-storage-daemon', '--blockdev', blockdev + ',node-name=image',
               '--nbd-server', f'addr.type=unix,addr.path={path},max-connections={WORKERS}',
               '--export', 'type=nbd,id=e,node-name=image,name=store,writable=on']
    with open(path + '.log', 'w') as log:
        server = subprocess.Popen(command, stdin=subprocess.DEVNULL, stdout=log, stderr=log)
    await_socket(path, server)
    return server


class File:
    """A file that both daemons have open."""

    def __init__(self, folder):
        self.folder, self.servers = folder, []

    def name(self, daemon):
        return self.folder + '/store'

    def end(self):
        for server in self.servers:
            server.kill()
            server.wait()


class Server(File):
    """One server for both daemons."""

    def name(self, daemon):
        if not self.servers:
            self.servers.append(serve(self.folder + '/nbd', self.image()))
        return f'nbd:{self.folder}/nbd:store'

    def image(self):
        path = self.folder + '/image'
        if not os.path.exists(path):
            with open(path, 'w') as f:
                os.truncate(f.fileno(), BYTES)
        # Two servers have it open at once, as they would on two hosts.
        return f'driver=file,filename={path},discard=unmap,locking=off'


class Hosts(Server):
    """Each daemon has a server of its own, and all that they have in common is the image."""

    def name(self, daemon):
        path = daemon + '.nbd'
        if not os.path.exists(path):
            self.servers.append(serve(path, self.image()))
        return f'nbd:{path}:store'


class Local(File):
    """A file of the source's host, which is pulled afterwards (contrib/pull)."""
    PULL = os.path.join(os.path.dirname(os.path.abspath(__file__)), '../../contrib/pull/cswap-pull')

    def name(self, daemon):
        if not os.path.exists(self.folder + '/store'):
            return self.folder + '/store'
        self.start('export', self.folder + '/source', self.folder + '/store', f'--socket={self.folder}/source')
        self.start('serve', self.folder + '/nbd', self.folder + '/overlay', f'unix:{self.folder}/source',
                   self.folder + '/nbd', '--connections', str(WORKERS))
        return f'nbd:{self.folder}/nbd:store'

    def start(self, command, path, *words):
        with open(path + '.log', 'w') as log:
            self.servers.append(subprocess.Popen([self.PULL, command, *words], stdin=subprocess.DEVNULL, stdout=log,
                                                 stderr=log))
        await_socket(path, self.servers[-1])

    def pull(self):
        """All of it, and then the source is gone. Seconds."""
        begin = time.monotonic()
        subprocess.run([self.PULL, 'stream', self.folder + '/overlay'], check=True, stdout=subprocess.DEVNULL)
        seconds = time.monotonic() - begin
        source = self.servers.pop(0)
        source.kill()
        source.wait()
        os.unlink(self.folder + '/store')
        return seconds


class Rbd(Hosts):
    """The same with an image on Ceph (tests/rbd/ceph.sh), whose cluster is there already."""

    def image(self):
        name = os.path.basename(self.folder)
        if not self.servers:
            subprocess.run(['rbd', 'create', '--size', f'{BYTES >> 20}M', f'cswap/{name}'], check=True)
        return (f'driver=rbd,pool=cswap,image={name},conf=/etc/ceph/ceph.conf,discard=unmap,cache.direct=on')


KINDS = {'file': File, 'server': Server, 'hosts': Hosts, 'rbd': Rbd, 'local': Local}
TITLES = {'file': '', 'server': ', the store at a server', 'hosts': ', a server at each side of one image',
          'rbd': ', the store on Ceph RBD', 'local': ''}
