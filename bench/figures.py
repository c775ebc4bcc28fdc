"""Times of one kind of request."""

from dataclasses import dataclass, field


@dataclass(slots=True)
class Times:
    """In milliseconds; percentiles of what was noted."""

    noted: list[float] = field(default_factory=list)

    def note(self, milliseconds: float) -> None:
        self.noted.append(milliseconds)

    @property
    def p50(self) -> float:
        return self._percentile(0.50)

    @property
    def p95(self) -> float:
        return self._percentile(0.95)

    def __str__(self) -> str:
        return f"p50 {self.p50:.1f} ms, p95 {self.p95:.1f} ms"

    def _percentile(self, share: float) -> float:
        ordered = sorted(self.noted)
        return ordered[min(len(ordered) - 1, int(share * len(ordered)))] if ordered else 0.0
