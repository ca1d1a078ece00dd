"""The SiamFC++ teacher and its spiking students, in plain torch."""
