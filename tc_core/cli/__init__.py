"""The command `token-calc`: a face for the terminal, with nothing that a Python user could not call."""
