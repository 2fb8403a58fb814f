"""The menu of forms that models come in: one file per form, all of which end in the same capture.

To add one, write its file with a `Form`, and add it to `FORMS`; the first that takes a name loads it.
"""

from __future__ import annotations

from transpike.errors import ArgumentError
from transpike.frontends import huggingface, keras, onnx, pt2, python, timm
from transpike.frontends.base import Form, LoadedModel

FORMS: tuple[Form, ...] = (onnx.FORM, pt2.FORM, keras.FORM, timm.FORM, huggingface.FOLDER, huggingface.NAMED, python.FORM)

__all__ = ["FORMS", "Form", "LoadedModel", "load_model"]


def load_model(spec: str, weights: str | None = None) -> LoadedModel:
    """Return the model that `spec` names, in evaluation mode, with `weights` loaded if they are given.

    `spec` is `package.module:factory`, `file.py:factory`, an `.onnx`, `.pt2` or `.keras` file, a directory or a name of
    Hugging Face, or `timm:name`. Raises ArgumentError, ArchiveError, CaptureError or MissingExtraError with the reason.
    """
    for form in FORMS:
        if form.takes(spec):
            return form.load(spec, weights)
    patterns = ", ".join(form.pattern for form in FORMS)
    raise ArgumentError(f"Model {spec!r} must be package.module:factory or path/to/file.py:factory, or one of {patterns}.")
