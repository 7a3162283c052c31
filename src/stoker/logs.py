"""How the API process logs: one line an event, with time and level, to standard error."""

from __future__ import annotations

import logging


def configure_logging() -> None:
    """Set up logging for this process."""
    logging.basicConfig(level=logging.INFO, format="%(asctime)s %(levelname)s %(name)s: %(message)s")
    logging.getLogger("asyncio").addFilter(_not_pyvoys_late_receive)
    logging.getLogger("uvicorn").setLevel(logging.WARNING)
    logging.getLogger("alembic").setLevel(logging.WARNING)


def _not_pyvoys_late_receive(record: logging.LogRecord) -> bool:
    """Drop what pyvoy 1.3 logs when a call was answered before its request stream ended.

    Its callback then sets the result of a future that the cancelled receive() has left; the call itself is answered.
    """
    return "RecvFutureExecutor" not in record.getMessage()
