"""Files made to do harm: recipes, checkpoints, run folders and data. Each function writes one into a folder."""

from __future__ import annotations

import hashlib
import io
import json
import os
import pickle
import struct
import zipfile
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import numpy as np
from numpy.lib import format as npy


class Shell:
    """A pickle of this runs a command where it is loaded."""

    def __init__(self, canary: Path) -> None:
        self.canary = canary

    def __reduce__(self) -> tuple[Any, ...]:
        return os.system, (f"touch {self.canary}",)


# Recipes: {name: text, "CANARY" standing for a file that must not appear}.
_PLAIN = "plugin: toy\ndata: clusters\nviews: crops\nencoder: cells\nmethod: joint\nobjective: infonce\n"
RECIPES: Mapping[str, str | bytes] = {
    "tag-apply": "plugin: !!python/object/apply:os.system ['touch CANARY']\n",
    "tag-new": "plugin: !!python/object/new:os.system ['touch CANARY']\n",
    "tag-name": "plugin: !!python/name:os.system\n",
    "tag-module": "plugin: !!python/module:os\n",
    "tag-own": "plugin: !evil toy\n",
    "tag-binary": _PLAIN + "about: !!binary gICAgA==\n",
    "tag-set": _PLAIN + "about: !!set {a, b}\n",
    "tag-timestamp": _PLAIN + "about: !!timestamp 2020-01-01\n",
    "tag-int": _PLAIN + "seed: !!int x\n",
    "billion-laughs": "a: &a [x, x, x, x, x, x, x, x, x]\n"
    + "".join(f"{c}: &{c} [{', '.join(['*' + b] * 9)}]\n" for b, c in zip("abcdefgh", "bcdefghi")),
    "merge-key": _PLAIN + "optim: {<<: {lr: 1}}\n",
    "self-alias": "a: &a [*a]\n",
    "deep-flow": _PLAIN + "about: " + "[" * 100_000,
    "deep-block": _PLAIN + "\n".join(" " * depth + "a:" for depth in range(600)),
    "long-number": _PLAIN + "seed: " + "9" * 10_000 + "\n",
    "long-hexadecimal": _PLAIN + "seed: 0x" + "f" * 100_000 + "\n",
    "infinite-rate": _PLAIN + "optim: {lr: 1e999}\n",
    "long-file": _PLAIN + "about: " + "x" * 2_000_000 + "\n",
    "long-key": _PLAIN + "y" * 100_000 + ": 1\n",
    "two-documents": _PLAIN + "---\n" + _PLAIN,
    "zero-byte": _PLAIN + "about: a\x00b\n",
    "latin-1": _PLAIN.encode() + b"about: \xe9\n",
    "utf-16": _PLAIN.encode("utf-16"),
    "surrogate": _PLAIN + 'about: "\\ud800"\nname: "\\ud800"\n',
    "name-up": _PLAIN + "name: ../../outside\n",
    "name-absolute": _PLAIN + "name: /outside\n",
    "name-dots": _PLAIN + "name: '..'\n",
    "plugin-path": _PLAIN.replace("plugin: toy", "plugin: ../toy"),
    "import-path": _PLAIN.replace("encoder: cells", "encoder: os.system"),
    "dunder": _PLAIN.replace("encoder: cells", "encoder: {name: cells, __class__: 3}"),
    "list-as-key": _PLAIN + "? [a]\n: 1\n",
    "beyond-counting": _PLAIN.replace("encoder: cells", "encoder: {name: cells, width: 1000000000000000000}"),
    "negative-rows": _PLAIN.replace("data: clusters", "data: {name: clusters, rows: -5}"),
}  # fmt: skip


def _safetensors(header: bytes | Mapping[str, Any], body: bytes = b"", length: int | None = None) -> bytes:
    text = header if isinstance(header, bytes) else json.dumps(header).encode()
    return struct.pack("<Q", len(text) if length is None else length) + text + body


def _entry(*offsets: int, shape: tuple[int, ...] = (2,), dtype: str = "F32") -> dict[str, Any]:
    return {"dtype": dtype, "shape": list(shape), "data_offsets": list(offsets)}


