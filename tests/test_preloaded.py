"""A call in a forked process is as one in a new process: each script here runs in both, and they are compared."""

from __future__ import annotations

import os
import pty
import signal
import subprocess
import sys
import textwrap
import time
from collections.abc import Callable, Iterator
from contextlib import closing, suppress
from pathlib import Path
from typing import Any

import preloaded
import pytest
import tiny
from preloaded import Call, Server, run

TIMEOUT = 60  # seconds

SCRIPTS = {
    "nothing": "",
    "a status": "import sys; print('said', end=''); sys.exit(3)",
    "a large status": "import sys; sys.exit(-1)",
    "a message": "import sys; sys.exit('said')",
    "an exception": "def fail():\n    raise ValueError('ñ')\nfail()",
    "an interruption": "raise KeyboardInterrupt",
    "a signal": "import os, signal; os.kill(os.getpid(), signal.SIGKILL)",
    "much": """
        import sys
        for number in range(200_000):
            print("out", number)
            print("err", number, file=sys.stderr) if number % 4 == 0 else None
    """,
    "stdin": "import sys; data = sys.stdin.read(); print(len(data), data[-5:], repr(sys.stdin.read()))",
    "streams": """
        import sys
        for stream in (sys.stdin, sys.stdout, sys.stderr):
            print(stream, stream.errors, stream.line_buffering, stream.write_through, stream.fileno(), stream.isatty())
            print(stream.buffer, stream.closed)
        print(sys.stdin is sys.__stdin__, sys.stdout is sys.__stdout__, sys.stderr is sys.__stderr__)
        print("\\udc80", file=sys.stderr)
    """,
    "place": """
        import os, sys
        print(__name__, __file__, __spec__, sys.modules["__main__"].__file__)
        print(os.getcwd(), sys.argv, sys.path, sorted(os.listdir("/proc/self/fd")))
        print(sorted(os.environ.items()), os.getenv("HOME"))
        print(os.popen("echo $COLUMNS; pwd; ulimit -a; umask").read())
    """,
    "signals": """
        import signal
        print([(number, signal.getsignal(number)) for number in sorted(signal.valid_signals())])
        print(signal.pthread_sigmask(signal.SIG_BLOCK, []))
    """,
    "the end": """
        import atexit, logging, sys, tempfile, threading, time, warnings
        atexit.register(lambda: print("atexit", folder.name == str(folder.name)))
        folder = tempfile.TemporaryDirectory()
        atexit.register(lambda: open("left", "w").write(folder.name))
        threading.Thread(target=lambda: (time.sleep(0.2), print("thread"))).start()
        threading.Thread(target=lambda: time.sleep(1000), daemon=True).start()
        logging.warning("logged")
        warnings.warn("warned")
        sys.stdout.write("not flushed")
    """,
    "workers": """
        import multiprocessing
        from concurrent.futures import ProcessPoolExecutor

        def square(number):
            return number * number

        if __name__ == "__main__":
            for method in ("fork", "forkserver", "spawn"):
                with ProcessPoolExecutor(2, multiprocessing.get_context(method)) as pool:
                    print(list(pool.map(square, range(5))))
    """,
    "threads": """
        import os, threading
        print(threading.enumerate() == [threading.main_thread()], len(os.listdir("/proc/self/task")))
        print(os.getpgrp() == os.getpid() or "in the group of the tests")
    """,
}  # fmt: skip


@pytest.fixture(scope="module")
def bare() -> Iterator[Server]:
    """A server that has nothing preloaded."""
    with closing(Server([])) as server:
        yield server


@pytest.fixture
def light(bare: Server, monkeypatch: pytest.MonkeyPatch) -> Server:
    """The same where streams are buffered."""
    monkeypatch.delenv("PYTHONUNBUFFERED", raising=False)
    return bare


@pytest.fixture
def script(tmp_path: Path) -> Callable[[str], list[str]]:
    """Return the command that runs a text as a script, which `exec`, like the kernel, finds Python by."""

    def write(text: str) -> list[str]:
        path = tmp_path / "script"
        path.write_text(f"#!{sys.executable}\n{textwrap.dedent(text)}")
        path.chmod(0o755)
        return [str(path), "some", "wörds", "\udc80"]

    return write


