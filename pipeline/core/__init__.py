"""What every room of the pipeline may use, and no task is named in: files, configuration, boxes, seeds, progress."""
