"""A conversation as it is kept, and how a request continues it. Pure: what is stored and sent is decided here,
nothing is done.

Messages keep the dialect they were said in and are translated only for a provider's eyes, so that tool ids and signed
thoughts survive a change of dialect.
"""

from typing import Any

import msgspec

from shared.messages.gateway import Dialect
from shared.translate.conversation import messages_to_anthropic, messages_to_openai
from shared.wire import anthropic, openai

Message = dict[str, Any]
SYSTEM_ROLES = ("system", "developer")
MOST_MESSAGES = 2000


class Said(msgspec.Struct, frozen=True, array_like=True):
    """One message of a conversation."""

    dialect: Dialect
    message: Message
    hidden: bool = False  # a turn of our own tools, which the client never saw
    shown: str | None = None  # what the client saw instead: the texts of the hidden turns and this one together


class History(msgspec.Struct, frozen=True):
    """A stored conversation. `system` is what came before its turns, as OpenAI's messages or Anthropic's `system`."""

    version: int = 0
    dialect: Dialect = "openai"
    system: Any = None
    turns: tuple[Said, ...] = ()


class Continued(msgspec.Struct, frozen=True):
    """What a request makes of a history: what the provider is sent, and what is kept if the answer comes."""

    messages: list[Message]
    system: Any
    kept: tuple[Said, ...]
    kept_system: Any


def continued(history: History, dialect: Dialect, messages: list[Message], system: Any) -> Continued:
    """The history followed by the request's messages; a client that sends the whole history again is recognised."""
    leading: list[Message] = []
    if dialect == "openai":
        leading, messages = _split_leading(messages)
    told_system = leading or None if dialect == "openai" else system
    own = told_system if told_system is not None else _system_in(history, dialect)
    kept = _joined(history.turns, [Said(dialect, message) for message in messages], dialect)
    spoken = _spoken(kept, dialect)
    if dialect == "openai":
        return Continued([*(own or []), *spoken], None, kept, own)
    return Continued(spoken, own, kept, own)


def _split_leading(messages: list[Message]) -> tuple[list[Message], list[Message]]:
    count = 0
    while count < len(messages) and messages[count].get("role") in SYSTEM_ROLES:
        count += 1
    return messages[:count], messages[count:]


def _system_in(history: History, dialect: Dialect) -> Any:
    """The stored instructions in the dialect now spoken."""
    system = history.system
    if not system or history.dialect == dialect:
        return system
    if dialect == "anthropic":
        return messages_to_anthropic(system)[0] or None
    return _split_leading(messages_to_openai([{"role": "user", "content": "-"}], system))[0] or None


def _spoken(turns: tuple[Said, ...], dialect: Dialect) -> list[Message]:
    """All messages in one dialect, run by run."""
    spoken: list[Message] = []
    index = 0
    while index < len(turns):
        end = index
        while end < len(turns) and turns[end].dialect == turns[index].dialect:
            end += 1
        run = [said.message for said in turns[index:end]]
        spoken += run if turns[index].dialect == dialect else _translated(run, dialect)
        index = end
    return spoken


def _translated(run: list[Message], dialect: Dialect) -> list[Message]:
    return messages_to_openai(run) if dialect == "openai" else messages_to_anthropic(run)[1]


def _joined(stored: tuple[Said, ...], sent: list[Said], dialect: Dialect) -> tuple[Said, ...]:
    """The turns to keep: the stored ones and the new ones, nothing twice."""
    if not stored or not any(_role(said) == "assistant" for said in sent):
        return (*stored, *sent)
    known = [_essence(said, dialect) for said in stored]
    told = [_essence(said, dialect) for said in sent]
    for start in range(len(stored)):
        if known[start] != told[0]:
            continue
        reached = _aligned(known[start:], told, stored[start:])
        if start == 0 or reached[0] == len(stored) - start:
            # The client speaks for itself from here on: our hidden turns stay, its own words count.
            return (*stored[: start + reached[0]], *sent[reached[1] :])
    return (*stored, *sent)


def _aligned(known: list[Any], told: list[Any], stored: tuple[Said, ...]) -> tuple[int, int]:
    """How many stored and how many sent messages say the same, hidden turns passed over."""
    here = there = 0
    while here < len(known) and there < len(told):
        if known[here] == told[there]:
            here, there = here + 1, there + 1
        elif stored[here].hidden:
            here += 1
        else:
            break
    while there == len(told) and here < len(known) and stored[here].hidden:
        here += 1
    return here, there


def _role(said: Said) -> str:
    return str(said.message.get("role") or "")


def _essence(said: Said, dialect: Dialect) -> Any:
    """What makes two messages the same to us, however a client writes them: role, text, and tool calls by their id."""
    message = said.message
    if said.dialect != dialect:
        translated = _translated([message], dialect)
        message = translated[0] if len(translated) == 1 else message
    wire = openai if dialect == "openai" else anthropic
    calls = tuple(call.id for call in wire.tool_calls_of(message))
    text = wire.text_of(message) if said.shown is None else said.shown
    return (message.get("role"), text.strip(), calls, _results(message))


def _results(message: Message) -> tuple[str, ...]:
    """The ids of the calls that a message answers."""
    if message.get("role") == "tool":
        return (str(message.get("tool_call_id")),)
    content = message.get("content")
    if not isinstance(content, list):
        return ()
    return tuple(
        str(block.get("tool_use_id"))
        for block in content
        if isinstance(block, dict) and block.get("type") == "tool_result"
    )


def answered(kept: tuple[Said, ...], dialect: Dialect, said: list[Message]) -> tuple[Said, ...]:
    """The turns with an answer's messages behind them; all but the last were the business of our own tools."""
    *hidden, last = said
    wire = openai if dialect == "openai" else anthropic
    texts = [wire.text_of(message) for message in said if message.get("role") == "assistant"]
    shown = "".join(texts) if hidden else None
    new = [*(Said(dialect, message, hidden=True) for message in hidden), Said(dialect, last, shown=shown)]
    return (*kept, *new)[-MOST_MESSAGES:]
