"""How processes of this service that work on the same data keep step."""

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Sharing:
    """All in seconds.

    Every process looks for changes every `look_every`, so that what one has committed all of them
    know after `known_after`. Old points stay for `kept_for`, for searches that do not know yet.
    What is being built by nobody's job may be another process's for `building_for`.
    """

    look_every: float
    known_after: float
    kept_for: float
    building_for: float


ALONE = Sharing(0, 0, 0, 0)
TOGETHER = Sharing(look_every=0.25, known_after=0.5, kept_for=5, building_for=600)
