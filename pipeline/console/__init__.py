"""What people and programs see of a verb: progress on stderr, results on stdout, errors with their remedy."""
