"""Siamese tracking: SiamFC++ teachers and their spiking students."""
