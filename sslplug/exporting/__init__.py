"""Encoders as programs that need no code of ours: views as named tensors, torch's and ONNX's forms, the check of both."""
