"""RingCX: login, interaction metadata and transcripts, as typed records.

RingCX's own words (dialog, segment, hasTranscript) stay in here; `records.py` says what each becomes.
Source: RingCX developer documentation and OpenAPI description, read 2026-08.
"""
