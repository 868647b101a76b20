"""The lake for AI agents, over the Model Context Protocol: read-only and bounded."""
