"""Training: the loop, its optimisers, checkpoints and the gradient-cached step."""
