"""RingCentral's own APIs, beside RingCX: the AI API, which hears recordings."""
