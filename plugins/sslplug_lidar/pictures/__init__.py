"""Pictures of scans, views, embeddings and errors: from above and in perspective, as PNG files and in TensorBoard."""

from sslplug_lidar.pictures.scans import Pictures, flow_pictures, scan_pictures
from sslplug_lidar.pictures.write import write_files, write_tensorboard

__all__ = ["Pictures", "flow_pictures", "scan_pictures", "write_files", "write_tensorboard"]
