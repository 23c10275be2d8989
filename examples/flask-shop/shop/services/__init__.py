"""What the shop does, without HTTP's details."""
