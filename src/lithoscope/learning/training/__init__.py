"""Training of the picker's network (PyTorch; extra ``train``)."""
