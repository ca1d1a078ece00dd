"""How well objects are segmented: J and F of DAVIS."""
