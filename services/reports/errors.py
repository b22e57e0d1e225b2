"""What can go wrong with a report, and what follows: a permanent fault ends the job, another is tried again."""

from shared.errors import Conflict, Gone, TooLarge, Unprocessable


class FieldInvalid(Unprocessable):
    """A field of the request is not valid."""

    code = "invalid_field"


class KeyReused(Conflict):
    """This Idempotency-Key was used with another body."""

    code = "idempotency_key_reused"


class NotFinished(Conflict):
    """The report is not finished yet."""

    code = "report_not_finished"


class ArtifactGone(Gone):
    """The artefact was here; its time is over."""

    code = "artifact_gone"


class EvidenceGone(Gone):
    """The evidence was here; its time is over."""

    code = "evidence_gone"


class BodyTooLarge(TooLarge):
    """The body of a report request is small; this one is not."""


class BuildError(Exception):
    """A job cannot be finished; says whether another attempt can help."""

    code = "build_failed"
    retryable = False

    def __init__(self, message: str | None = None) -> None:
        super().__init__(message or (self.__doc__ or "").strip())


class TokenMismatchError(BuildError):
    """The address does not belong to this token."""

    code = "token_mismatch"


class TokenUnknownError(BuildError):
    """No source knows this token."""

    code = "token_unknown"


class UsageUnavailableError(BuildError):
    """The usage service did not answer."""

    code = "usage_unavailable"
    retryable = True


class WorkshopError(BuildError):
    """The rendering process failed."""

    code = "render_failed"
    retryable = True


class LeaseLostError(Exception):
    """Another worker has this job now; whatever this one made does not count."""


class CancelledByOwnerError(Exception):
    """The owner asked to stop this job."""
