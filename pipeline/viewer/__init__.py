"""What runs have come to, read from their folders: a list of them, and a local page that follows one."""
