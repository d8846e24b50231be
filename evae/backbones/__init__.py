"""Frozen networks whose weights others have trained, and the perceptual distances on their activations."""
