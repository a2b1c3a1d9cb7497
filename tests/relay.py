"""`latxa` on the PATH of a shell, whose calls are forked from the server of `tests/preloaded.py`.

    with Relay(server, folder) as environment:
        subprocess.run(["bash", "-c", "latxa sample … | latxa translate … | head"], env=environment)

The command of that name is a script of a few lines, which hands over its arguments, folder, environment and streams,
and ends as the forked process does.
"""

from __future__ import annotations

import json
import os
import socket
import struct
import sys
from contextlib import closing, suppress
from pathlib import Path
from threading import Thread

import preloaded
from tiny import BINARY

OF_SHELLS = {"PWD", "OLDPWD", "SHLVL", "_"}  # variables that no library reads

SCRIPT = """\
#!{python} -IS
import json, os, signal, socket, struct, sys
call = socket.socket(socket.AF_UNIX)
call.connect({path!r})
body = json.dumps([sys.argv[1:], os.getcwd(), dict(os.environ)]).encode()
socket.send_fds(call, [struct.pack("!I", len(body))], [0, 1, 2])
call.sendall(body)
os.closerange(0, 3)  # so that who reads sees the end of the call itself
(code,) = struct.unpack("!i", call.recv(4, socket.MSG_WAITALL))
if code < 0:
    signal.signal(-code, signal.SIG_DFL)
    os.kill(os.getpid(), -code)
os._exit(code)
"""


class Relay:
    """A `latxa` in a new folder `folder`, as long as the block runs; gives an environment in which it is found."""

    def __init__(self, server: preloaded.Server, folder: Path) -> None:
        self._server, self._folder = server, folder

    def __enter__(self) -> dict[str, str]:
        self._folder.mkdir()
        self._listener = socket.socket(socket.AF_UNIX)
        self._listener.bind(str(self._folder / "socket"))
        self._listener.listen(16)
        script = self._folder / "latxa"
        script.write_text(SCRIPT.format(python=sys.executable, path=str(self._folder / "socket")))
        script.chmod(0o755)
        Thread(target=self._accept, daemon=True).start()
        return os.environ | {"PATH": os.pathsep.join([str(self._folder), str(BINARY.parent), os.environ["PATH"]])}

    def __exit__(self, *_: object) -> None:
        with suppress(OSError):
            self._listener.shutdown(socket.SHUT_RDWR)
        self._listener.close()

    def _accept(self) -> None:
        with suppress(OSError):  # the end
            while True:
                Thread(target=self._answer, args=(self._listener.accept()[0],), daemon=True).start()

    def _answer(self, call: socket.socket) -> None:
        with closing(call):
            head, streams, _, _ = socket.recv_fds(call, 4, 3)
            words, cwd, environment = json.loads(call.recv(struct.unpack("!I", head)[0], socket.MSG_WAITALL))
            environment = {name: value for name, value in environment.items() if name not in OF_SHELLS}
            environment |= {name: os.environ[name] for name in OF_SHELLS & os.environ.keys()}
            given = dict(zip(("stdin", "stdout", "stderr"), streams, strict=True))
            try:
                done = preloaded.run(self._server, [BINARY, *words], cwd=cwd, env=environment, **given)
            finally:
                for stream in streams:
                    os.close(stream)
            with suppress(BrokenPipeError):  # killed
                call.sendall(struct.pack("!i", done.returncode))
