"""Augmentation of training images on the device, the same for a sample on whichever rank it is trained."""
