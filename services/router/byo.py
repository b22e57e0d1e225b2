"""Endpoints that a request names itself: only under the guard, with the request's own key, and nothing of ours."""

import asyncio

from pydantic import ValidationError

from services.router.errors import BaseUrlRefused
from services.router.providers.base import Provider
from services.router.providers.openai import OpenAIProvider
from shared.config.providers import Provider as ProviderConfig
from shared.config.providers import Timeouts
from shared.config.surfaces import Byo as ByoSection
from shared.http_client import GuardedResolver, HttpClient
from shared.messages.gateway import Byo
from shared.security import AddressRefused, check_url

NAME = "byo"


async def open_byo(byo: Byo, section: ByoSection, timeouts: Timeouts, http: HttpClient) -> Provider:
    """The provider for this one call; raises BaseUrlRefused, in the same words whatever is behind the address."""
    if not section.enabled:
        raise BaseUrlRefused(param="base_url")
    try:
        host, port = check_url(byo.base_url)
        guard = GuardedResolver(allow_private=section.allow_private, allow_hosts=section.allow_hosts)
        async with asyncio.timeout(timeouts.connect):
            await guard.check(host, port)
        config = ProviderConfig(protocol="openai", base_url=byo.base_url, api_key=byo.api_key)
    except (AddressRefused, TimeoutError, ValidationError, ValueError) as error:
        raise BaseUrlRefused(param="base_url") from error
    session = http.guarded(allow_private=section.allow_private, allow_hosts=section.allow_hosts)
    provider = OpenAIProvider(NAME, config, timeouts, session)
    provider.is_byo = True
    return provider
