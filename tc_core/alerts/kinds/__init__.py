"""Kinds of rules: what `type` means in the settings file. One file for what is asked in the same way."""
