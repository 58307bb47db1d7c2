"""Geometry on packed ragged clouds: points ``xyz (m, 3)`` of n clouds, cloud i holding ``offsets[i]:offsets[i + 1]``.

Pure functions of tensors, the same on every device. None needs memory quadratic in the points of a cloud.
"""

from sslplug_lidar.geometry.chamfer import chamfer, chamfer_each
from sslplug_lidar.geometry.clusters import clusters
from sslplug_lidar.geometry.ground import ground
from sslplug_lidar.geometry.neighbours import ball, nearest
from sslplug_lidar.geometry.packing import offsets_of, owner_of, place_of
from sslplug_lidar.geometry.rigid import apply, compose, inverse, kabsch, rotation_z
from sslplug_lidar.geometry.sampling import farthest_points
from sslplug_lidar.geometry.segments import segment_max, segment_mean, segment_sum
from sslplug_lidar.geometry.sparse_convolution import SparseConv3d
from sslplug_lidar.geometry.voxels import Voxels, voxelise

__all__ = [
    "SparseConv3d",
    "Voxels",
    "apply",
    "ball",
    "chamfer",
    "chamfer_each",
    "clusters",
    "compose",
    "farthest_points",
    "ground",
    "inverse",
    "kabsch",
    "nearest",
    "offsets_of",
    "owner_of",
    "place_of",
    "rotation_z",
    "segment_max",
    "segment_mean",
    "segment_sum",
    "voxelise",
]
