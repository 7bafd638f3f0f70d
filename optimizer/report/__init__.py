"""What a run came to: facts as values, and the screen that tells them in a minute."""
