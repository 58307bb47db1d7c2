"""Registration of two sweeps: from matched embeddings, from hand-made descriptors, and by ICP."""
