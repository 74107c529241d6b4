"""Policies: what is to be done about calls before they are made, each with a dry run, a guard, a log and a way back."""
