"""What only the gateway refuses."""

from collections.abc import Iterable

from shared.errors import TollwayError


class MethodNotAllowed(TollwayError):
    """This method is not allowed here."""

    code = "method_not_allowed"
    status = 405
    log_level = "info"

    @classmethod
    def use(cls, methods: Iterable[str]) -> "MethodNotAllowed":
        """The refusal that names what is allowed."""
        allowed = ", ".join(methods)
        return cls(f"This method is not allowed here; use {allowed}.", headers={"allow": allowed})
