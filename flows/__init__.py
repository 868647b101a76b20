"""What happens, when, in what order: settings, windows, planning, flows and the command line.

Imports `connectors` and `sinks`, which import neither each other nor this; alone imports Prefect.
"""
