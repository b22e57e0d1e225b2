"""Tools: functions a model may call, the registry that offers them, and the executors that run them."""

from tollway.tools.call import ToolCall, ToolResult
from tollway.tools.define import Tool, tool
from tollway.tools.execute import ToolExecutor
from tollway.tools.handlers import McpToolExecute, ToolInfo
from tollway.tools.registry import ToolRegistry

__all__ = [
    "McpToolExecute",
    "Tool",
    "ToolCall",
    "ToolExecutor",
    "ToolInfo",
    "ToolRegistry",
    "ToolResult",
    "tool",
]
