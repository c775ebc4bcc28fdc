"""Who fails to log in: counted per address, and told to the audit log."""

from dataclasses import dataclass

from auth_service.attempts import FailedAttempts
from auth_service.audit import AuditLog
from auth_service.errors import TooManyFailures


@dataclass(frozen=True, slots=True)
class Attempt:
    """A try to log in."""

    address: str
    action: str
    target: str


@dataclass(frozen=True, slots=True)
class Watch:
    """Counts failed tries and writes them down."""

    failures: FailedAttempts
    audit: AuditLog

    async def check(self, attempt: Attempt) -> None:
        """Raises TooManyFailures."""
        try:
            await self.failures.check(attempt.address)
        except TooManyFailures:
            self.note(attempt, "limited")
            raise

    async def failed(self, attempt: Attempt, cause: str) -> None:
        """It counts. Raises TooManyFailures when others counted before."""
        await self.check(attempt)
        await self.failures.record(attempt.address)
        self.note(attempt, cause)

    def note(self, attempt: Attempt, cause: str) -> None:
        self.audit.refused(
            action=attempt.action, target=attempt.target, address=attempt.address, reason=cause
        )
