"""How the API process logs: one line an event, to standard error, as text or as JSON.

Lines that are written while a request is handled carry its id, and the build's when a build's token was used.
"""

from __future__ import annotations

import asyncio
import json
import logging
import sys
from datetime import UTC, datetime
from typing import Any, Literal

from stoker.services.origin import current_origin

LogFormat = Literal["text", "json"]

# What a line may be about; a line names them with ``extra``.
SUBJECTS = ("build_id", "project_id", "machine_id", "method", "code", "seconds")


def configure_logging(log_format: LogFormat) -> None:
    """Set up logging for this process."""
    handler = logging.StreamHandler(sys.stderr)
    handler.setFormatter(JsonFormatter() if log_format == "json" else TextFormatter())
    logging.basicConfig(level=logging.INFO, handlers=[handler])
    logging.getLogger("asyncio").addFilter(_not_pyvoys_late_receive)
    logging.getLogger("uvicorn").setLevel(logging.WARNING)
    logging.getLogger("alembic").setLevel(logging.WARNING)


class TextFormatter(logging.Formatter):
    """Time, level, logger and message, with the request's id at the end where there is one.

    A message may hold what others said, such as a solve's ref or an error of a build. So what isn't printable is
    escaped, and the lines of an exception are indented: no text makes a line that looks like an event.
    """

    def __init__(self) -> None:
        super().__init__("%(asctime)s %(levelname)s %(name)s: %(message)s")

    def format(self, record: logging.LogRecord) -> str:
        """One line, and one for each of an exception's."""
        record.message, record.asctime = record.getMessage(), self.formatTime(record)
        lines = [_escaped(self.formatMessage(record))]
        if record.exc_info:
            lines += (f"    {_escaped(line)}" for line in self.formatException(record.exc_info).splitlines())
        return "\n".join(lines)

    def formatMessage(self, record: logging.LogRecord) -> str:  # noqa: N802
        """One line."""
        request_id = current_origin().request_id
        return super().formatMessage(record) + (f" [{request_id}]" if request_id else "")


def _escaped(text: str) -> str:
    """A text in which nothing steers a terminal or ends a line, written as Python writes it."""
    if text.isprintable():
        return text
    return "".join(one if one.isprintable() else repr(one)[1:-1] for one in text)


class JsonFormatter(logging.Formatter):
    """One JSON object on one line, whatever is in the message."""

    def format(self, record: logging.LogRecord) -> str:
        """One line."""
        origin = current_origin()
        line: dict[str, Any] = {
            "time": datetime.fromtimestamp(record.created, UTC).isoformat(timespec="milliseconds"),
            "level": record.levelname.lower(),
            "logger": record.name,
            "message": record.getMessage(),
        }
        if origin.request_id:
            line["request_id"] = origin.request_id
        if origin.build_id:
            line["build_id"] = origin.build_id
        line |= {name: value for name in SUBJECTS if (value := getattr(record, name, None)) is not None}
        if record.exc_info:
            line["exception"] = self.formatException(record.exc_info)
        return json.dumps(line, default=str)


def _not_pyvoys_late_receive(record: logging.LogRecord) -> bool:
    """Drop what pyvoy 1.3 logs when a call was answered before its request stream ended.

    Its callback then sets the result of a future that the cancelled receive() has left; the call itself is answered.
    The loop calls it by either of two ways.
    """
    message = record.getMessage()
    is_late = record.exc_info is not None and record.exc_info[0] is asyncio.InvalidStateError
    return "RecvFutureExecutor" not in message and not (is_late and "set_result" in message)
