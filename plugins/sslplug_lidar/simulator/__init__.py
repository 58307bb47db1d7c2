"""A seeded simulator: the beams of a spinning sensor are cast at a parametric street. Synthetic, and said so everywhere."""
