"""How a tool call can fail; the model is told the code and the message."""

from typing import ClassVar


class ToolFailed(Exception):
    """The tool failed."""

    code: ClassVar[str] = "tool_failed"

    def __init__(self, message: str | None = None, *, code: str | None = None) -> None:
        self.message = message or (self.__doc__ or "").strip()
        self.error_code = code or self.code
        super().__init__(self.message)


class ArgumentsInvalid(ToolFailed):
    """The arguments do not fit the tool's schema."""

    code = "invalid_arguments"


class ToolUnknown(ToolFailed):
    """There is no such tool here."""

    code = "unknown_tool"


class ToolForbidden(ToolFailed):
    """This key may not use the tool."""

    code = "forbidden_tool"


class ServerDown(ToolFailed):
    """The tool's server cannot be reached."""

    code = "server_down"


class OutcomeUnknown(ToolFailed):
    """The call was interrupted; whether it took effect is not known, and it was not run again."""

    code = "outcome_unknown"
