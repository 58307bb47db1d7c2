"""OFF meshes (ModelNet's format) and points on them."""

from __future__ import annotations

from pathlib import Path

import numpy as np

from sslplug.contracts import Faults, Refused, unpacked


def read_off(path: Path) -> tuple[np.ndarray, np.ndarray]:
    """(c, 3) float64 corners and (t, 3) int64 triangles of a file, see :func:`parse_off`."""
    return parse_off(str(path), unpacked(path).decode("ascii", "replace"))


def parse_off(name: str, text: str) -> tuple[np.ndarray, np.ndarray]:
    """Corners and triangles; faces of more corners are cut into fans. ModelNet's joined header "OFF8 6 0" is understood."""
    lines = [line.split("#")[0] for line in text.splitlines()]
    words = " ".join(lines).split()
    if not words or not words[0].upper().startswith("OFF"):
        raise _refused(name, "no-header", "a file that does not begin with OFF", "an OFF mesh")
    words = [words[0][3:], *words[1:]] if len(words[0]) > 3 else words[1:]
    try:
        count, faces = int(words[0]), int(words[1])
        corners = np.array(words[3 : 3 + 3 * count], np.float64).reshape(count, 3)
    except (ValueError, IndexError) as error:
        raise _refused(name, "cut-off", f"a bad header, or the end among the corners ({error})", "all corners") from error
    place, triangles = 3 + 3 * count, []
    for number in range(faces):
        try:
            size = int(words[place])
            face = [int(word) for word in words[place + 1 : place + 1 + size]]
        except (ValueError, IndexError) as error:
            raise _refused(name, "cut-off", f"a bad face, or the end ({error})", f"{faces} faces", number + 1) from error
        if len(face) != size or size < 3 or min(face) < 0 or max(face) >= count:
            raise _refused(name, "bad-face", f"a face of corners {face}", f"{size} of 0..{count - 1}", number + 1)
        triangles += [(face[0], face[i], face[i + 1]) for i in range(1, size - 1)]
        place += 1 + size
    if not triangles:
        raise _refused(name, "no-face", "no face", "faces, so that there is a surface to sample")
    return corners, np.array(triangles, np.int64)


def _refused(name: str, kind: str, found: str, expected: str, face: int | None = None) -> Refused:
    rows = None if face is None else [face]
    return Refused(Faults(kind, name, found, expected, "Write the mesh again.", rows, None if face is None else "face"))


def sampled(corners: np.ndarray, triangles: np.ndarray, points: int, draw: np.random.Generator) -> np.ndarray:
    """(points, 3) uniform on the surface: triangles by area, then a uniform place in each (Osada et al. 2002)."""
    a, b, c = (corners[triangles[:, i]] for i in range(3))
    area = np.linalg.norm(np.cross(b - a, c - a), axis=1)
    if not area.sum() > 0:
        return np.asarray(corners[draw.integers(len(corners), size=points)])
    chosen = draw.choice(len(area), points, p=area / area.sum())
    root, along = np.sqrt(draw.random(points))[:, None], draw.random(points)[:, None]
    found: np.ndarray = (1 - root) * a[chosen] + root * (1 - along) * b[chosen] + root * along * c[chosen]
    return found
