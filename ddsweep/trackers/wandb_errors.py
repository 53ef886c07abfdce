"""What keeps us from W&B, in our words: W&B's own run over several lines, and may quote what was sent."""

from __future__ import annotations

import os

KNOCK = 2.0  # seconds


def answers(host: str) -> bool:
    """Whether a server is there, whatever it says; through the proxy that the environment names."""
    from urllib.error import HTTPError, URLError
    from urllib.request import urlopen

    try:
        with urlopen(host, timeout=KNOCK):
            return True
    except HTTPError:
        return True
    except URLError as error:
        return "CERTIFICATE" in str(error.reason)  # W&B's client has its own settings for these
    except (OSError, ValueError):
        return False


def failures() -> tuple[type[Exception], ...]:
    """What W&B's client raises when a request comes to nothing; anything else is a mistake of ours and stays itself."""
    from wandb.errors import Error
    from wandb.sdk.lib.service.service_connection import WandbApiFailedError

    return Error, WandbApiFailedError, ValueError, TimeoutError


def reason(error: BaseException, entity: str, project: str) -> str:
    """Why a request came to nothing, and what to do about it; one line without the key."""
    from wandb.errors import AuthenticationError, UsageError

    status, text = _answer(error)
    host = os.environ.get("WANDB_BASE_URL") or "W&B"
    if isinstance(error, UsageError):
        return "not logged in; run: wandb login"
    if "invalid credentials" in text or status == 401:
        return "the API key is rejected; run: wandb login --relogin"
    if isinstance(error, AuthenticationError) and error.__cause__ is None:
        return "the API key is malformed; run: wandb login --relogin"
    if "permission" in text or status == 403:
        return f"no permission for {entity}/{project}"
    if "could not find project" in text or "not found" in text:
        return f"there is no {entity}/{project}"
    if status is None or status >= 500:
        return f"{host} does not answer"
    return f"{host} answers with HTTP status {status}"


def _answer(error: BaseException) -> tuple[int | None, str]:
    """HTTP status and lower-case text of a failed request, wherever W&B's exceptions carry them."""
    chain = [error, error.__cause__, getattr(error, "exc", None)]
    responses = [response for one in chain if (response := getattr(one, "response", None)) is not None]
    status = next((one.http_status for one in responses if getattr(one, "http_status", None)), None)
    return status, " ".join(str(one) for one in chain if one is not None).lower()
