class StartError(Exception):
    """The host cannot start: one line that names the function or file at fault.

    Args:
        message: that line.
        details: what to print above it, such as a traceback.
    """

    def __init__(self, message: str, details: str = "") -> None:
        super().__init__(message)
        self.details = details
