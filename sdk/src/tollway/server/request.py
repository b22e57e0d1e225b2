"""The request an agent's method receives."""

from collections.abc import Mapping
from typing import Any

from pydantic import BaseModel, ConfigDict, PrivateAttr


class Message(BaseModel):
    """One message; its content is text or a list of parts."""

    model_config = ConfigDict(extra="allow")

    role: str
    content: Any = None

    @property
    def text(self) -> str:
        """The text of the message, without images and other parts."""
        if isinstance(self.content, str):
            return self.content
        parts = self.content if isinstance(self.content, list) else [self.content]
        texts = [part if isinstance(part, str) else _text_of(part) for part in parts]
        return "\n".join(text for text in texts if text)


class OpenAIRequest(BaseModel):
    """An OpenAI-shaped chat request. Unknown fields are kept and can be read as attributes."""

    model_config = ConfigDict(extra="allow", protected_namespaces=())

    model: str | None = None
    messages: list[Message] = []
    stream: bool = True
    session_id: str | None = None
    user: str | None = None

    _headers: dict[str, str] = PrivateAttr(default_factory=dict)

    def get_user_query(self) -> str:
        """The text of the last user message; empty when there is none."""
        return next((message.text for message in reversed(self.messages) if message.role == "user"), "")

    def get_header(self, key: str | None = None, default: Any = None) -> Any:
        """One header, whatever the case of its name; without a name all of them."""
        if key is None:
            return dict(self._headers)
        return self._headers.get(key.lower(), default)

    def set_headers(self, headers: Mapping[str, str]) -> None:
        """Replaces the headers."""
        self._headers = {str(name).lower(): value for name, value in headers.items()}


def _text_of(part: Any) -> str:
    text = part.get("text") if isinstance(part, Mapping) else None
    return text if isinstance(text, str) else ""
