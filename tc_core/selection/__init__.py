"""Selection: which model would do, tests of one model against another, and acting on what they say."""
