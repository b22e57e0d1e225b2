"""Making, changing and revoking keys: stored first, known to this process at once, to the others within a second."""

from dataclasses import replace
from typing import Any

from services.gateway.callers import Key
from services.gateway.keys import KeyRing
from services.gateway.store import KeyStore
from shared import clock, ids
from shared.errors import NotFound
from shared.security import hash_key, new_key

Change = dict[str, Any]


class KeyNotFound(NotFound):
    """There is no such key."""


class KeyDesk:
    """The use cases of `/admin/keys`."""

    def __init__(self, store: KeyStore, ring: KeyRing) -> None:
        self._store = store
        self._ring = ring

    async def make(self, name: str, fields: Change) -> tuple[Key, str]:
        """A new key and its secret, which is not kept."""
        secret = new_key()
        key = replace(Key(id=f"key_{ids.uuid7().hex}", name=name, created_at=clock.now()), **fields)
        await self._store.add(key, hash_key(secret))
        self._ring.put(hash_key(secret), key)
        return key, secret

    async def listed(self) -> list[Key]:
        """All keys that are not revoked."""
        return await self._store.listed()

    async def get(self, key_id: str) -> Key:
        """One of them; raises KeyNotFound."""
        key = await self._store.get(key_id)
        if key is None:
            raise KeyNotFound
        return key

    async def change(self, key_id: str, fields: Change) -> Key:
        """The key with fields changed."""
        return await self._store_change(replace(await self.get(key_id), **fields))

    async def revoke(self, key_id: str) -> None:
        """From now on this key is refused."""
        await self._store_change(replace(await self.get(key_id), revoked_at=clock.now()))

    async def _store_change(self, key: Key) -> Key:
        if not await self._store.change(key, clock.now()):
            raise KeyNotFound
        self._ring.replace(key)
        return key
