"""One module for each page: what it shows, from the same functions as the command line."""
