"""The model hub: whether it can be reached, without the many seconds that libraries spend on retries."""

from __future__ import annotations

import os
import sys
from functools import cache

# What libraries made of `HF_HUB_OFFLINE` when they were imported.
READ = {"huggingface_hub.constants": "HF_HUB_OFFLINE", "datasets.config": "HF_HUB_OFFLINE"}


def stay_offline() -> None:
    """Have this process and its children take models and data from folders and the hub's local cache alone."""
    os.environ["HF_HUB_OFFLINE"] = "1"
    for module, name in READ.items():
        if module in sys.modules:
            setattr(sys.modules[module], name, True)
    can_be_reached.cache_clear()


@cache
def can_be_reached() -> bool:
    """Whether the hub answers a request for its front page within 3 seconds; it is asked once per process.

    False also when the user has set `HF_HUB_OFFLINE`, or has set `HF_ENDPOINT` to something that is no address.
    """
    from http.client import HTTPException
    from urllib.error import HTTPError, URLError
    from urllib.request import Request, urlopen

    from huggingface_hub import constants

    if constants.HF_HUB_OFFLINE:
        return False
    try:
        urlopen(Request(constants.ENDPOINT, method="HEAD"), timeout=3).close()
    except HTTPError:  # an error is an answer too
        return True
    except (URLError, OSError) as error:
        # Python's own store may lack a certificate that the libraries bring, so they must find out.
        return "CERTIFICATE" in str(error)
    except (ValueError, HTTPException):  # `HF_ENDPOINT` is no address
        return False
    return True


def is_a_name(model: str) -> bool:
    """Whether `model` has the form of a name on the hub (`owner/name`), and not that of a path."""
    from huggingface_hub.errors import HFValidationError
    from huggingface_hub.utils import validate_repo_id

    try:
        validate_repo_id(model)
    except HFValidationError:
        return False
    return not model.startswith((".", "/", "~"))


def is_cached(model: str) -> bool:
    """Whether the hub's local cache holds the model's configuration."""
    from huggingface_hub import try_to_load_from_cache

    return isinstance(try_to_load_from_cache(model, "config.json"), str)
