"""The W&B service as the tracker, the backend, and the doctor see it: settings, reachability, one-line errors.

W&B's own messages span several lines and may quote the API key; ``explain`` and ``first_line`` do neither.
"""

from __future__ import annotations

import os
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    import wandb

CONNECT = 2.0  # seconds in which a server has to respond at all
PROBE = 5.0  # seconds in which a service has to answer a request; W&B's client would wait for 20, for every artifact
OFFLINE = ("offline", "dryrun", "disabled")


def settings() -> wandb.Settings:
    """The client's settings from the environment and its settings files, without output or a service process."""
    import wandb
    from wandb.sdk import wandb_setup

    return wandb_setup._setup(wandb.Settings(silent=True), start_service=False).settings


def base_url() -> str:
    """The address of the configured W&B server."""
    return str(os.environ.get("WANDB_BASE_URL") or settings().base_url)


def offline_mode() -> str:
    """``offline``, ``dryrun`` or ``disabled`` (``WANDB_MODE``, or what ``wandb offline`` set); empty if online."""
    mode = str(os.environ.get("WANDB_MODE") or settings().mode)
    return mode if mode in OFFLINE else ""


def responds(url: str) -> bool:
    """Whether a server responds, whatever the status; through the proxy that the environment names."""
    from urllib.error import HTTPError, URLError
    from urllib.request import urlopen

    try:
        with urlopen(url, timeout=CONNECT):
            return True
    except HTTPError:
        return True
    except URLError as error:
        return "CERTIFICATE" in str(error.reason)  # W&B's client has its own settings for certificates
    except (OSError, ValueError):
        return False


def is_healthy(url: str) -> bool:
    """Whether the W&B service at ``url`` responds without a server error within ``PROBE`` seconds."""
    from urllib.error import HTTPError
    from urllib.request import urlopen

    try:
        with urlopen(f"{url.rstrip('/')}/healthz", timeout=PROBE):
            return True
    except HTTPError as error:
        return error.code < 500
    except (OSError, ValueError):
        return False


def without_key(text: str) -> str:
    """The text with the API key of the environment replaced by ``…``."""
    key = os.environ.get("WANDB_API_KEY")
    return text.replace(key, "…") if key else text


def first_line(error: Exception) -> str:
    """The first line of an error, without the API key."""
    text = str(error).strip() or type(error).__name__
    return without_key(text.splitlines()[0].rstrip(".:"))


def failures() -> tuple[type[Exception], ...]:
    """The exceptions that W&B's client raises for a failed request; any other one is a bug and is not caught."""
    from wandb.errors import Error
    from wandb.sdk.lib.service.service_connection import WandbApiFailedError

    return Error, WandbApiFailedError, ValueError, TimeoutError


def explain(error: BaseException, entity: str, project: str) -> str:
    """Why a request failed and how to fix it, in one line without the API key."""
    from wandb.errors import AuthenticationError, UsageError

    status, text = _response(error)
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
        return f"project {entity}/{project} does not exist"
    if status is None or status >= 500:
        return f"{host} does not answer"
    return f"{host} answers with HTTP status {status}"


def _response(error: BaseException) -> tuple[int | None, str]:
    """HTTP status and lower-case text of a failed request, from whichever of W&B's exceptions has them."""
    chain = [error, error.__cause__, getattr(error, "exc", None)]
    responses = [response for cause in chain if (response := getattr(cause, "response", None)) is not None]
    status = next((response.http_status for response in responses if getattr(response, "http_status", None)), None)
    return status, " ".join(str(cause) for cause in chain if cause is not None).lower()
