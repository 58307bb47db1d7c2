"""The recommendation plugin: item towers, collaborative filtering on graphs, sequences of items."""
