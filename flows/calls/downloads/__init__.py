"""Recordings and summaries: chosen, asked for on their own clock, each fetched once."""
