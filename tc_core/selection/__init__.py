"""Selection: which model would do, tests of one against another, and acting on what is known."""
