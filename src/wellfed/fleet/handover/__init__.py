"""What is known of nodes, and what was planned on them, in the words of the schedulers that are already there."""
