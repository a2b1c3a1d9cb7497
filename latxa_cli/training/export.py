"""(to be merged)"""

from pathlib import Path
from typing import Any


def export(path: Path, directory: Path, *, dtype: str) -> dict[str, Any]:
    import shutil

    import torch
    from safetensors.torch import load_file, save_file

    folder = path.parent / "model"
    for p in folder.iterdir():
        shutil.copy(p, directory / p.name)
    tensors = {}
    for p in path.glob("weights-*"):
        tensors |= load_file(p)
    save_file(
        {n: t.to(getattr(torch, dtype)) for n, t in tensors.items()},
        directory / "model.safetensors",
        metadata={"format": "pt"},
    )
    return {}
