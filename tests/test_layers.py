"""The layers of the house, read from the source: who may import whom, and who may talk to the outside."""

from __future__ import annotations

import ast
from collections.abc import Iterator
from pathlib import Path

import pytest

PACKAGE = Path(__file__).resolve().parents[1] / "latxa_cli"
# The house from the ground up: what stands in a layer stands on the layers before it, on nothing beside it, on nothing
# above it. A new folder or module gets its place here.
ROOMS = frozenset((
    "arena", "comparison", "corpus", "evaluation", "judging", "mixing", "models", "report", "sampling", "training",
    "translation", "voting",
))  # fmt: skip
LAYERS: tuple[frozenset[str], ...] = (
    frozenset(("hub", "native")),
    frozenset(("stream",)),
    frozenset(("architecture",)),
    frozenset(("chat", "launch", "model", "variants")),
    frozenset(("tokenizer",)),
    frozenset(("model_files", "text", "weights")),
    frozenset(("stages",)),
    frozenset(("generation",)),
    ROOMS,
    frozenset(("options",)),
    frozenset(("commands",)),
    frozenset(("cli",)),
)
COMPILERS = {"numba", "llvmlite"}
GROUND = tuple(name for layer in LAYERS[: LAYERS.index(ROOMS)] for name in sorted(layer))
HEAVY = {
    "torch", "transformers", "tokenizers", "safetensors", "datasets", "lm_eval", "deepspeed", "vllm", "ray", "peft",
    "matplotlib", "numpy", "pyarrow", "pandas", "scipy", "py3langid", "sacrebleu", "huggingface_hub", "babel",
    *COMPILERS,
}  # fmt: skip
# Who else must know what only the command line and the stream know, and why.
KNOWS_THE_OUTSIDE = {
    "evaluation/libraries.py": "takes stderr and stdout away from libraries that write there",
    "generation/vllm.py": "the same",
    "hub.py": "libraries read in the environment that they are to stay offline",
    "launch.py": "launchers tell a process its rank in the environment",
}


def modules(*names: str) -> list[Path]:
    files: list[Path] = []
    for name in names:
        path = PACKAGE / name
        files.extend(sorted(path.rglob("*.py")) if path.is_dir() else [path.with_suffix(".py")])
    return files


def imports(tree: ast.AST) -> Iterator[str]:
    """Yield the full names of all that a tree imports, in functions too."""
    for node in ast.walk(tree):
        if isinstance(node, ast.Import):
            yield from (alias.name for alias in node.names)
        elif isinstance(node, ast.ImportFrom):
            assert node.level == 0, "imports are absolute"
            yield from (f"{node.module}.{alias.name}" for alias in node.names)


def at_import(tree: ast.Module) -> Iterator[str]:
    """Yield the names of what is imported when the module is: not in functions, not for type checking only."""
    waiting: list[ast.stmt] = list(tree.body)
    while waiting:
        node = waiting.pop()
        if isinstance(node, ast.Import | ast.ImportFrom):
            yield from imports(node)
        elif isinstance(node, ast.If) and "TYPE_CHECKING" in ast.unparse(node.test):
            continue
        elif not isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef):
            waiting.extend(child for child in ast.iter_child_nodes(node) if isinstance(child, ast.stmt))


def ours(names: Iterator[str]) -> set[str]:
    """Return the rooms and modules of the package among imported names."""
    return {name.split(".")[1] for name in names if name.startswith("latxa_cli.")}


def parse(path: Path) -> ast.Module:
    return ast.parse(path.read_text(encoding="utf-8"))


def show(path: Path) -> str:
    return str(path.relative_to(PACKAGE))


def unit_of(path: Path) -> str:
    """Return the folder or module of the package that a file is, or lies in."""
    return path.relative_to(PACKAGE).parts[0].removesuffix(".py")


def test_everything_has_one_place_among_the_layers() -> None:
    units = {unit_of(path) for path in PACKAGE.rglob("*.py")} - {"__init__"}
    placed = sorted(name for layer in LAYERS for name in layer)
    assert placed == sorted(units)


@pytest.mark.parametrize("path", [path for path in modules(".") if unit_of(path) != "__init__"], ids=show)
def test_what_stands_in_a_layer_stands_on_those_below_it(path: Path) -> None:
    own = unit_of(path)
    height = next(place for place, layer in enumerate(LAYERS) if own in layer)
    below = frozenset[str]().union(*LAYERS[:height])
    assert ours(imports(parse(path))) <= below | {own, "__version__"}


@pytest.mark.parametrize("path", [path for path in modules(".") if unit_of(path) != "native"], ids=show)
def test_kernels_are_all_in_their_room(path: Path) -> None:
    assert not {name.split(".")[0] for name in imports(parse(path))} & COMPILERS


def test_layouts_need_no_compiler() -> None:
    """Verbs read them before they know whether there is anything to do."""
    assert not {name.split(".")[0] for name in imports(parse(PACKAGE / "native" / "layout.py"))} & COMPILERS
    assert not list(imports(parse(PACKAGE / "native" / "__init__.py")))


@pytest.mark.parametrize("path", modules(*sorted(ROOMS), *GROUND), ids=show)
def test_only_commands_know_the_command_line(path: Path) -> None:
    tree = parse(path)
    roots = {name.split(".")[0] for name in imports(tree)}
    assert "typer" not in roots and "click" not in roots
    if path.parent.name != "stream":
        assert "rich" not in roots
        if show(path) in KNOWS_THE_OUTSIDE:
            return
        used = {ast.unparse(node) for node in ast.walk(tree) if isinstance(node, ast.Attribute)}
        assert not used & {"sys.argv", "os.environ", "os.getenv", "sys.stdout", "sys.stderr", "sys.stdin"}
        called = {ast.unparse(node.func) for node in ast.walk(tree) if isinstance(node, ast.Call)}
        assert not called & {"print", "input", "sys.exit", "exit"}


@pytest.mark.parametrize("path", modules("commands"), ids=show)
def test_commands_load_rooms_when_they_are_called(path: Path) -> None:
    tree = parse(path)
    assert ours(at_import(tree)) <= {"options", "stream"}
    assert not {name.split(".")[0] for name in at_import(tree)} & (HEAVY | {"rich", "typer"})
    assert "commands" not in ours(imports(tree))


@pytest.mark.parametrize("path", modules("cli", "options", "stream", "commands", "chat", "variants", "model"), ids=show)
def test_what_every_verb_loads_is_light(path: Path) -> None:
    assert not {name.split(".")[0] for name in at_import(parse(path))} & HEAVY


@pytest.mark.parametrize("path", modules("."), ids=show)
def test_no_error_is_swallowed_whole(path: Path) -> None:
    for node in ast.walk(parse(path)):
        if isinstance(node, ast.ExceptHandler):
            caught = ast.unparse(node.type) if node.type else "everything"
            reraised = any(isinstance(inner, ast.Raise) and inner.exc is None for inner in ast.walk(node))
            assert reraised or caught not in ("everything", "Exception", "BaseException"), f"line {node.lineno}"
