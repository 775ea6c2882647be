"""Many machines: gathered from nodes, alike or not, planned together, handed to the scheduler that is there."""
