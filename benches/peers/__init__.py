"""What `peers.py` is made of."""
