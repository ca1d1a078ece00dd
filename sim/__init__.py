"""A network of integers runs, is compared, counted and priced."""
