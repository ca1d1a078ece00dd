"""Video object segmentation: objects that a first mask marks are followed through a video."""
