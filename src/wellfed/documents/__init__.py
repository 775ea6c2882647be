"""What verbs answer as documents: the JSON that the command line, the library, the API and agents all give."""
