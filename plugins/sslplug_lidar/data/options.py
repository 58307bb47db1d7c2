"""What a recipe can say about point-cloud data."""

from __future__ import annotations

from pydantic import Field

from sslplug.contracts import Options


class CloudOptions(Options):
    """What all clouds have in common."""

    points: int = Field(0, ge=0, description="at most so many points of a cloud, drawn once; 0: all")
    voxel: float = Field(0.0, ge=0, description="keep one point of each voxel of so many metres; 0: all")
    nearest: float = Field(0.0, ge=0, description="leave out points nearer to the origin than so many metres; 0: none")
    farthest: float = Field(0.0, ge=0, description="leave out points farther from the origin than so many metres; 0: none")
    shortest: int = Field(1, ge=1, description="clouds with fewer points are not trained on")


class SweepOptions(CloudOptions):
    """Whole sweeps."""

    pairs: bool = Field(
        True, description="train on sweeps with a predecessor and hand it over, with pose and flow where known"
    )
    judged: int = Field(1000, ge=1, description="points of each sweep that the probes are fitted on and scored by")
