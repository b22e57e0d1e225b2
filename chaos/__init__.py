"""The crash and fault suite: kills processes and servers under load and proves that the books stay exact."""