@pytest.mark.parametrize("name", SCRIPTS)
def test_a_call_ends_as_a_new_process_does(name: str, light: Server, script: Callable, tmp_path: Path) -> None:
    command = script(SCRIPTS[name])
    options = {
        "cwd": tmp_path,
        "timeout": TIMEOUT,
        "input": "ñ\n".encode() * 50_000,
        "env": os.environ | {"COLUMNS": "33"},
    }
    pipes = {"stdout": subprocess.PIPE, "stderr": subprocess.PIPE}
    ours = run(light, command, **pipes, **options)
    left = tmp_path / "left"
    assert not left.exists() or not Path(left.read_text()).exists()
    new = subprocess.run(command, check=False, **pipes, **options)
    if name == "threads":
        assert ours.stdout == b"True 1\nTrue\n"
        return
    assert (ours.returncode, ours.stdout, ours.stderr) == (new.returncode, new.stdout, new.stderr)
    assert ours.args == command


def both(light: Server, command: list[str], **options: Any) -> Iterator[subprocess.Popen[bytes]]:
    """Yield a forked process, and then a new one, of the command."""
    with Call(light, command, **options) as ours:
        yield ours
    with subprocess.Popen(command, **options) as new:
        yield new


def test_worker_processes_of_a_call_are_forked_too(light: Server, script: Callable) -> None:
    """But for those of a second server, where the first was killed."""
    command = script("""
        import multiprocessing, os, signal
        from multiprocessing import forkserver
        from pathlib import Path

        def say(pipe):
            blocked = signal.pthread_sigmask(signal.SIG_BLOCK, [])
            pipe.send((Path(f"/proc/{os.getppid()}/cmdline").read_bytes(), blocked))

        if __name__ == "__main__":
            context = multiprocessing.get_context("forkserver")
            for _ in range(3):
                ours, theirs = context.Pipe()
                process = context.Process(target=say, args=(theirs,))
                process.start()
                words, blocked = ours.recv()
                process.join()
                print(b"fork_server.py" in words, process.exitcode, signal.SIGINT in blocked)
            os.kill(forkserver._forkserver._forkserver_pid, signal.SIGKILL)
            os.waitid(os.P_PID, forkserver._forkserver._forkserver_pid, os.WEXITED | os.WNOWAIT)
            context.Process(target=print, args=("done",)).start()
    """)
    done = run(light, [*command, "--workers", "2"], stdout=subprocess.PIPE, stderr=subprocess.PIPE, timeout=TIMEOUT)
    assert (done.returncode, done.stdout, done.stderr) == (0, b"True 0 True\n" * 3 + b"done\n", b"")
    unused = run(light, [*script("print('said')"), "--workers", "2"], stdout=subprocess.PIPE, timeout=TIMEOUT)
    assert unused.stdout == b"said\n"


@pytest.mark.parametrize("much", [10, 100_000])
def test_nobody_reads_what_it_writes(much: int, light: Server, script: Callable) -> None:
    command = script(f"print('x' * {much})")
    reading, writing = os.pipe()
    os.close(reading)
    with os.fdopen(writing):
        ends = []
        for process in both(light, command, stdout=writing, stderr=subprocess.PIPE):
            stderr = process.communicate(timeout=TIMEOUT)[1]
            ends.append((process.returncode, stderr))
    assert ends[0] == ends[1]
    assert ends[0][0] == (120 if much == 10 else 1)
    assert b"BrokenPipeError" in ends[0][1]


def test_a_terminal_is_one(light: Server, script: Callable) -> None:
    master, slave = pty.openpty()
    shown = "print(*((stream.isatty(), stream.line_buffering) for stream in (sys.stdin, sys.stdout, sys.stderr)))"
    with os.fdopen(master, "rb"), os.fdopen(slave, "wb"):
        seen = []
        for process in both(light, script(f"import sys; {shown}"), stdin=slave, stdout=slave, stderr=slave):
            assert process.wait(TIMEOUT) == 0
            seen.append(os.read(master, 1000))
    assert seen[0] == seen[1]
    assert seen[0].count(b"(True, ") == 3


