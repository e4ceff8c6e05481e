"""What time and poor cameras do to a picture. Each is called as an augmentation is, draws how strongly within the range its
config gives, and at strength 0 does nothing. Lengths are of a picture whose shorter side has 256 pixels."""
