"""How fast help appears: `latxa --help` and `latxa VERB --help` against an empty Typer application.

    python tests/bench/startup.py [ROUNDS]

The peer has as many commands, each with an empty body, no options and plain help, and is started like an installed
program: a small script that imports a compiled module. Goal: at most 1.15 x its CPU time, for every verb.
"""

from __future__ import annotations

import sys
import tempfile
from pathlib import Path

from timing import by_turns, run, table, verdict

from latxa_cli.cli import VERBS

GOAL = 1.15
HEAD = """import typer

app = typer.Typer(rich_markup_mode=None, pretty_exceptions_enable=False)
"""
COMMAND = '''

@app.command("{name}")
def command_{number}() -> None:
    """Do nothing."""
'''
SCRIPT = """import sys
from {module} import {function}
if __name__ == "__main__":
    sys.exit({function}())
"""


def write_programs(folder: Path) -> tuple[str, str]:
    """Write the peer's module and both scripts; return the scripts."""
    commands = [COMMAND.format(name=name, number=number) for number, name in enumerate(VERBS)]
    (folder / "peer.py").write_text(HEAD + "".join(commands))
    peer, ours = folder / "run_peer", folder / "run_latxa"
    peer.write_text(SCRIPT.format(module="peer", function="app"))
    ours.write_text(SCRIPT.format(module="latxa_cli.cli", function="main"))
    return str(peer), str(ours)


def main(rounds: int) -> None:
    with tempfile.TemporaryDirectory() as folder:
        peer, ours = write_programs(Path(folder))
        arguments = {"": ["--help"]} | {verb: [verb, "--help"] for verb in VERBS}
        rows = [("help of", "peer cpu ms", "latxa cpu ms", "ratio", "peer wall ms", "latxa wall ms", "ratio")]
        worst = 0.0
        for verb, words in arguments.items():
            contestants = {
                name: lambda script=script, words=words: run([sys.executable, script, *words])
                for name, script in (("peer", peer), ("latxa", ours))
            }
            costs = by_turns(contestants, rounds)
            a, b = costs["peer"], costs["latxa"]
            figures = [a.cpu, b.cpu, b.cpu / a.cpu, a.wall, b.wall, b.wall / a.wall]
            shown = [f"{x:.2f}" if column % 3 == 2 else f"{x * 1000:.0f}" for column, x in enumerate(figures)]
            rows.append((f"latxa {verb}".strip(), *shown))
            worst = max(worst, b.cpu / a.cpu)
    table(rows)
    verdict(f"the slowest help takes {worst:.2f} x the peer's CPU time (goal {GOAL})", worst <= GOAL)


if __name__ == "__main__":
    main(int(sys.argv[1]) if len(sys.argv) > 1 else 15)
