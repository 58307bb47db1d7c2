"""What the data tells views and encoders about itself. Nothing here comes from a label."""

from __future__ import annotations

from dataclasses import dataclass

from sslplug.errors import DataError


@dataclass(frozen=True)
class Sensor:
    """A spinning sensor: where its beams point, for range images and dropped beams.

    rings       number of beams, one above the other
    elevations  (rings,) radians above the horizon, from the lowest beam to the highest
    azimuths    steps of one turn: columns of the range image
    """

    rings: int
    elevations: tuple[float, ...]
    azimuths: int

    def __post_init__(self) -> None:
        if len(self.elevations) != self.rings or self.rings < 1 or self.azimuths < 1:
            raise DataError(
                f"Sensor: {len(self.elevations)} elevations for {self.rings} rings and {self.azimuths} azimuth steps; "
                "expected one elevation a ring and at least one of each."
            )
        if any(b <= a for a, b in zip(self.elevations, self.elevations[1:])):
            raise DataError("Sensor: elevations do not rise; give them from the lowest beam to the highest, in radians.")


@dataclass(frozen=True)
class CloudSpec:
    """The usual cloud.

    channels  names of the feature columns beside x, y, z ("intensity"); may be empty
    points    median number of points of a cloud
    extent    radius in metres within which 95 % of the points of a cloud lie, from the cloud's origin
    sensor    the sensor that took whole sweeps, or None: objects and mixed sources
    sweeps    batches hand over the sweep before each cloud
    """

    channels: tuple[str, ...]
    points: int
    extent: float
    sensor: Sensor | None = None
    sweeps: bool = False
