"""What of this machine works, what does not, and what to do: looked at from outside, so that nothing can break it."""
