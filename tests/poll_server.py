"""`latxa vote` as a process, and voters who talk with it by plain HTTP."""

from __future__ import annotations

import json
import re
import signal
import subprocess
from collections.abc import Iterator
from contextlib import contextmanager
from http.client import HTTPConnection
from pathlib import Path
from typing import Any

import tiny

Record = dict[str, Any]
TIMEOUT = 60  # seconds for anything
MODELS = ("quillfeather", "marrowstone", "thistledown")  # names that stand in nothing else


def responses(model: str, prompts: int = 6, **more: Any) -> list[Record]:
    return [
        {
            "id": f"p{n}",
            "model": model,
            "messages": [
                {"role": "system", "content": f"You are {model}."},
                {"role": "user", "content": f"Question {n}?"},
                {"role": "assistant", "content": f"Answer {len(model) * 7 + n}."},
            ],
            **more,
        }
        for n in range(prompts)
    ]


def write_responses(folder: Path, models: tuple[str, ...] = MODELS[:2], prompts: int = 6) -> list[str]:
    """Write a file of responses for each model and return the names of the files."""
    for number, model in enumerate(models):
        tiny.write_jsonl(folder / f"{number}.jsonl", responses(model, prompts))
    return [f"{number}.jsonl" for number in range(len(models))]


class Served:
    """A running poll. `said`: what it wrote to stderr until it served."""

    def __init__(self, process: subprocess.Popen[bytes], said: str) -> None:
        self.process, self.said = process, said
        found = re.search(r"for voters: http://([\d.]+):(\d+)/", said)
        assert found, said
        self.host, self.port = found[1], int(found[2])
        self.address = found[0].removeprefix("for voters: ")

    def stop(self, number: int = signal.SIGINT) -> str:
        """End it as a person or a service does, and return all that it said."""
        self.process.send_signal(number)
        assert self.process.stderr is not None
        rest = self.process.stderr.read().decode()
        assert self.process.wait(TIMEOUT) == 0, rest
        return self.said + rest


@contextmanager
def serving(folder: Path, *words: str | Path, **options: Any) -> Iterator[Served]:
    """Run the installed command on a free port until the block ends."""
    port = () if "--port" in words else ("--port", "0")
    process = subprocess.Popen(
        [str(tiny.BINARY), "vote", *map(str, words), *port], cwd=folder, stderr=subprocess.PIPE, **options
    )
    assert process.stderr is not None
    said = ""
    try:
        for line in process.stderr:
            said += line.decode()
            if "Ctrl-C" in said:
                break
        yield Served(process, said)
    finally:
        process.kill()
        process.wait()
        process.stderr.close()


class Voter:
    """A browser, as far as the server can tell. `sent` and `got`: bytes of all answers, heads and bodies."""

    def __init__(self, host: str, port: int, cookie: str = "") -> None:
        self.host, self.port, self.cookie = host, port, cookie
        self.got = b""

    @classmethod
    def of(cls, served: Served) -> Voter:
        """Return a new voter, who has opened the page."""
        voter = cls(served.host, served.port)
        assert voter.ask("GET", "/")[0] == 200
        return voter

    def ask(
        self, method: str, path: str, body: object = None, kind: str = "application/json", **more: str
    ) -> tuple[int, Any]:
        """Return (status, what the JSON says, or else the bytes). more: heads of the request."""
        connection = HTTPConnection(self.host, self.port, timeout=TIMEOUT)
        try:
            data = body if isinstance(body, bytes) or body is None else json.dumps(body).encode()
            headers = more | ({"Cookie": f"voter={self.cookie}"} if self.cookie else {})
            connection.request(method, path, data, headers | ({"Content-Type": kind} if data is not None else {}))
            response = connection.getresponse()
            content = response.read()
            head = "".join(f"{name}: {value}\n" for name, value in response.getheaders())
            self.got += head.encode() + content
            if match := re.search(r"voter=([0-9a-f]{32})", response.getheader("Set-Cookie") or ""):
                self.cookie = match[1]
            is_json = response.getheader("Content-Type", "").startswith("application/json")
            return response.status, json.loads(content) if is_json else content
        finally:
            connection.close()

    def ballot(self) -> Record:
        status, said = self.ask("GET", "/ballot")
        assert status == 200, said
        return said

    def say(self, text: str, shown: Record | None = None, **more: Any) -> tuple[int, Any]:
        """Send a message to the models of a live poll: the first one, or one more behind what they have shown."""
        body: Record = {"message": text, **({} if shown is None else talk(shown)), **more}
        return self.ask("POST", "/messages", body)

    def cast(self, slip: str, **answers: Any) -> tuple[int, Any]:
        """Send a vote: by default, for the first answer in content and language."""
        body = {"ballot": slip, "content": "first", "language": "first", "seconds": 9, "seen": True} | answers
        return self.ask("POST", "/votes", body)


def talk(shown: Record) -> Record:
    """Return what a page sends back of the conversations that it was given."""
    conversations = [[*shown["prompt"], *answer] for answer in shown["answers"]]
    return {"ballot": shown["ballot"], "conversations": conversations}


def votes_in(path: Path) -> list[Record]:
    return [json.loads(line) for line in path.read_bytes().split(b"\n")[:-1]] if path.exists() else []