@pytest.mark.parametrize("by", [signal.SIGINT, signal.SIGTERM, signal.SIGKILL])
def test_a_signal_ends_a_call_and_no_other(by: int, light: Server, script: Callable) -> None:
    waiting = "import sys, time; print('ready', flush=True); sys.stdin.readline(); print('heard')"
    pipes = {"stdin": subprocess.PIPE, "stdout": subprocess.PIPE, "stderr": subprocess.PIPE}
    with Call(light, script(waiting), **pipes) as one, Call(light, one.args, **pipes) as two:
        assert one.stdout.readline() == two.stdout.readline() == b"ready\n"
        assert one.poll() is None
        one.send_signal(by)
        _, stderr = one.communicate(timeout=TIMEOUT)
        assert one.returncode == -by
        assert stderr.rstrip().endswith(b"KeyboardInterrupt" if by == signal.SIGINT else b"")
        assert two.poll() is None
        assert two.communicate(b"\n", timeout=TIMEOUT) == (b"heard\n", b"")
        assert two.returncode == 0


def test_a_call_leaves_nothing_to_the_next(light: Server, script: Callable) -> None:
    command = script(
        "import json, os, random, sys, tempfile\n"
        "print(hasattr(json, 'mark'), 'MARK' in os.environ, 'mark' in sys.argv, os.umask(0), os.getcwd())\n"
        "print(random.random(), random.randbytes(4), tempfile.mktemp())\n"
        "json.mark = os.environ['MARK'] = 'mark'; sys.argv.append('mark'); os.chdir('/')\n"
    )
    first, second = (run(light, command, stdout=subprocess.PIPE, timeout=TIMEOUT).stdout for _ in range(2))
    assert first.splitlines()[0] == second.splitlines()[0]
    assert first.splitlines()[0].startswith(b"False False False")
    assert not set(first.splitlines()[1].split()) & set(second.splitlines()[1].split())


def test_a_timeout_ends_what_a_call_has_started(light: Server, script: Callable, tmp_path: Path) -> None:
    command = script("import subprocess; subprocess.run(['sh', '-c', 'echo $$ > pid; exec sleep 1000'])")
    with pytest.raises(subprocess.TimeoutExpired):
        run(light, command, cwd=tmp_path, timeout=2, stdout=subprocess.PIPE)
    assert gone(int((tmp_path / "pid").read_text()))


def gone(process: int) -> bool:
    """Whether the process ends soon, or has ended already and nobody waits for it."""
    deadline = time.monotonic() + TIMEOUT
    with suppress(FileNotFoundError, ProcessLookupError):
        while Path(f"/proc/{process}/stat").read_text().rpartition(")")[2].split()[0] != "Z":
            if time.monotonic() > deadline:
                return False
            time.sleep(0.01)
    return True


def test_a_server_that_has_died_is_started_again(script: Callable) -> None:
    with closing(Server([])) as server:
        command = script("import os, time; print(os.getppid(), flush=True); time.sleep(1000)")
        with Call(server, command, stdout=subprocess.PIPE) as call:
            os.kill(int(call.stdout.readline()), signal.SIGKILL)
            with pytest.raises(RuntimeError, match="died"):
                call.wait(TIMEOUT)
            call.kill_all()
            call.returncode = 0
        done = run(server, script("print('again')"), stdout=subprocess.PIPE, timeout=TIMEOUT)
        assert (done.returncode, done.stdout) == (0, b"again\n")


def test_the_server_and_its_calls_end_with_the_tests(script: Callable, tmp_path: Path) -> None:
    command = script("import os, time; print(os.getppid(), os.getpid(), flush=True); time.sleep(1000)")
    owner = tmp_path / "owner.py"
    owner.write_text(f"import sys; sys.path.insert(0, {str(Path(preloaded.__file__).parent)!r})\n"
                     f"from preloaded import Call, Server\nCall(Server([]), {command!r}).wait()\n")  # fmt: skip
    with subprocess.Popen([sys.executable, owner], stdout=subprocess.PIPE) as process:
        assert process.stdout
        children = [int(word) for word in process.stdout.readline().split()]
        process.kill()
    assert len(children) == 2 and all(map(gone, children))


