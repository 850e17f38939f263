"""Network architectures (PyTorch)."""
