"""The model hub: whether it can be reached, asked once and without the libraries' many seconds of retries."""

from __future__ import annotations

from functools import cache


@cache
def can_be_reached() -> bool:
    """Ask the hub for its front page (3 seconds at most).

    False also when the user has set `HF_HUB_OFFLINE`, or `HF_ENDPOINT` to what is no address.
    """
    from http.client import HTTPException
    from urllib.error import HTTPError, URLError
    from urllib.request import Request, urlopen

    from huggingface_hub import constants

    if constants.HF_HUB_OFFLINE:
        return False
    try:
        urlopen(Request(constants.ENDPOINT, method="HEAD"), timeout=3).close()
    except HTTPError:  # it answered
        return True
    except (URLError, OSError) as error:
        # A certificate that only Python's own store lacks is for the libraries to judge: they bring their own.
        return "CERTIFICATE" in str(error)
    except (ValueError, HTTPException):  # no address
        return False
    return True


def is_a_name(model: str) -> bool:
    """Whether `model` is written like a name on the hub (`owner/name`), and not like a path."""
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
