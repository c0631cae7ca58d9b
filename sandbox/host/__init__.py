"""The local Functions host: Microsoft's own Python runtime, driven in process, plus what the .NET host adds to it."""
