"""Studies: several trainings over several seeds, judged alike, and what comes of comparing them."""
