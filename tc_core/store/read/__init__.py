"""How questions are answered from rows and roll-ups."""
