"""The gateway's front: hot doors by exact path without a framework, forwarded surfaces, and FastAPI for the rest."""

from collections.abc import Awaitable, Callable, Mapping

from services.gateway.errors import MethodNotAllowed
from services.gateway.exchange import Exchange, Floor, dialect_of
from services.gateway.routes.forward import Forwarder
from shared.config import Config, LiveConfig
from shared.errors import TollwayError
from shared.health import App, Receive, Scope, Send
from shared.messages.gateway import Dialect

CHAT_PATHS = ("/v1/chat/completions", "/api/v1/chat/completions")
BASES = ("/v1", "/api/v1")
OPERATIONS = ("/health", "/ready", "/metrics", "/docs", "/openapi.json", "/")  # most are answered before they get here
_READING = ("GET", "HEAD")


Door = tuple[App, tuple[str, ...] | None, Dialect | None]  # the app, its methods (None: its own affair), its dialect


class Edge:
    """Dispatches by path; the chat paths follow the configuration in force."""

    def __init__(
        self,
        *,
        floor: Floor,
        chat: App,
        doors: Mapping[str, Door],
        models: App,
        forwarder: Forwarder,
        rest: App,
        config: LiveConfig,
    ) -> None:
        self._floor = floor
        self._chat = chat
        self._fixed: dict[str, Door] = {**dict.fromkeys(OPERATIONS, (rest, _READING, None)), **doors}
        self._models = models
        self._forwarder = forwarder
        self._rest = rest
        self._doors: dict[str, Door] = {}
        self._take_up(config.current)
        config.subscribe(self._take_up)

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """One request."""
        path, method = scope["path"], scope["method"]
        door = self._doors.get(path)
        if door is None and path.startswith(_MODEL_PREFIXES):
            door = (self._models, _READING, None)
        if door is not None:
            app, methods, dialect = door
            if methods is None or method in methods:
                await app(scope, receive, send)
            else:
                await self._refuse(scope, receive, send, dialect, MethodNotAllowed.use(methods))
        elif (forward := self._forwarder.find(path)) is not None:
            await forward(scope, receive, send)
        else:
            await self._rest(scope, receive, send)

    async def _refuse(
        self, scope: Scope, receive: Receive, send: Send, dialect: Dialect | None, error: TollwayError
    ) -> None:
        exchange = Exchange(self._floor, scope, receive, send, dialect or dialect_of(scope))
        await exchange.run(_raising(error))

    def _take_up(self, config: Config) -> None:
        chat: Door = (self._chat, ("POST",), "openai")
        self._doors = {**dict.fromkeys(chat_paths(config), chat), **self._fixed}


_MODEL_PREFIXES = tuple(f"{base}/models/" for base in BASES)


def chat_paths(config: Config) -> list[str]:
    """The paths of chat completions: the defaults or what replaces them, those again behind each prefix, and more."""
    told = config.chat_paths
    paths = list(told.replace or CHAT_PATHS)
    prefixed = [_tidy(prefix) + path for prefix in told.prefix for path in paths]
    return [path for path in dict.fromkeys([*paths, *prefixed, *told.append]) if path != "/"]


def _tidy(prefix: str) -> str:
    return prefix.rstrip("/")


def _raising(error: TollwayError) -> Callable[[Exchange], Awaitable[None]]:
    async def work(_: Exchange) -> None:
        raise error

    return work
