"""Encoders of the lidar plugin: name -> component."""

from __future__ import annotations

from collections.abc import Mapping
from types import MappingProxyType

from sslplug.contracts import Component, Tags, tags
from sslplug_lidar.encoders import dgcnn, patch_transformer, pointnet, pointnet2, range_image, voxel_unet

_LEVELS = ("level:point", "level:cloud", "two-levels")


def _of_patches(options: patch_transformer.PatchTransformerOptions) -> Tags:
    found = {"level:patch", "level:cloud", "two-levels", "hides"}
    return frozenset(found | ({"level:point"} if options.points else set()))


ENCODERS: Mapping[str, Component] = MappingProxyType(
    {
        "pointnet": Component(
            pointnet.PointNetOptions,
            pointnet.build,
            "one perceptron on every point, then the maximum",
            tags(*_LEVELS, "orderless"),
        ),
        "pointnet2": Component(
            pointnet2.PointNet2Options,
            pointnet2.build,
            "PointNet++: PointNets on balls, coarser and back",
            tags(*_LEVELS, "orderless"),
        ),
        "dgcnn": Component(
            dgcnn.DgcnnOptions, dgcnn.build, "maximum over neighbours in feature space", tags(*_LEVELS, "orderless")
        ),
        "patch_transformer": Component(
            patch_transformer.PatchTransformerOptions,
            patch_transformer.build,
            "transformer over patches of points, for masked prediction (Point-MAE, PoLAr-MAE)",
            _of_patches,
        ),
        "range_image": Component(
            range_image.RangeImageOptions, range_image.build, "convolutions on the sensor's range image", tags(*_LEVELS)
        ),
        "voxel_unet": Component(
            voxel_unet.VoxelUnetOptions,
            voxel_unet.build,
            "U-Net of sparse convolutions on occupied voxels",
            tags(*_LEVELS, "orderless"),
        ),
    }
)
