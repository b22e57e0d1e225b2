"""The insight text: claims with placeholders instead of digits, checked by rule, written by a model or by template."""
