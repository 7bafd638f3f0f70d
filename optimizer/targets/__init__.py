"""What is being improved."""
