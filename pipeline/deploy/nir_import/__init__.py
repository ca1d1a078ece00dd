"""A float NIR graph becomes a network of integers, and a report says what that cost."""
