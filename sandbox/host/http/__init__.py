"""HTTP triggers and the admin routes: from the request line to the answer."""
