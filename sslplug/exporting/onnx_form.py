"""A program as ONNX, where every one of its operators has an ONNX form."""

from __future__ import annotations

import re
from importlib.util import find_spec

import torch

from sslplug.exporting.onnx_operators import operators
from sslplug.exporting.program import Program, quiet

PACKAGES = ("onnx", "onnxscript", "onnxruntime")
"""What writes ONNX, and what runs it for the check. They are optional: ``pip install 'sslplug[onnx]'``."""


class NoOnnx(Exception):
    """Why a program has no ONNX form, as a sentence."""


def onnx_form(program: Program) -> bytes:
    """The ONNX model: inputs by name, one output a level. Raises NoOnnx with the reason where there is none."""
    missing = [name for name in PACKAGES if find_spec(name) is None]
    if missing:
        raise NoOnnx(f"{' and '.join(missing)} not installed (pip install 'sslplug[onnx]')")
    try:
        with quiet():
            made = torch.onnx.export(
                program.traced,
                dynamo=True,
                external_data=False,
                verbose=False,
                output_names=list(program.outputs),
                custom_translation_table=dict(operators()),
            )
        assert made is not None  # it is, with dynamo
        content: bytes = made.model_proto.SerializeToString()
    except Exception as error:  # torch.onnx has no common class for what it cannot translate
        raise NoOnnx(_reason(error)) from error
    import onnxruntime

    try:
        onnxruntime.InferenceSession(content, providers=["CPUExecutionProvider"])
    except Exception as error:  # onnxruntime's classes are its own, one a code
        raise NoOnnx(f"onnxruntime does not take what torch {torch.__version__} made of it ({error})") from error
    return content


def _reason(error: Exception) -> str:
    text = re.sub(r"\x1b\[\d+m", "", str(error))
    operators = re.findall(r"torch\.ops\.([\w.]+)\]|<OpOverload\(op='([\w.]+)'", text)
    operator = next(filter(None, (name for found in operators for name in found)), "")
    cause = re.search(r"<class '[\w.]*?(\w+)'>: ([^\n]+)", text)
    said = f"{cause.group(1)}: {cause.group(2)}" if cause else text.strip().splitlines()[0]
    return f"the operator {operator} has no ONNX form that torch {torch.__version__} can make ({said})" if operator else said
