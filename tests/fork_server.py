"""The server of `tests/preloaded.py`: it imports what the verbs import, then forks for each call of the command.

    python tests/fork_server.py DESCRIPTOR [MODULE ...]

MODULEs are imported. DESCRIPTOR is a Unix socket. One message on it, which carries the end of another socket, is one
call. On that socket the child reads what to run, and the server writes the child's process id and, when it has ended,
its wait status. The server ends, and ends all that it has forked, when the first socket is closed.
"""

from __future__ import annotations

import atexit
import ctypes
import fcntl
import gc
import json
import multiprocessing.process
import multiprocessing.util
import os
import selectors
import signal
import socket
import struct
import sys
import threading
import traceback
import warnings
import weakref
from contextlib import suppress
from importlib import import_module
from pathlib import Path
from types import ModuleType
from typing import NoReturn

# Threads that a fork may leave behind: jemalloc, in pyarrow, starts its own anew in the child.
KNOWN_THREADS = {"jemalloc_bg_thd"}


def preload(names: list[str]) -> list[str]:
    """Import modules; return the names of environment variables that this has set or changed."""
    before = dict(os.environ)
    for name in names:
        import_module(name)
    changed = [name for name in {*before, *os.environ} if before.get(name) != os.environ.get(name)]
    for finalizer in list(weakref.finalize._registry):  # type: ignore[attr-defined]  # of what `finish` leaves in place
        finalizer.atexit = False
    gc.collect()
    gc.freeze()  # a child's collections need not touch, and so copy, what is shared
    join_pages()
    return changed


