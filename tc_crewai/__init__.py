"""CrewAI, recorded by its own event bus."""

FRAMEWORK = "crewai"
"""The package without which there is nothing to record."""

TESTED = ("1.15", "1.15")
"""The lowest and the highest version of it that the tests have run with."""


def instrument(storage: object = None) -> None:
    """Record every run of CrewAI from now on."""


def uninstrument() -> None:
    """Record nothing that begins from now on."""
