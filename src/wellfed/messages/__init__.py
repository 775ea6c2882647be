"""Messages become words: the language that is asked for, the catalogues, the glossary."""
