"""Object detection: YOLOX teachers and their spiking students."""
