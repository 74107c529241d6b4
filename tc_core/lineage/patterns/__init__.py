"""Patterns of waste: what recorded events show that was paid for and not needed. One file for each detector.

A detector sees events one by one, in the order in which they ended, and knows only what came before: so the same ones
find afterwards what they find live.
"""
