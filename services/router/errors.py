"""What the router itself refuses, and the failure of one attempt with what follows from it."""

from typing import Final

import msgspec

from shared.errors import BadRequest, NotFound, Unavailable
from shared.translate.errors import Kind, UpstreamError, kind

# A target that failed like this is not asked again for the same call: it was silent, or said no to the request or us.
_FINAL_KINDS: Final = frozenset(
    {"bad_request", "not_found", "too_large", "context_length", "content_filter", "auth", "quota"}
)
# The client's own doing: says nothing about the target.
_BLAMELESS_KINDS: Final = frozenset({"bad_request", "not_found", "too_large", "context_length", "content_filter"})


class UnknownModel(NotFound):
    """No model has this name."""

    code = "model_not_found"


class NoModelAvailable(Unavailable):
    """No model can be chosen: none is configured, and no provider's list could be read."""

    code = "no_model_available"


class BaseUrlRefused(BadRequest):
    """This base_url may not be used."""

    code = "base_url_refused"


class NotOffered(BadRequest):
    """This model does not offer that."""

    code = "not_offered"


class Failure(msgspec.Struct, frozen=True):
    """Why an attempt brought no answer."""

    error: UpstreamError
    kind: Kind
    headers: dict[str, str] = {}
    other_key: bool = False  # the provider has another key that was not rejected

    @property
    def is_final(self) -> bool:
        """Whether this target must not be asked again for the same call."""
        if self.kind == "timeout":
            return self.error.dialect is None  # silence; a provider that says 504 itself was not silent
        return self.kind in _FINAL_KINDS and not (self.other_key and self.kind in ("auth", "quota"))

    @property
    def counts(self) -> bool:
        """Whether it speaks against the target."""
        return self.kind not in _BLAMELESS_KINDS and not self.other_key


class AttemptFailed(Exception):
    """One attempt brought no answer."""

    def __init__(self, failure: Failure) -> None:
        self.failure = failure
        super().__init__(failure.error.message)


def failed(error: UpstreamError, headers: dict[str, str] | None = None) -> AttemptFailed:
    """The failure that an upstream error makes."""
    return AttemptFailed(Failure(error, kind(error), headers or {}))


def invalid_answer(message: str) -> UpstreamError:
    """A provider that answered something which is no answer."""
    return UpstreamError(502, None, "invalid_provider_response", message)


def rejected_credentials() -> UpstreamError:
    """What the client is told when a provider rejects a key of ours."""
    return UpstreamError(502, None, "provider_auth", "the provider rejected Tollway's credentials")
