"""The user's way in: configuration, data, models, training, stages, report and command line."""
