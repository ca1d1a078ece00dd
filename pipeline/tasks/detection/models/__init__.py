"""The networks of detectors: YOLOX, and its spiking students."""
