"""Views of sequence data, one a file."""
