"""Config files of real-world shape, and the texts that are put into them."""
