"""The providers' protocols behind one seam; nothing outside this folder knows their paths or headers."""
