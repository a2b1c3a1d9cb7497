"""The layers of the house, read from the source: who may import whom, and who may talk to the outside."""

from __future__ import annotations

import ast
from collections.abc import Iterator
from pathlib import Path

import pytest

PACKAGE = Path(__file__).resolve().parents[1] / "latxa_cli"
# What every room may stand on.
BASE = {"stream", "native", "stages", "text", "chat", "variants", "generation", "model", "weights", "hub", "launch"}
COMPILERS = {"numba", "llvmlite"}
ROOMS = sorted(
    folder.name
    for folder in PACKAGE.iterdir()
    if folder.is_dir() and folder.name not in ("__pycache__", "commands", "stream")
)
HEAVY = {
    "torch", "transformers", "tokenizers", "safetensors", "datasets", "lm_eval", "deepspeed", "vllm", "ray", "peft",
    "matplotlib", "numpy", "pyarrow", "pandas", "scipy", "py3langid", "sacrebleu", "huggingface_hub", *COMPILERS,
}  # fmt: skip
# It takes stderr and stdout away from libraries that write there, so it must know them.
KEEPS_LIBRARIES_QUIET = {"evaluation/libraries.py", "generation/vllm.py"}


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


@pytest.mark.parametrize("path", modules(*ROOMS, "chat", "variants", "model", "weights", "hub"), ids=show)
def test_a_room_stands_on_the_base_alone(path: Path) -> None:
    room = path.relative_to(PACKAGE).parts[0].removesuffix(".py")
    assert ours(imports(parse(path))) <= BASE | {room, "__version__"}


@pytest.mark.parametrize("path", modules("stream"), ids=show)
def test_the_stream_stands_on_no_room(path: Path) -> None:
    assert ours(imports(parse(path))) <= {"stream", "hub", "__version__"}


@pytest.mark.parametrize("path", modules("native"), ids=show)
def test_kernels_stand_on_kernels_alone(path: Path) -> None:
    assert ours(imports(parse(path))) <= {"native"}


@pytest.mark.parametrize("path", modules("text"), ids=show)
def test_texts_stand_on_the_ground_below_them(path: Path) -> None:
    assert ours(imports(parse(path))) <= {"stream", "native", "model", "text"}


@pytest.mark.parametrize("path", [path for path in modules(".") if path.parent.name != "native"], ids=show)
def test_kernels_are_all_in_their_room(path: Path) -> None:
    assert not {name.split(".")[0] for name in imports(parse(path))} & COMPILERS


def test_layouts_need_no_compiler() -> None:
    """Verbs read them before they know whether there is anything to do."""
    assert not {name.split(".")[0] for name in imports(parse(PACKAGE / "native" / "layout.py"))} & COMPILERS
    assert not list(imports(parse(PACKAGE / "native" / "__init__.py")))


@pytest.mark.parametrize("path", modules(*ROOMS, "stream", "chat", "variants", "model", "hub"), ids=show)
def test_only_commands_know_the_command_line(path: Path) -> None:
    tree = parse(path)
    roots = {name.split(".")[0] for name in imports(tree)}
    assert "typer" not in roots and "click" not in roots
    if path.parent.name != "stream":
        assert "rich" not in roots
        if show(path) in KEEPS_LIBRARIES_QUIET:
            return
        used = {ast.unparse(node) for node in ast.walk(tree) if isinstance(node, ast.Attribute)}
        assert not used & {"sys.argv", "os.environ", "os.getenv", "sys.stdout", "sys.stderr", "sys.stdin"}
        called = {ast.unparse(node.func) for node in ast.walk(tree) if isinstance(node, ast.Call)}
        assert not called & {"print", "input", "sys.exit", "exit"}


@pytest.mark.parametrize("path", modules("commands"), ids=show)
def test_commands_load_rooms_when_they_are_called(path: Path) -> None:
    tree = parse(path)
    assert ours(at_import(tree)) <= {"options", "stream"}
    assert not {name.split(".")[0] for name in at_import(tree)} & (HEAVY | {"rich"})
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


def test_the_test_sees_the_rooms() -> None:
    assert {"arena", "corpus", "generation", "sampling", "translation", "models", "training", "plots"} <= set(ROOMS)
