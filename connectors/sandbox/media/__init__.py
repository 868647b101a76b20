"""What belongs to calls beside their transcripts: streaming profiles, recordings, summaries."""
