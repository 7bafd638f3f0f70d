"""Where rows run: here, later on several machines."""
