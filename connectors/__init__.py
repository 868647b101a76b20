"""The outside world, as typed records: one package per platform. Knows no table and no flow."""
