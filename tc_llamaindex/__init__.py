"""LlamaIndex, recorded by its own instrumentation."""

FRAMEWORK = "llama_index_instrumentation"
"""The package without which there is nothing to record."""

TESTED = ("0.6", "0.6")
"""The lowest and the highest version of it that the tests have run with."""


def instrument(storage: object = None) -> None:
    """Record every run of LlamaIndex from now on."""


def uninstrument() -> None:
    """Record nothing that begins from now on."""
