"""What is done again and again on a device: recorded once, and replayed."""
