"""The page that follows a run, and the server on this machine that shows it."""
