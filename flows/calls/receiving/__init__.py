"""Live calls received: from what the wire says to audio on the disk and rows in the lake, whatever happens meanwhile.

intake     what the connectors hear -> chunks for the disk, rows for the lake
disk       the files, and the journal of what the lake does not have yet
ledger     rows committed every few seconds, beside the audio and never in its way
recovery   what a killed receiver left, put in order
receiver   all of it together, from listening to the last commit
"""