def test_what_libraries_read_when_imported_calls_the_installed_command(light: Server, script: Callable) -> None:
    assert not light.foreign(os.environ | {"OPENAI_API_KEY": "key", "PATH": "elsewhere"})
    assert light.foreign(os.environ | {"HF_HOME": "elsewhere"}) == {"HF_HOME"}
    assert light.foreign({name: value for name, value in os.environ.items() if name != "HOME"}) == {"HOME"}
    command = script("import os; print(os.getpgrp() == os.getpid())")
    for more, forked in (({}, True), ({"NUMBA_DISABLE_JIT": "1"}, False)):
        assert run(light, command, env=os.environ | more, stdout=subprocess.PIPE).stdout == f"{forked}\n".encode()
    assert run(light, command, preexec_fn=lambda: None, stdout=subprocess.PIPE).stdout == b"False\n"


@pytest.mark.parametrize("number", range(2))
def test_no_test_changes_the_environment_of_another(number: int) -> None:
    assert "RANK" not in os.environ and os.environ["HF_DATASETS_CACHE"] != "elsewhere"
    os.environ |= {"RANK": "0", "HF_DATASETS_CACHE": "elsewhere"}


def test_libraries_are_loaded_and_have_no_threads(fork_server: Server, script: Callable) -> None:
    command = script("""
        import os, random, sys, threading
        assert {"torch", "transformers", "numpy", "latxa_cli.commands.train"} <= set(sys.modules)
        import numpy, torch
        assert len(threading.enumerate()) == 1, threading.enumerate()
        (torch.rand(900, 900) @ torch.rand(900, 900)).sum().item()
        (numpy.random.random((900, 900)) @ numpy.random.random((900, 900))).sum()
        print(numpy.random.random(), torch.rand(1).item())
    """)
    assert not fork_server.foreign(os.environ)
    outputs = [run(fork_server, command, stdout=subprocess.PIPE, timeout=TIMEOUT) for _ in range(2)]
    assert [done.returncode for done in outputs] == [0, 0]
    (one, torch_one), (two, torch_two) = (done.stdout.split() for done in outputs)
    assert one != two, "numpy draws its seed"
    assert torch_one == torch_two, "torch has one"


def test_the_command_says_what_the_installed_one_says(latxa: Callable, installed: Callable, tmp_path: Path) -> None:
    for words in (
        ["--version"],
        ["--help"],
        ["arena-score", "--help"],
        ["rain"],
        ["mix", "a"],
        ["report", "none.jsonl"],
    ):
        ours, theirs = latxa(*words, cwd=tmp_path), installed(*words, cwd=tmp_path)
        assert (ours.returncode, ours.stdout, ours.stderr) == (theirs.returncode, theirs.stdout, theirs.stderr)
        assert ours.args == theirs.args


def test_a_shell_calls_it_too(shell_environment: dict[str, str], tmp_path: Path) -> None:
    script = (
        "cd /; latxa judge --help | head -n 1; echo ${PIPESTATUS[@]}; latxa rain > /dev/null; echo $?;"
        " echo '{' | latxa judge - - & wait $!; echo $?; command -v latxa"
    )
    command = ["bash", "-c", script]
    new = os.environ | {"PATH": f"{tiny.BINARY.parent}{os.pathsep}{os.environ['PATH']}"}
    ours, theirs = (
        subprocess.run(command, env=environment, capture_output=True, timeout=TIMEOUT, check=False)
        for environment in (shell_environment, new)
    )
    assert (ours.stdout.splitlines()[:-1], ours.stderr) == (theirs.stdout.splitlines()[:-1], theirs.stderr)
    assert ours.stdout.splitlines()[-1] != theirs.stdout.splitlines()[-1]
