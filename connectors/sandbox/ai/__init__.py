"""RingCentral's AI API (seed 004): jobs that fetch audio, take their time, and call a webhook.

Shapes: RingCentral's documentation of the API (docs/ai in ringcentral/ringcentral-api-docs, read 2026-09) and the
definitions of its SDKs.
"""

from connectors.sandbox.ai.jobs import Job, Jobs, JobTrouble

__all__ = ["Job", "JobTrouble", "Jobs"]
