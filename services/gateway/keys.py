"""The process's own copy of all keys: looked up without a wait, brought up to date every second."""

import asyncio

import structlog

from services.gateway.callers import Key
from services.gateway.store import KeyStore
from shared import clock
from shared.errors import DatabaseUnavailable
from shared.security import hash_key

log = structlog.get_logger(__name__)

LOOK_EVERY_SECONDS = 1.0
# Rows are asked for again for this long after a change: clocks of replicas differ, and commits come late.
OVERLAP_SECONDS = 15.0


class KeyRing:
    """Keys by the hash of their secret. Until the first look nothing is known, and `loaded` says so."""

    def __init__(self, store: KeyStore) -> None:
        self._store = store
        self._by_hash: dict[str, Key] = {}
        self._since = 0.0
        self.loaded = asyncio.Event()

    @property
    def any(self) -> bool:
        """Whether a key was ever made: from then on the gateway is closed to those without one."""
        return bool(self._by_hash)

    def find(self, secret: str) -> Key | None:
        """The key of a secret, if it may be used now. The time to look up a hash tells nothing about
        the secret.
        """
        key = self._by_hash.get(hash_key(secret))
        return key if key is not None and key.usable(clock.now()) else None

    def put(self, secret_hash: str, key: Key) -> None:
        """Take up a key made here, ahead of the next look."""
        self._by_hash[secret_hash] = key

    def replace(self, key: Key) -> None:
        """Take up a change made here, ahead of the next look."""
        for secret_hash, known in self._by_hash.items():
            if known.id == key.id:
                self._by_hash[secret_hash] = key
                return

    async def look(self) -> None:
        """Take up what other replicas changed."""
        began = clock.now()
        for secret_hash, key in await self._store.changed_since(self._since):
            self._by_hash[secret_hash] = key
        self._since = began - OVERLAP_SECONDS
        self.loaded.set()

    async def check(self) -> None:
        """Whether the keys are known; raises DatabaseUnavailable."""
        if not self.loaded.is_set():
            raise DatabaseUnavailable("the keys have not been read yet")

    async def run(self) -> None:
        """Look every second until cancelled; while the database is away the last copy counts."""
        away = False
        await self._store.ready()
        while True:
            try:
                await self.look()
                away = False
            except DatabaseUnavailable:
                if not away:
                    log.warning("keys_not_refreshed")
                away = True
            await asyncio.sleep(LOOK_EVERY_SECONDS)
