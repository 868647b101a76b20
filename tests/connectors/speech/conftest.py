"""Google's libraries warn of Python versions that they will leave, unless the engine loads them, which is quiet."""

import connectors.speech.google  # noqa: F401
