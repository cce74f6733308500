"""What nobody foresaw: it is logged where it happens, and no peer of either server is told more than that."""

import logging

_log = logging.getLogger(__name__)


def told(error: BaseException) -> str:
    """What a peer may hear of such an error. The error itself, which may quote stores and files, goes to the log."""
    _log.error("a request failed for an unforeseen reason", exc_info=error)
    return "internal error; the server's log tells more"
