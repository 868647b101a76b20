"""Finding conversations by what was said in them."""