# A checkpoint's model.safetensors; its manifest says that this is what was written.
TENSORS: Mapping[str, Callable[[Path], bytes]] = {
    "pickle": lambda canary: pickle.dumps(Shell(canary)),
    "empty": lambda canary: b"",
    "header-of-exabytes": lambda canary: struct.pack("<Q", 2**63) + b"{}",
    "header-beyond-the-file": lambda canary: _safetensors({}, length=1000),
    "header-no-json": lambda canary: _safetensors(b"\xff\xfe{"),
    "header-deep": lambda canary: _safetensors(b'{"a":' * 50_000 + b"1" + b"}" * 50_000),
    "header-list": lambda canary: _safetensors(b"[]"),
    "offsets-negative": lambda canary: _safetensors({"a": _entry(-8, 0)}, bytes(8)),
    "offsets-reversed": lambda canary: _safetensors({"a": _entry(8, 0)}, bytes(8)),
    "offsets-beyond-the-file": lambda canary: _safetensors({"a": _entry(0, 8000, shape=(2000,))}, bytes(8)),
    "offsets-overlap": lambda canary: _safetensors({"a": _entry(0, 8), "b": _entry(4, 12)}, bytes(12)),
    "offsets-of-another-shape": lambda canary: _safetensors({"a": _entry(0, 8, shape=(3,))}, bytes(8)),
    "shape-that-overflows": lambda canary: _safetensors({"a": _entry(0, 8, shape=(2**62, 2**62))}, bytes(8)),
    "type-unknown": lambda canary: _safetensors({"a": _entry(0, 8, dtype="PY")}, bytes(8)),
    "other-tensors": lambda canary: _safetensors({"a": _entry(0, 8)}, bytes(8)),
}
_STATE = {
    "epoch": 0, "done": 1, "step": 1, "rows": 4, "diagnostics": {}, "collapsed": None, "scaler": None, "epoch_loss": "0.5",
    "best_loss": "inf", "best_since": 0, "finished": False, "seconds": 1.0,
}  # fmt: skip
STATES: Mapping[str, bytes] = {
    "no-object": b"[1, 2]",
    "no-json": b"{",
    "deep": b'{"a":' * 100_000 + b"1" + b"}" * 100_000,
    "negative-step": json.dumps({**_STATE, "step": -1}).encode(),
    "step-in-words": json.dumps({**_STATE, "step": "first"}).encode(),
    "no-step": json.dumps({key: value for key, value in _STATE.items() if key != "step"}).encode(),
    "diagnostics-of-words": json.dumps({**_STATE, "diagnostics": {"a": "b"}}).encode(),
    "megabytes": json.dumps({**_STATE, "collapsed": "x" * 3_000_000}).encode(),
    "a-step-of-thousand-digits": b'{"step": '
    + b"9" * 1000
    + b","
    + json.dumps(_STATE).encode()[1:].replace(b'"step": 1', b'"s": 1'),
}
MANIFESTS: Mapping[str, bytes] = {
    "list": b"[]",
    "null": b"null",
    "deep": b"[" * 200_000,
    "no-file": b"{}",
    "sha256-of-nothing": b'{"model.safetensors": {"sha256": null, "bytes": 1}}',
    "file-as-word": b'{"model.safetensors": "x", "optim.safetensors": "x", "state.json": "x"}',
    "bytes-in-words": b'{"model.safetensors": {"sha256": "a", "bytes": "many"}}',
}


def sealed(checkpoint: Path) -> None:
    """A manifest that says of every file what it is now."""
    files = [checkpoint / name for name in ("model.safetensors", "optim.safetensors", "state.json")]
    said = {
        file.name: {"sha256": hashlib.sha256(file.read_bytes()).hexdigest(), "bytes": file.stat().st_size} for file in files
    }
    (checkpoint / "MANIFEST.json").write_text(json.dumps(said))


def _npy_header(shape: tuple[int, ...]) -> bytes:
    held = io.BytesIO()
    npy.write_array_header_1_0(held, {"descr": "<f8", "fortran_order": False, "shape": shape})
    return held.getvalue()


def _zip(members: Mapping[str, bytes], **kind: Any) -> bytes:
    held = io.BytesIO()
    with zipfile.ZipFile(held, "w", zipfile.ZIP_DEFLATED) as archive:
        for name, content in members.items():
            archive.writestr(name, content, **kind)
    return held.getvalue()


def _bomb() -> bytes:
    """An archive whose directory announces 2 GiB of numbers in a few bytes."""
    held = io.BytesIO()
    with zipfile.ZipFile(held, "w", zipfile.ZIP_DEFLATED) as archive:
        archive.writestr("values.npy", _npy_header((2**28,)) + bytes(2**16))
        archive.filelist[0].file_size = 2**31
    return held.getvalue()


def _objects(canary: Path) -> bytes:
    held = io.BytesIO()
    np.savez(held, values=np.array([Shell(canary)], dtype=object), x=np.array([Shell(canary)], dtype=object))
    return held.getvalue()


def _flipped() -> bytes:
    """A whole archive with one bit changed amid its packed numbers."""
    held = io.BytesIO()
    np.savez_compressed(held, values=np.random.default_rng(0).normal(size=(50, 3, 20)))
    content = bytearray(held.getvalue())
    content[len(content) // 2] ^= 16
    return bytes(content)


def _encrypted() -> bytes:
    content = bytearray(_zip({"values.npy": _npy_header((0,))}))
    for mark, place in ((b"PK\x03\x04", 6), (b"PK\x01\x02", 8)):
        content[content.index(mark) + place] |= 1
    return bytes(content)


# Archives of arrays.
ARCHIVES: Mapping[str, Callable[[Path], bytes]] = {
    "pickled-objects": _objects,
    "pickle-alone": lambda canary: pickle.dumps(Shell(canary)),
    "bomb": lambda canary: _bomb(),
    "terabytes-announced": lambda canary: _zip({"values.npy": _npy_header((2**37,)), "x.npy": _npy_header((2**37,))}),
    "negative-shape": lambda canary: _zip({"values.npy": _npy_header((7,)).replace(b"(7,)", b"(-7)")}),
    "header-that-calls": lambda canary: _zip({"values.npy": _npy_header((7,)).replace(b"False", b"exit()")[:-1] + b"\n"}),
    "upwards": lambda canary: _zip({"../../canary": b"x", "/tmp/canary": b"x"}),
    "bit-flipped": lambda canary: _flipped(),
    "cut-off": lambda canary: _flipped()[:-40],
    "encrypted": lambda canary: _encrypted(),
    "no-arrays": lambda canary: _zip({"values.npy": b"nothing", "edge_index.npy": b"nothing"}),
}
