"""Calls beyond their transcripts: live streams, recordings, summaries, speech to text."""
