"""Whether the model hub can be reached, asked once and without the libraries' 23 seconds of retries."""

from __future__ import annotations

from functools import cache


@cache
def can_be_reached() -> bool:
    """Ask the hub for its front page (3 seconds at most); False also when the user has set `HF_HUB_OFFLINE`."""
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
    return True
