"""``./avepoint``: every command of the project under one name, here or against a deployed app."""
