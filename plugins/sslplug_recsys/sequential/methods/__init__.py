"""Methods of sequence data, one a file."""
