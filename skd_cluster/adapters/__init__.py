"""What can be done: one outside thing each."""
