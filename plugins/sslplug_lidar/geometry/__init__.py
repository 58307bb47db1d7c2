"""Geometry on packed ragged clouds: points ``xyz (m, 3)`` of n clouds, cloud i holding ``offsets[i]:offsets[i + 1]``.

Pure functions of tensors, the same on every device. None needs memory quadratic in the points of a cloud.
"""

from sslplug_lidar.geometry.chamfer import chamfer, chamfer_each
from sslplug_lidar.geometry.clusters import clusters
from sslplug_lidar.geometry.ground import ground
from sslplug_lidar.geometry.interpolation import interpolate, near_weights
from sslplug_lidar.geometry.neighbours import ball, nearest, neighbour_rows
from sslplug_lidar.geometry.packing import offsets_of, owner_of, place_of
from sslplug_lidar.geometry.patches import Patches, ball_patches, patches
from sslplug_lidar.geometry.projection import RangeImage, project, ring_of
from sslplug_lidar.geometry.rigid import apply, compose, inverse, kabsch, rotation_z
from sslplug_lidar.geometry.sampling import farthest_points
from sslplug_lidar.geometry.segments import segment_max, segment_mean, segment_sum
from sslplug_lidar.geometry.sparse_convolution import SparseConv3d
from sslplug_lidar.geometry.voxels import Voxels, voxelise

__all__ = [
    "Patches",
    "RangeImage",
    "SparseConv3d",
    "Voxels",
    "apply",
    "ball",
    "ball_patches",
    "chamfer",
    "chamfer_each",
    "clusters",
    "compose",
    "farthest_points",
    "ground",
    "interpolate",
    "inverse",
    "kabsch",
    "near_weights",
    "nearest",
    "neighbour_rows",
    "offsets_of",
    "owner_of",
    "patches",
    "place_of",
    "project",
    "ring_of",
    "rotation_z",
    "segment_max",
    "segment_mean",
    "segment_sum",
    "voxelise",
]
