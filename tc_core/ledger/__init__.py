"""The prompt ledger: where every token of a prompt comes from, told by the prompts themselves, without their texts.

A prompt is a path in a tree of segments; a segment is known by a keyed hash of its text. What one call answered and the
next one is sent is the same segment, so that everything that is sent again can be told from what is new, and named.
"""
