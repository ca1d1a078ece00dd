"""Pictures, videos and annotations: one reader a layout, and what is composed from photographs."""
