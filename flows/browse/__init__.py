"""Conversations in a browser: found and read, on this machine only, without a script, changing nothing."""
