"""A step of training: what changes from one to the next, what it does, how it is run, and what is noted of it."""
