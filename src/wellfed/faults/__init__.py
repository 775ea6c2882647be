"""What can be wrong with a machine: one noun for what checks see at rest and diagnoses see at work. Pure."""
