"""The demo: two nights of harvests, what changed between them, and one Opus round."""
