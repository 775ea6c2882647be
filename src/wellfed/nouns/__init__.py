"""What the rooms hand each other: values without I/O, one noun a file."""
