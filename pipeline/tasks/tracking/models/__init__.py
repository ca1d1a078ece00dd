"""Teacher and student of Siamese tracking."""
