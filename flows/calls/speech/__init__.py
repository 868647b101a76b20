"""Speech to text: audio that no transcript covers, put into words by an engine here, or by RingCentral's AI.

hearing, to_hear         which audio, of which segment, is still to be heard (pure)
jobs                     who is at it, and what came of it
transcribing             a run: claim, hear, finish
platform_*, webhook      RingCentral's AI, which answers later
"""
