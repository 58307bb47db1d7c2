"""Run as a script in a process of its own: exported programs on given tensors, with torch alone and nothing of this package.

``python -P fresh.py JOB``: JOB is JSON with programs ``{"file", "kind": "pt2" or "onnx", "views": [{"given", "made"}]}``. Tensors
come from ``given`` and the outputs go to ``made`` (safetensors). Prints JSON: {made: why the program refused the tensors}, and
every module of the package that came to be loaded.
"""

from __future__ import annotations

import json
import sys
from collections.abc import Callable, Mapping
from pathlib import Path

import torch
from safetensors.torch import load_file, save_file
from torch import Tensor

Call = Callable[[Mapping[str, Tensor]], Mapping[str, Tensor]]


def pt2(file: str) -> Call:
    """The program in torch's form."""
    module = torch.export.load(file).module()
    return lambda tensors: module(**tensors)


def onnx(file: str) -> Call:
    """The program in ONNX form."""
    import onnxruntime

    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = torch.get_num_threads()
    session = onnxruntime.InferenceSession(file, options, providers=["CPUExecutionProvider"])
    inputs, outputs = ([one.name for one in ends] for ends in (session.get_inputs(), session.get_outputs()))

    def call(tensors: Mapping[str, Tensor]) -> Mapping[str, Tensor]:
        found = session.run(outputs, {name: tensors[name].numpy() for name in inputs})
        return {name: torch.from_numpy(array) for name, array in zip(outputs, found, strict=True)}

    return call


def main(job: Path) -> None:
    """Runs everything that the job asks for."""
    refused = {}
    for program in json.loads(job.read_text(encoding="utf-8"))["programs"]:
        call = (pt2 if program["kind"] == "pt2" else onnx)(program["file"])
        for view in program["views"]:
            try:
                with torch.no_grad():
                    made = call(load_file(view["given"]))
            except Exception as error:  # whatever a program raises: the caller judges it
                refused[view["made"]] = f"{type(error).__name__}: {error}".splitlines()[0]
            else:
                save_file({name: tensor.contiguous().clone() for name, tensor in made.items()}, view["made"])
    own = sorted(name for name in sys.modules if name.partition(".")[0].startswith("sslplug"))
    print(json.dumps({"refused": refused, "own": own}))


if __name__ == "__main__":
    main(Path(sys.argv[1]))
