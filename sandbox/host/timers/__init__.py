"""Timer triggers, their status and their lock."""
