"""What follows objects: space-time memory networks (STM), and their spiking students."""
