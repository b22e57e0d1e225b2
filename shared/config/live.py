"""The configuration in force: replaced as a whole when file or `.env` change validly, kept when they change badly."""

import asyncio
from collections.abc import Callable
from pathlib import Path

import structlog

from shared.config.load import ConfigFault, Fault, load_config
from shared.config.schema import Config
from shared.settings import Settings, SettingsFault, read_settings

log = structlog.get_logger(__name__)

LOOK_EVERY_SECONDS = 0.5


class LiveConfig:
    """Holds the configuration in force and tells subscribers of a new one."""

    def __init__(self, config: Config, settings: Settings | None = None) -> None:
        self.current = config
        self.faults: list[Fault] = []
        self._settings = settings
        self._subscribers: list[Callable[[Config], None]] = []
        self._told_of_tokens: list[Callable[[Settings], None]] = []
        self._seen = self._stamp()

    @classmethod
    def open(cls, settings: Settings) -> "LiveConfig":
        """Read the configuration that the settings point at; raises ConfigFault."""
        return cls(load_config(settings.config_path, settings.environment), settings)

    @property
    def stale(self) -> bool:
        """Whether a broken change was refused and the one before is still in force."""
        return bool(self.faults)

    def subscribe(self, callback: Callable[[Config], None]) -> None:
        """Call back with every new configuration."""
        self._subscribers.append(callback)

    def subscribe_tokens(self, callback: Callable[[Settings], None]) -> None:
        """Call back with the settings whenever `.env` says other client, admin or ops tokens."""
        self._told_of_tokens.append(callback)

    def replace(self, config: Config) -> None:
        """Put a configuration in force."""
        self.current = config
        self.faults = []
        for callback in self._subscribers:
            callback(config)

    async def watch(self) -> None:
        """Look for changes until cancelled."""
        while True:
            await asyncio.sleep(LOOK_EVERY_SECONDS)
            self.look()

    def look(self) -> None:
        """Take up a change of the files, if there is one."""
        stamp = self._stamp()
        if self._settings is None or stamp == self._seen:
            return
        self._seen = stamp
        try:
            settings = self._renewed(self._settings)
            config = load_config(settings.config_path, settings.environment)
        except ConfigFault as fault:
            self.faults = fault.faults
            log.error("config_refused", faults=[str(item) for item in fault.faults])
            return
        self.replace(config)
        log.info("config_changed", models=len(config.models), providers=len(config.providers))
        changed, self._settings = settings.tokens != self._settings.tokens, settings
        if changed:
            log.info("tokens_changed")
            for callback in self._told_of_tokens:
                callback(settings)

    @staticmethod
    def _renewed(settings: Settings) -> Settings:
        """The settings with what may change while running: the environment and the tokens; raises ConfigFault."""
        try:
            fresh = read_settings(settings.working_directory)
        except SettingsFault as fault:
            raise ConfigFault([Fault("", text) for text in fault.faults]) from fault
        if settings.open_to_all and not settings.insecure and settings.token and not fresh.token:
            raise ConfigFault([Fault("TOKEN", "cannot be taken away while this listens beyond loopback")])
        return settings.model_copy(update={"environment": fresh.environment, **fresh.tokens})

    def _stamp(self) -> tuple[tuple[int, int] | None, ...]:
        if self._settings is None:
            return ()
        return tuple(_stamp_of(path) for path in (self._settings.config_path, self._settings.dotenv_path))


def _stamp_of(path: Path | None) -> tuple[int, int] | None:
    if path is None:
        return None
    try:
        status = path.stat()
    except OSError:
        return None
    return status.st_mtime_ns, status.st_size
