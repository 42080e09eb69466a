"""What is measured while training, and not optimized."""
