"""A Ray cluster of two nodes on this machine, for the tests of `--executor ray`."""

from __future__ import annotations

import os
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any
from unittest import mock


@contextmanager
def two_nodes(*folders: Path) -> Iterator[Any]:
    """Start a cluster of two nodes with a core each, whose workers can import modules in `folders`; end it after.

    Gives the cluster. Meanwhile `RAY_ADDRESS` names it, for this process and those that it starts; nothing else in the
    environment changes, so that `latxa` may be forked (see `preloaded.py`).
    """
    from ray.cluster_utils import Cluster

    small = {"num_cpus": 1, "object_store_memory": 80 << 20}
    quiet = {"RAY_USAGE_STATS_ENABLED": "0", "PYTHONPATH": os.pathsep.join(map(str, folders))}
    with mock.patch.dict(os.environ, quiet):
        cluster = Cluster(initialize_head=True, head_node_args={"include_dashboard": False, **small})
        cluster.add_node(**small)
    try:
        cluster.wait_for_nodes()
        with mock.patch.dict(os.environ, {"RAY_ADDRESS": cluster.address}):
            yield cluster
    finally:
        cluster.shutdown()