def join_pages() -> None:
    """Move what is in memory to huge pages where the kernel can (Linux 6.1): a fork copies the table of all pages."""
    advise, collapse, size = ctypes.CDLL(None).madvise, 25, 1 << 21
    for line in Path("/proc/self/maps").read_text().splitlines():
        addresses, access, _, _, inode, *_ = line.split()
        first, end = (int(address, 16) for address in addresses.split("-"))
        first = -(-first // size) * size
        if access == "rw-p" and inode == "0" and first + size <= end:
            advise(ctypes.c_void_p(first), ctypes.c_size_t((end - first) // size * size), collapse)


def fork() -> int:
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", DeprecationWarning)  # of threads, which we know
        return os.fork()


def end_library_threads() -> None:
    """Fork once, for which OpenBLAS ends its threads until they are needed; then only threads that we know are left."""
    if not (child := fork()):
        os._exit(0)
    os.waitpid(child, 0)
    others = [task for task in Path("/proc/self/task").iterdir() if task.name != str(os.getpid())]
    tasks = {(task / "comm").read_text().strip() for task in others}
    assert threading.active_count() == 1 and tasks <= KNOWN_THREADS, f"a fork would lose threads: {sorted(tasks)}"


def serve(control: socket.socket) -> socket.socket | None:
    """Fork for each call that comes; return its socket in the child, and None in the server, in the end."""
    selector = selectors.DefaultSelector()
    selector.register(control, selectors.EVENT_READ)
    while True:
        for key, _ in selector.select():
            if key.fileobj is not control:
                _report(selector, key)
                continue
            message, descriptors, _, _ = socket.recv_fds(control, 1, 1)
            if not message:
                for other in [key for key in selector.get_map().values() if key.data]:
                    with suppress(ProcessLookupError):
                        os.killpg(other.data[0], signal.SIGKILL)
                return None
            call = socket.socket(fileno=descriptors[0])
            child = fork()
            if not child:
                _leave(selector)
                return call
            with suppress(OSError):  # it has done so itself, or has ended
                os.setpgid(child, child)
            selector.register(os.pidfd_open(child), selectors.EVENT_READ, (child, call))
            _send(call, child)


def _report(selector: selectors.BaseSelector, key: selectors.SelectorKey) -> None:
    child, call = key.data
    selector.unregister(key.fileobj)
    os.close(key.fd)
    _send(call, os.waitpid(child, 0)[1])
    call.close()


def _send(call: socket.socket, number: int) -> None:
    with suppress(BrokenPipeError, ConnectionResetError):  # nobody waits for it any longer
        call.sendall(struct.pack("!i", number))


def _leave(selector: selectors.BaseSelector) -> None:
    """Close in a child what is the server's."""
    os.setpgid(0, 0)
    for key in list(selector.get_map().values()):
        os.close(key.fd)
        if key.data:
            key.data[1].close()
    selector.close()


def take_over(call: socket.socket) -> None:
    """Make of this forked process what a new one would be: descriptors, arguments, folder, environment, chance."""
    head, descriptors, _, _ = socket.recv_fds(call, 4, 3)
    given = json.loads(call.makefile("rb").read(struct.unpack("!I", head)[0]))
    call.close()
    for target, descriptor in enumerate(descriptors):
        os.dup2(descriptor, target)  # beneath `sys.stdin`, `sys.stdout` and `sys.stderr`, which libraries may keep
        os.close(descriptor)
    for stream in (sys.stdin, sys.stdout):
        stream.reconfigure(line_buffering=stream.isatty() and not sys.stdout.write_through)
    os.chdir(given["cwd"])
    multiprocessing.process.ORIGINAL_DIR = given["cwd"]  # type: ignore[attr-defined]
    os.environ.clear()
    os.environ.update(given["environment"])
    sys.argv = given["arguments"]
    sys.path.insert(0, str(Path(sys.argv[0]).parent))
    if "numpy" in sys.modules:
        sys.modules["numpy"].random.seed()  # `random` sees to this itself
    if has_workers(sys.argv):
        keep_worker_server()


# --- worker processes of a call --------------------------------------------------------------------------------------


def has_workers(arguments: list[str]) -> bool:
    """Whether the command line asks for worker processes, or might get some from an input of unknown size."""
    after = [arguments[place + 1] for place, word in enumerate(arguments[:-1]) if word == "--workers"]
    return after[-1] != "1" if after else arguments[1:2] in (["corpus"], ["prepare"])


def keep_worker_server() -> None:
    """Fork what `multiprocessing` will get for its own fork server, which would import all libraries once more.

    It is forked now, as long as this process has no threads. When it has been used or is dead, a new one is started as
    ever.
    """
    ours, theirs = socket.socketpair(socket.AF_UNIX, socket.SOCK_SEQPACKET)
    kept, start = fork(), multiprocessing.util.spawnv_passfds
    if not kept:
        ours.close()
        be_worker_server(theirs)
    theirs.close()

    def begin(path: str, arguments: list[str], descriptors: list[int]) -> int:
        if "multiprocessing.forkserver" in arguments[-1]:
            with ours, suppress(OSError):
                socket.send_fds(ours, [json.dumps([arguments[-1], descriptors]).encode()], descriptors)
                return kept
        return start(path, arguments, descriptors)

    multiprocessing.util.spawnv_passfds = begin


def be_worker_server(given: socket.socket) -> NoReturn:
    """Wait for a command of Python and the descriptors that it names, run it, and end."""
    signal.pthread_sigmask(signal.SIG_BLOCK, {signal.SIGINT})  # as it is where `stages.process` starts one
    message, descriptors, _, _ = socket.recv_fds(given, 1 << 16, 2)
    given.close()
    if message:
        command, names = json.loads(message)
        moved = [fcntl.fcntl(descriptor, fcntl.F_DUPFD_CLOEXEC, 500) for descriptor in descriptors]
        for descriptor in descriptors:
            os.close(descriptor)
        for descriptor, name in zip(moved, names, strict=True):
            os.dup2(descriptor, name, inheritable=False)
            os.close(descriptor)
        with suppress(SystemExit):
            exec(command, {})
    os._exit(0)


# --- a call ----------------------------------------------------------------------------------------------------------


def run(script: str) -> int:
    """Run a script as `__main__`; return the exit status, or a signal, negative, to end by."""
    main = ModuleType("__main__")
    main.__file__ = script
    sys.modules["__main__"] = main
    try:
        exec(compile(Path(script).read_bytes(), script, "exec"), vars(main))
    except SystemExit as leaving:
        if leaving.code is None or isinstance(leaving.code, int):
            return (leaving.code or 0) & 0xFF
        print(leaving.code, file=sys.stderr)
        return 1
    except BaseException as error:
        assert error.__traceback__
        sys.excepthook(type(error), error.with_traceback(error.__traceback__.tb_next), None)
        return -signal.SIGINT if isinstance(error, KeyboardInterrupt) else 1
    return 0


def finish(status: int) -> None:
    """End the process as the interpreter does, but for taking its modules apart, which costs half a second."""
    threading._shutdown()  # type: ignore[attr-defined]
    atexit._run_exitfuncs()
    try:
        sys.stdout.flush()
    except OSError:
        status = 120
        print(f"Exception ignored in: {sys.stdout!r}\n{traceback.format_exc(0)}", end="", file=sys.stderr)
    with suppress(OSError):
        sys.stderr.flush()
    if status < 0:
        signal.signal(-status, signal.SIG_DFL)
        os.kill(os.getpid(), -status)
    os._exit(status)


def main() -> None:
    """Preload, serve, and in a child run the command."""
    del sys.path[0]  # the folder of tests
    control = socket.socket(fileno=int(sys.argv[1]))
    changed = preload(sys.argv[2:])
    end_library_threads()
    control.send(json.dumps(changed).encode())
    call = serve(control)
    if call:
        take_over(call)
        finish(run(sys.argv[0]))


if __name__ == "__main__":
    main()
