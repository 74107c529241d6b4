"""Which model: what a cheaper one would do, tests of two against each other, and acting on what they say."""
